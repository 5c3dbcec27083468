// Mote and its peers behind one interface, in Node and in a page, and the interleaved run of all of them.
//
// A contestant has `name`, `run` (one inference; gives the first output; has run once) and, if known, `laps` (its steps, with times and products). `surroundings` are what differs between Node and a page: `bytes(file)` (null if it
// does not exist), `Model` of Mote, `ort` and `litert` (the peers' packages, or null), `rten` (its module, compiled, or null),
// `clock()`, which promises milliseconds.

import { peaks } from "./peak.mjs";

// Inputs are the same for all, and neither constant nor sparse.
const noise = (length) => Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) * 2);

/** Mote on a plan: inputs are channels last. */
async function mote({ Model }, name, bytes) {
  const model = await Model.load(bytes);
  const [input] = model.inputs;
  const [, height, width, channels] = input.shape;
  const planes = noise(input.length);
  const values = new Float32Array(input.length);
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < height * width; p++) values[p * channels + c] = planes[c * height * width + p];
  }
  const run = async () => model.run(values)[0].toFloat32();
  await run();
  return { name, run, laps: () => model.profile([values], { runs: 1 }) };
}

/** onnxruntime-web on an ONNX file: inputs are channels first. */
async function onnxruntime({ ort }, name, bytes) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  const [input] = session.inputMetadata;
  const shape = input.shape.map((n) => (typeof n === "number" ? n : 1));
  const tensor = new ort.Tensor("float32", noise(shape.reduce((a, b) => a * b, 1)), shape);
  const run = async () => (await session.run({ [input.name]: tensor }))[session.outputNames[0]].data;
  await run();
  return { name, run };
}

/** LiteRT.js on a TFLite file. */
async function litert({ litert }, name, bytes) {
  const model = await litert.loadAndCompile(bytes, { accelerator: "wasm" });
  const [details] = model.getInputDetails();
  const shape = Array.from(details.shape);
  const reals = noise(shape.reduce((a, b) => a * b, 1));
  const values = details.dtype === "int8" ? Int8Array.from(reals, (x) => x * 48) : reals;
  const tensor = new litert.Tensor(values, shape);
  const run = async () => {
    const outputs = await model.run(tensor);
    const data = await outputs[0].data();
    outputs.forEach((output) => output.delete());
    return data;
  };
  await run();
  return { name, run };
}

/** rten on an ONNX file, by the functions of tests/web/rten: inputs are channels first. */
async function rten({ Model, rten, bytes }, name, file, network) {
  // What the input's size is, Mote's plan of the same network tells.
  const [{ shape, length }] = (await Model.load(await bytes(`${network}.f32.mote`))).inputs;
  const [, height, width, channels] = shape;
  const { memory, reserve, load, run: go, output } = (await WebAssembly.instantiate(rten)).exports;
  const place = reserve(file.length);
  new Uint8Array(memory.buffer, place, file.length).set(file);
  const input = load(place, file.length, channels, height, width);
  if (input === 0) throw new Error(`rten does not take ${network}`);
  new Float32Array(memory.buffer, input, length).set(noise(length));
  const run = async () => {
    const count = go();
    if (count === 0) throw new Error(`rten does not run ${network}`);
    return new Float32Array(memory.buffer, output(), count).slice();
  };
  await run();
  return { name, run };
}

/** Runs each for a while: engines compile what runs often anew, beside it, and later where the machine is busy. */
async function warm(contestants, milliseconds) {
  for (const { run } of contestants) {
    const begin = performance.now();
    for (let runs = 0; runs < 10 || performance.now() - begin < milliseconds; runs++) await run();
  }
}

/** The times of each contestant's turns, milliseconds per inference; turns take `least` or more. */
async function interleaved(clock, contestants, rounds, least) {
  const times = contestants.map(() => []);
  const turns = contestants.map(() => 1);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const i = (round + turn) % contestants.length;
      const begin = await clock();
      for (let run = 0; run < turns[i]; run++) await contestants[i].run();
      const took = (await clock()) - begin;
      times[i].push(took / turns[i]);
      if (took < least) turns[i] = Math.ceil((turns[i] * least) / Math.max(took, least / 100));
    }
  }
  return times;
}

