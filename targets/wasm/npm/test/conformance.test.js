// The conformance suite inside the modules: every int8 kernel gives the bytes of the portable one, every float kernel
// numbers close to its.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Model } from "../src/index.js";
import { differing } from "./cases.js";
import { MODULES, unable } from "./modules.js";

const file = process.env.MOTE_CASES;

for (const name of MODULES) {
  test(`conformance in ${name}`, { skip: file ? unable(name) : "cases: cargo xtask wasm test" }, async () => {
    const wasm = await WebAssembly.compile(readFileSync(new URL(`../wasm/${name}.wasm`, import.meta.url)));
    const cases = JSON.parse(readFileSync(file, "utf8"));
    assert.ok(cases.filter(({ kernel }) => kernel >= 3000).length > 100, "few cases for kernels of the target");
    assert.ok(cases.filter(({ exact }) => !exact).length > 100, "few cases of floats");
    assert.deepEqual(await differing(Model, wasm, cases), []);
  });
}
