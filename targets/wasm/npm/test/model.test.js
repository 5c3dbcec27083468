import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { Worker } from "node:worker_threads";

import { Model, MoteError, fromImageData, hasSimd } from "../src/index.js";
import { Port } from "../src/tensor.js";

const plans = new URL("../../../../tests/golden/plans/", import.meta.url);
const read = (name) => readFileSync(new URL(name, plans));
const bytesOf = ({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
const failure = (code) => (error) => error instanceof MoteError && error.code === code && error.message !== "";
const plain = () => Model.load(read("v2/plain.mote"));

test("the engine of the tests has SIMD", () => assert.equal(hasSimd(), true));

for (const version of readdirSync(plans).filter((name) => name.startsWith("v"))) {
  const names = readdirSync(new URL(version, plans));
  for (const name of names.filter((name) => name.endsWith(".output")).map((name) => name.slice(0, -7))) {
    test(`${version}/${name} gives the bytes that it gave`, async () => {
      const model = await Model.load(read(`${version}/${name}.mote`));
      const [input] = model.inputs;
      const all = new input.data.constructor(new Uint8Array(read(`${version}/${name}.input`)).buffer);
      const length = model.streaming ? input.frameLength : input.length;
      const found = [];
      for (let at = 0; at < all.length; at += length) {
        const values = all.subarray(at, at + length);
        const outputs = model.streaming ? model.step(values) : model.run(values);
        if (outputs) found.push(Buffer.from(bytesOf(outputs[0])));
      }
      assert.ok(found.length > 0);
      assert.ok(Buffer.concat(found).equals(read(`${version}/${name}.output`)));
    });
  }
}

test("refused plans have codes and words", async () => {
  const codes = {
    "newer-version": "incompatible",
    "other-byte-order": "incompatible",
    "required-section": "incompatible",
    damaged: "corrupt",
    "cut-short": "corrupt",
  };
  for (const [name, code] of Object.entries(codes)) {
    await assert.rejects(Model.load(read(`v2/${name}.mote`)), failure(code), name);
  }
  await assert.rejects(Model.load(new Uint8Array(64)), failure("incompatible"));
  await assert.rejects(Model.load(new URL("absent.mote", plans)), failure("network"));
  await assert.rejects(Model.load(read("v2/plain.mote"), { wasm: "file:///absent.wasm" }), failure("network"));
});

test("plans come as address, buffer and view", async () => {
  const bytes = new Uint8Array(read("v2/plain.mote"));
  for (const source of [new URL("v2/plain.mote", plans), bytes.buffer, new DataView(bytes.buffer), bytes]) {
    const model = await Model.load(source);
    assert.ok(model.inputs.length > 0);
  }
});

test("ports tell what they hold; labels come from the plan", async () => {
  const model = await plain();
  const [input] = model.inputs;
  assert.equal(input.shape.reduce((a, b) => a * b, 1), input.length);
  assert.equal(input.dtype, "int8");
  assert.ok(input.name.length > 0);
  assert.ok(model.labels.length > 0 && model.labels.every((label) => label.length > 0));
  assert.equal(model.streaming, false);
});

test("reals are quantized as the runtime does, and back", () => {
  const [scale, zeroPoint, length] = [Math.fround(0.05), -3, 600];
  const words = new Uint32Array([16, length, length, 0, 0, zeroPoint, 2, 20, 30, 0, 0, 0, 0, 0, 0, 0]);
  const floats = new Float32Array(words.buffer);
  floats[4] = scale;
  const input = new Port(new WebAssembly.Memory({ initial: 1 }), words, floats, "x");
  assert.deepEqual(input.shape, [20, 30]);
  assert.deepEqual(input.quantization, { scale, zeroPoint });
  const values = Float32Array.from({ length }, (_, i) => scale * (i / 2 - 150));
  input.write(values);
  const halfEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
  values.forEach((value, i) => {
    const code = Math.max(-128, Math.min(127, halfEven(Math.fround(value / scale)) + zeroPoint));
    assert.equal(input.data[i], code);
  });
  assert.equal(input.data[0], -128);
  assert.equal(input.toFloat32()[0], Math.fround((input.data[0] - zeroPoint) * scale));
});

test("what is written in place is what runs, and nothing grows while running", async () => {
  const model = await plain();
  const values = new Int8Array(read("v2/plain.input")).subarray(0, model.inputs[0].length);
  const want = Buffer.from(bytesOf(model.run(values)[0]));
  const before = model.memoryBytes;
  for (let i = 0; i < 50; i++) {
    model.inputs[0].data.set(values);
    assert.ok(bytesOf(model.run()[0]).equals(want));
  }
  assert.equal(model.memoryBytes, before);
  assert.ok(!bytesOf(model.run(values.map((value) => -1 - value))[0]).equals(want));
});

test("reset begins a stream anew", async () => {
  const model = await Model.load(read("v2/endless.mote"));
  const frame = new Int8Array(model.inputs[0].frameLength).fill(17);
  const results = () => Array.from({ length: 12 }, () => model.step(frame)?.map((port) => [...port.data]) ?? null);
  const first = results();
  assert.ok(first.some((result) => result !== null));
  model.reset();
  assert.deepEqual(results(), first);
});

test("misuse has codes", async () => {
  const model = await plain();
  assert.throws(() => model.run(new Int8Array(3)), failure("buffer"));
  assert.throws(() => model.run(new Int16Array(model.inputs[0].length)), failure("type"));
  assert.throws(() => model.run(new Int8Array(3), new Int8Array(3)), failure("usage"));
  assert.throws(() => model.step(), failure("usage"));
  const stream = await Model.load(read("v2/endless.mote"));
  assert.throws(() => stream.run(), failure("usage"));
  model.dispose();
  assert.throws(() => model.run(), failure("closed"));
});

test("profiles name steps and kernels", async () => {
  const model = await plain();
  const laps = model.profile([], { runs: 3 });
  assert.ok(laps.length > 3);
  assert.equal(laps[0].kernel, "conv2d_s8");
  assert.ok(laps.every(({ name, ms, macs }) => name.length > 0 && ms >= 0 && macs >= 0));
});

test("pictures become reals", () => {
  const data = Uint8ClampedArray.from([255, 0, 51, 255, 0, 255, 102, 255]);
  const port = { shape: [1, 1, 2, 3], length: 6 };
  const values = fromImageData({ width: 2, height: 1, data }, port, { mean: [0.5, 0, 0], std: [0.5, 1, 1] });
  const want = [1, 0, 0.2, -1, 1, 0.4];
  values.forEach((value, i) => assert.ok(Math.abs(value - want[i]) < 1e-6));
  assert.throws(() => fromImageData({ width: 3, height: 1, data }, port), failure("buffer"));
  const swapped = fromImageData({ width: 2, height: 1, data }, { ...port, preprocess: { order: "bgr" } });
  [0.2, 0, 1, 0.4, 1, 0].forEach((x, i) => assert.ok(Math.abs(swapped[i] - x) < 1e-6));
  const grey = fromImageData({ width: 2, height: 1, data }, { shape: [1, 1, 2, 1], length: 2 });
  [0.2126 + 0.2 * 0.0722, 0.7152 + 0.4 * 0.0722].forEach((x, i) => assert.ok(Math.abs(grey[i] - x) < 1e-6));
});

test("works in a worker", async () => {
  const script = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.index).then(async ({ Model }) => {
      const model = await Model.load(workerData.plan);
      parentPort.postMessage(Array.from(model.run(workerData.input)[0].data));
    });`;
  const input = new Int8Array(read("v2/plain.input"));
  const model = await plain();
  const first = input.slice(0, model.inputs[0].length);
  const workerData = { index: new URL("../src/index.js", import.meta.url).href, plan: read("v2/plain.mote"), input: first };
  const worker = new Worker(script, { eval: true, workerData });
  const found = await new Promise((done, failed) => worker.once("message", done).once("error", failed));
  await worker.terminate();
  assert.deepEqual(found, Array.from(model.run(first)[0].data));
});
