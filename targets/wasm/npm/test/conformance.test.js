// The conformance suite inside the modules: every int8 kernel gives the bytes of the portable one, every float kernel
// numbers close to its.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Model, hasExactDot, hasRelaxedSimd } from "../src/index.js";
import { differing } from "./cases.js";

const file = process.env.MOTE_CASES;
const able = { "mote-dot": hasExactDot, "mote-relaxed": hasRelaxedSimd };

for (const name of ["mote-dot", "mote-relaxed", "mote-simd", "mote-plain"]) {
  const unable = able[name] && !able[name]() && "this engine lacks what the module needs";
  const skip = !file ? "cases: cargo xtask wasm test" : unable;
  test(`conformance in ${name}`, { skip }, async () => {
    const wasm = await WebAssembly.compile(readFileSync(new URL(`../wasm/${name}.wasm`, import.meta.url)));
    const cases = JSON.parse(readFileSync(file, "utf8"));
    assert.ok(cases.filter(({ kernel }) => kernel >= 3000).length > 100, "few cases for kernels of the target");
    assert.ok(cases.filter(({ exact }) => !exact).length > 100, "few cases of floats");
    assert.deepEqual(await differing(Model, wasm, cases), []);
  });
}