// As share of the largest answer.
function distance(found, wanted) {
  const largest = wanted.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  return found.reduce((max, x, i) => Math.max(max, Math.abs(x - wanted[i])), 0) / largest;
}

/** Who is there on a network: how it is made, its name, its file, whether its package is there. */
function contestants(surroundings, name) {
  return [
    [mote, "mote f32", `${name}.f32.mote`, true],
    [mote, "mote int8", `${name}.int8.mote`, true],
    [mote, "mote int8/7", `${name}.int7.mote`, true],
    [onnxruntime, "ort f32", `${name}.onnx`, surroundings.ort],
    [onnxruntime, "ort int8", `${name}_qdq.onnx`, surroundings.ort],
    [litert, "litert f32", `${name}.tflite`, surroundings.litert],
    [litert, "litert int8", `${name}_int8.tflite`, surroundings.litert],
    [rten, "rten f32", `${name}.onnx`, surroundings.rten],
    [rten, "rten int8", `${name}_qdq.onnx`, surroundings.rten],
  ].filter(([, , , present]) => present);
}

/** Milliseconds from the model's bytes, and nothing loaded before, to the first result of a contestant; null if it has no file. */
export async function first(surroundings, name, who) {
  const [kind, , file] = contestants(surroundings, name).find(([, is]) => is === who) ?? [];
  const bytes = kind && (await surroundings.bytes(file));
  if (!bytes) return null;
  const begin = performance.now();
  await kind(surroundings, who, bytes, name);
  return performance.now() - begin;
}

/** All contestants on one network, measured once: what `judged` makes a row of the report of. */
export async function bench(surroundings, name, { rounds = 5, least = 20 } = {}) {
  const networks = [];
  for (const [kind, who, file] of contestants(surroundings, name)) {
    const bytes = await surroundings.bytes(file);
    if (bytes) networks.push(await kind(surroundings, who, bytes, name));
  }
  const of = (who) => networks.find(({ name }) => name === who);
  const differ = {};
  for (const type of ["f32", "int8"]) {
    const peer = of(`ort ${type}`);
    if (peer) differ[type] = distance(await of(`mote ${type}`).run(), await peer.run());
  }
  if (!(differ.f32 === undefined || differ.f32 < 1e-3)) throw new Error(`${name}: f32 answers differ by ${differ.f32} of the largest`);
  const all = [...networks, ...peaks()];
  await warm(all, 800);
  const turns = await interleaved(surroundings.clock, all, rounds, least);
  const times = Object.fromEntries(all.map(({ name }, i) => [name, turns[i]]));
  const sum = (laps) => laps.reduce((sum, { macs }) => sum + macs, 0);
  const products = Object.fromEntries(all.map(({ name, macs, laps }) => [name, laps ? sum(laps()) : macs]));
  const convolutions = Object.fromEntries(networks.filter(({ laps }) => laps).map((mote) => [mote.name, pointwise(mote)]));
  return { name, differ, times, products, convolutions };
}

/** A row of the report of all visits to a network: whatever else runs can only lengthen a turn, so the least of all counts. */
export function judged(visits) {
  const [{ name, differ, products, times: first }] = visits;
  const times = (who) => visits.flatMap(({ times }) => times[who]).sort((a, b) => a - b);
  const ms = {};
  const peak = {};
  for (const who of Object.keys(first)) {
    const sorted = times(who);
    if (who.startsWith("peak")) peak[who.slice(5)] = products[who] / sorted[0] / 1e6;
    else ms[who] = { least: sorted[0], median: sorted[sorted.length >> 1] };
  }
  const macs = products["mote f32"];
  const best = (names) => names.filter((who) => ms[who]).reduce((best, who) => Math.min(best, ms[who].least), Infinity);
  const f32 = best(["ort f32", "litert f32", "rten f32"]);
  const any = best(["ort f32", "litert f32", "rten f32", "ort int8", "litert int8", "rten int8"]);
  const floats = Math.max(peak.f32, peak["f32 relaxed"] ?? 0);
  const floor = { f32: macs / floats / 1e6, int8: macs / peak.i16 / 1e6 };
  const [ours, ours8, ours7] = ["mote f32", "mote int8", "mote int8/7"].map((who) => ms[who].least);
  const share = (who, peak) => Math.max(...visits.map(({ convolutions }) => convolutions[who])) / peak;
  return {
    name,
    macs,
    ms,
    differ,
    peak,
    // Time of the best peer by ours, for int8 with weights as the file has them, and of seven bits; of the floor by ours; our
    // f32 by our int8.
    ratio: { f32: f32 / ours, int8: any / ours8, seven: any / ours7, own: ours / Math.min(ours8, ours7) },
    floor: { ...floor, ratio: { f32: floor.f32 / ours, int8: floor.int8 / ours8 } },
    pointwise: {
      f32: share("mote f32", floats),
      int8: share("mote int8", peak.i16),
      seven: share("mote int8/7", peak.bytes ?? peak.i16),
    },
  };
}

