// Whole networks inside the modules: int8 gives the host's bytes, floats come within 1e-5 of the range.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";

import { Model } from "../src/index.js";
import { MODULES, unable } from "./modules.js";
import { astray } from "./networks.js";

const file = process.env.MOTE_NETWORKS;

for (const name of MODULES) {
  test(`networks in ${name}`, { skip: file ? unable(name) : "networks: cargo xtask wasm test" }, async () => {
    const wasm = await WebAssembly.compile(readFileSync(new URL(`../wasm/${name}.wasm`, import.meta.url)));
    const networks = JSON.parse(readFileSync(file, "utf8"));
    assert.ok(networks.length >= 10);
    assert.deepEqual(await astray(Model, wasm, networks, (name) => readFileSync(join(dirname(file), name))), []);
  });
}
