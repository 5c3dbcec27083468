// The conformance suite inside the modules: every int8 kernel gives the bytes of the portable one, every float kernel
// numbers close to its.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Model, hasRelaxedSimd } from "../src/index.js";

const file = process.env.MOTE_CASES;
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

for (const name of ["mote-relaxed", "mote-simd", "mote-plain"]) {
  const bytesOfModule = () => readFileSync(new URL(`../wasm/${name}.wasm`, import.meta.url));
  const able = () => (name === "mote-relaxed" ? hasRelaxedSimd() : true);
  const skip = !file ? "cases: cargo xtask wasm test" : !able() && "this engine has no relaxed SIMD";
  test(`conformance in ${name}`, { skip }, async () => {
    const wasm = await WebAssembly.compile(bytesOfModule());
    const cases = JSON.parse(readFileSync(file, "utf8"));
    assert.ok(cases.filter(({ kernel }) => kernel >= 3000).length > 100, "few cases for kernels of the target");
    assert.ok(cases.filter(({ exact }) => !exact).length > 100, "few cases of floats");
    for (const { name, plan, inputs, expected, exact } of cases) {
      const model = await Model.load(bytes(plan), { wasm });
      const elements = (input, port) => {
        const { constructor } = port.data;
        return new constructor(bytes(input).buffer);
      };
      const [output] = model.run(...inputs.map((input, i) => elements(input, model.inputs[i])));
      const { data } = output;
      if (!exact) {
        const wanted = new Float32Array(bytes(expected).buffer);
        assert.equal(data.length, wanted.length, name);
        // As the suite has it on the host: sums of up to 640 products of numbers up to 1.
        const near = (x, i) => Math.abs(x - wanted[i]) < 640 / 2 ** 22 || Object.is(x, wanted[i]) || x === wanted[i];
        assert.ok(data.every(near), `${name}: other numbers`);
        continue;
      }
      const found = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      assert.ok(found.equals(Buffer.from(bytes(expected))), `${name}: other bytes`);
    }
  });
}
