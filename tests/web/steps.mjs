// The time of each step of a plan in Node, milliseconds, as JSON: the least of many runs.
//
//   node steps.mjs PLAN [MODULE.wasm]
//
// Of a plan whose steps are layers that were put there to be measured (`cargo xtask bench sparse`). Without a module: the one
// that this engine would load. All runs together take about two seconds, and thirty at least.

import { readFileSync } from "node:fs";

import { Model } from "../../targets/wasm/npm/src/index.js";

const [plan, module] = process.argv.slice(2);
const model = await Model.load(readFileSync(plan), module ? { wasm: readFileSync(module) } : {});
for (const { data } of model.inputs) data.forEach((_, i) => (data[i] = Math.round(100 * Math.sin(i * 12.9898))));
for (let i = 0; i < 10; i++) model.run();
const least = model.profile([], { runs: 1 });
const begin = performance.now();
for (let runs = 0; runs < 30 || performance.now() - begin < 2000; runs++) {
  model.profile([], { runs: 1 }).forEach(({ ms }, step) => (least[step].ms = Math.min(least[step].ms, ms)));
}
console.log(JSON.stringify(least.map(({ ms }) => ms)));
