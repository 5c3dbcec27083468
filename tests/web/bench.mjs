// Mote beside onnxruntime-web, LiteRT.js and rten, one thread, one interleaved run, in Node or in Chromium:
//
//   node bench.mjs <folder> [--browser PATH] [--json] [--rounds N] [--first] NAME...
//
// The folder holds node_modules of package.json, rten.wasm (built of tests/web/rten; without it rten is absent) and, for each name, NAME.onnx and NAME_qdq.onnx (float and int8),
// NAME.f32.mote, NAME.int8.mote and, with weights of 7 bits, NAME.int7.mote made of them, and, for LiteRT.js, NAME.tflite and NAME_int8.tflite (tflite.py). Times are
// CPU times, of the process in Node, of the threads that run pages in Chromium (on Linux; elsewhere time that passes);
// the least of all turns counts, since whatever else runs can only lengthen one; they are taken in three visits to each network, as
// machines are slow for minutes. LiteRT.js needs a page. With --first it is
// the time that passes from the model's bytes to the first result, the module's download from this machine and its compilation
// included, in a page of its own for each turn; the median of all turns. (LiteRT.js' module alone is loaded before.)
// `cargo xtask bench web` makes the files and calls this.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { Model } from "../../targets/wasm/npm/src/index.js";
import { CONTESTANTS, bench, judged, means, told } from "./contestants.mjs";
import { serve } from "./serve.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    rounds: { type: "string", default: "15" },
    browser: { type: "string" },
    first: { type: "boolean" },
  },
});
const [folder, ...names] = positionals;
const peers = createRequire(join(resolve(folder), "x.js"));
// Each network has its turns in so many parts, a round of all networks after the other.
const VISITS = options.first ? 1 : 3;
const rounds = Math.ceil(Number(options.rounds) / VISITS);

async function inNode() {
  const ort = await import(pathToFileURL(peers.resolve("onnxruntime-web")));
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const bytes = (file) => {
    try {
      return readFileSync(join(folder, file));
    } catch {
      return null;
    }
  };
  const clock = async () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const module = bytes("rten.wasm");
  const rten = module && (await WebAssembly.compile(module));
  const surroundings = { Model, ort, litert: null, rten, bytes, clock };
  if (options.first) throw new Error("--first needs a --browser");
  return { run: (name) => bench(surroundings, name, { rounds }), end: () => {} };
}

async function inChromium() {
  const { chromium } = peers("playwright-core");
  const here = fileURLToPath(new URL(".", import.meta.url));
  const mote = fileURLToPath(new URL("../../targets/wasm/npm/", import.meta.url));
  const { address, close } = await serve({
    web: here,
    mote,
    networks: resolve(folder),
    peers: resolve(folder, "node_modules"),
  });
  const browser = await chromium.launch({ executablePath: options.browser, args: ["--no-sandbox"] });
  const processes = await browser.newBrowserCDPSession();
  const opened = async () => {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error.message));
    await page.goto(`${address}/web/page.html`);
    await page.waitForFunction(() => window.first, null, { timeout: 120_000 });
    return page;
  };
  const run = async (name) => {
    // A page for each network: nothing of the last one is in its memory.
    const page = await opened();
    if (existsSync("/proc/self/schedstat")) {
      const { processInfo } = await processes.send("SystemInfo.getProcessInfo");
      const renderers = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
      await page.exposeFunction("cpuTime", () => renderers.reduce((sum, id) => sum + cpuTime(id), 0));
    }
    page.setDefaultTimeout(600_000);
    const row = await page.evaluate(([name, rounds]) => window.bench(name, { rounds }), [name, rounds]);
    await page.close();
    return row;
  };
  const starts = async (name) => {
    const times = Object.fromEntries(CONTESTANTS.map((who) => [who, []]));
    for (let round = 0; round < rounds; round++) {
      for (const who of CONTESTANTS) {
        const page = await opened();
        times[who].push(await page.evaluate(([name, who]) => window.first(name, who), [name, who]));
        await page.close();
      }
    }
    const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
    return { name, start: Object.fromEntries(Object.entries(times).map(([who, times]) => [who, median(times)])) };
  };
  return { run: options.first ? starts : run, end: () => Promise.all([browser.close(), close()]) };
}

/** Milliseconds that the main thread of a process has run; 0 of one that is gone. The other threads compile. */
function cpuTime(id) {
  try {
    return Number(readFileSync(`/proc/${id}/task/${id}/schedstat`, "utf8").split(" ")[0]) / 1e6;
  } catch {
    return 0;
  }
}

const { run, end } = options.browser ? await inChromium() : await inNode();
const visits = new Map(names.map((name) => [name, []]));
for (let visit = 0; visit < VISITS; visit++) {
  for (const name of names) visits.get(name).push(await run(name));
}
const rows = [...visits.values()].map((visits) => (options.first ? visits[0] : judged(visits)));
if (!options.json) rows.forEach((row) => console.log(told(row)));
await end();
if (options.first) {
  if (options.json) console.log(JSON.stringify({ where: "chromium", rows }, null, 1));
  process.exit();
}
const mean = means(rows);
if (options.json) console.log(JSON.stringify({ where: options.browser ? "chromium" : "node", rows, mean }, null, 1));
else if (mean.f32 > 0) console.log(`geometric mean: f32 ${mean.f32.toFixed(2)}, int8 ${mean.int8.toFixed(2)}, with weights of 7 bits ${mean.seven.toFixed(2)}, own f32 by int8 ${mean.own.toFixed(2)}`);
