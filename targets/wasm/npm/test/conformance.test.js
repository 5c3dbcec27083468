// The conformance suite inside the module: every int8 kernel gives the bytes of the portable one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Model } from "../src/index.js";

const file = process.env.MOTE_CASES;
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

for (const name of ["mote-simd", "mote-plain"]) {
  test(`conformance in ${name}`, { skip: file ? false : "cases: cargo xtask wasm test" }, async () => {
    const wasm = await WebAssembly.compile(readFileSync(new URL(`../wasm/${name}.wasm`, import.meta.url)));
    const cases = JSON.parse(readFileSync(file, "utf8"));
    assert.ok(cases.filter(({ kernel }) => kernel >= 3000).length > 100, "few cases for kernels of the target");
    for (const { name, plan, inputs, expected } of cases) {
      const model = await Model.load(bytes(plan), { wasm });
      const elements = (input, port) => {
        const { constructor } = port.data;
        return new constructor(bytes(input).buffer);
      };
      const [output] = model.run(...inputs.map((input, i) => elements(input, model.inputs[i])));
      const { data } = output;
      const found = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      assert.ok(found.equals(Buffer.from(bytes(expected))), `${name}: other bytes`);
    }
  });
}