/** What the convolutions reach behind the first one, of a picture, GMAC/s: all but a few percent of their products are of pointwise ones. */
function pointwise({ laps }) {
  const least = laps();
  for (let i = 0; i < 10; i++) laps().forEach(({ ms }, step) => (least[step].ms = Math.min(least[step].ms, ms)));
  const convolutions = least.filter(({ kernel }) => kernel.startsWith("conv")).slice(1);
  const sum = (key) => convolutions.reduce((sum, lap) => sum + lap[key], 0);
  return sum("macs") / sum("ms") / 1e6;
}

/** Everybody's names. */
export const CONTESTANTS = contestants({ ort: true, litert: true, rten: true }, "").map(([, who]) => who);

/** The report as text: times of runs, or to the first result. */
export function told({ name, macs, ms, start, differ, peak, ratio, floor, pointwise }) {
  if (start) {
    const shares = Object.entries(start).map(([who, ms]) => `  ${who.padEnd(12)} ${ms?.toFixed(0) ?? "-"} ms to the first result`);
    const ratios = ["f32", "int8"].map((type) => `${type} ${(start[`ort ${type}`] / start[`mote ${type}`]).toFixed(1)}`);
    return [name, ...shares, `  onnxruntime-web's by ours: ${ratios.join(", ")}`].join("\n");
  }
  const lines = [`${name}, ${(macs / 1e6).toFixed(0)} M multiplications`];
  for (const [who, { least, median }] of Object.entries(ms)) {
    const rate = (macs / least / 1e6).toFixed(1);
    lines.push(`  ${who.padEnd(12)} ${least.toFixed(2)} ms (median ${median.toFixed(2)})  ${rate} GMAC/s`);
  }
  const peaks = Object.entries(peak).map(([kind, rate]) => `${kind} ${rate.toFixed(1)}`);
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  // Of sparse networks all multiplications are counted, also those with zeros.
  if (!isSparse(name)) {
    lines.push(`  peak, GMAC/s: ${peaks.join(", ")}; floor f32 ${floor.f32.toFixed(2)} ms, int8 ${floor.int8.toFixed(2)} ms`);
    lines.push(`  ours reach ${percent(floor.ratio.f32)} (f32), ${percent(floor.ratio.int8)} (int8) of it; convolutions alone ${percent(pointwise.f32)}, ${percent(pointwise.int8)}, with weights of 7 bits ${percent(pointwise.seven)} of that for bytes`);
  }
  lines.push(`  best peer by ours: f32 ${ratio.f32.toFixed(2)}, int8 ${ratio.int8.toFixed(2)}, with weights of 7 bits ${ratio.seven.toFixed(2)} (peers in any precision); own f32 by int8 ${ratio.own.toFixed(2)}`);
  for (const [type, share] of Object.entries(differ)) lines.push(`  ${type} answers differ from onnxruntime-web's by ${share.toExponential(1)} of the largest`);
  return lines.join("\n");
}

const isSparse = (name) => name.includes("_sparse");

/** Geometric means of the ratios of dense networks. */
export function means(all) {
  const rows = all.filter(({ name }) => !isSparse(name));
  const mean = (kind) => Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio[kind]), 0) / rows.length);
  return { f32: mean("f32"), int8: mean("int8"), seven: mean("seven"), own: mean("own") };
}
