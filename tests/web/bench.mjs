// Mote beside onnxruntime-web in Node, one thread, one interleaved run:
//
//   node bench.mjs <folder of networks> [--json] [--rounds N] [--peer PATH] NAME...
//
// The folder holds, for each name, NAME.onnx and NAME_qdq.onnx (float and int8), and NAME.f32.mote and NAME.int8.mote made of
// them. Times are CPU time of this process per inference, the least of all rounds; in each round every contestant has its
// turn, in another order. `cargo xtask bench web` makes the files and calls this.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { Model } from "../../targets/wasm/npm/src/index.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, rounds: { type: "string", default: "15" }, peer: { type: "string" } },
});
const [folder, ...names] = positionals;
const peer = options.peer ? createRequire(join(options.peer, "x.js")) : createRequire(import.meta.url);
const ort = await import(pathToFileURL(peer.resolve("onnxruntime-web")));
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

// Inputs are the same for all, and neither constant nor sparse.
const noise = (length) => Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) * 2);

/** Mote on a plan: inputs are channels last. */
async function mote(file) {
  const begin = cpu();
  const model = await Model.load(readFileSync(file));
  const [input] = model.inputs;
  const [, height, width, channels] = input.shape;
  const planes = noise(input.length);
  const values = new Float32Array(input.length);
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < height * width; p++) values[p * channels + c] = planes[c * height * width + p];
  }
  const run = async () => model.run(values)[0].toFloat32();
  await run();
  const start = cpu() - begin;
  const macs = model.profile([values], { runs: 1 }).reduce((sum, lap) => sum + lap.macs, 0);
  return { run, start, macs };
}

/** onnxruntime-web on an ONNX file: inputs are channels first. */
async function runtime(file) {
  const begin = cpu();
  const session = await ort.InferenceSession.create(readFileSync(file), { executionProviders: ["wasm"], logSeverityLevel: 3 });
  const [input] = session.inputMetadata;
  const shape = input.shape.map((n) => (typeof n === "number" ? n : 1));
  const tensor = new ort.Tensor("float32", noise(shape.reduce((a, b) => a * b, 1)), shape);
  const run = async () => (await session.run({ [input.name]: tensor }))[session.outputNames[0]].data;
  await run();
  return { run, start: cpu() - begin };
}

function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The least CPU time of each contestant, in milliseconds. */
async function interleaved(contestants, rounds) {
  const least = contestants.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const i = (round + turn) % contestants.length;
      const begin = cpu();
      await contestants[i].run();
      least[i] = Math.min(least[i], cpu() - begin);
    }
  }
  return least;
}

// As share of the largest answer.
function distance(found, wanted) {
  const largest = wanted.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  return found.reduce((max, x, i) => Math.max(max, Math.abs(x - wanted[i])), 0) / largest;
}

const report = [];
for (const name of names) {
  const path = (suffix) => join(folder, name + suffix);
  const all = [
    ["mote f32", await mote(path(".f32.mote"))],
    ["mote int8", await mote(path(".int8.mote"))],
    ["ort f32", await runtime(path(".onnx"))],
    ["ort int8", await runtime(path("_qdq.onnx"))],
  ];
  const [moteF32, moteInt8, ortF32, ortInt8] = all.map(([, contestant]) => contestant);
  const differ = distance(await moteF32.run(), await ortF32.run());
  if (!(differ < 1e-3)) throw new Error(`${name}: f32 answers differ by ${differ} of the largest`);
  const differInt8 = distance(await moteInt8.run(), await ortInt8.run());
  const ms = await interleaved(all.map(([, contestant]) => contestant), Number(options.rounds));
  const best = Math.min(ms[2], ms[3]);
  const row = {
    name,
    macs: moteF32.macs,
    ms: Object.fromEntries(all.map(([who], i) => [who, ms[i]])),
    start: Object.fromEntries(all.map(([who, { start }]) => [who, start])),
    differ: { f32: differ, int8: differInt8 },
    ratio: { f32: ms[2] / ms[0], int8: best / ms[1], own: ms[0] / ms[1] },
  };
  report.push(row);
  if (!options.json) {
    console.log(`${name}, ${(row.macs / 1e6).toFixed(0)} M multiplications, CPU time`);
    all.forEach(([who, { start }], i) => {
      const rate = (row.macs / ms[i] / 1e6).toFixed(1);
      console.log(`  ${who.padEnd(10)} ${ms[i].toFixed(2)} ms  ${rate} GMAC/s  load to first result ${start.toFixed(0)} ms`);
    });
    const { f32, int8, own } = row.ratio;
    console.log(`  ratio f32 ${f32.toFixed(2)}, int8 ${int8.toFixed(2)} (best of the peer's), own f32 to int8 ${own.toFixed(2)}`);
    console.log(`  answers differ by ${differ.toExponential(1)} (f32), ${differInt8.toExponential(1)} (int8) of the largest`);
  }
}
const mean = (kind) => Math.exp(report.reduce((sum, row) => sum + Math.log(row.ratio[kind]), 0) / report.length);
if (options.json) console.log(JSON.stringify({ report, mean: { f32: mean("f32"), int8: mean("int8") } }, null, 1));
else console.log(`geometric mean: f32 ${mean("f32").toFixed(2)}, int8 ${mean("int8").toFixed(2)}`);
