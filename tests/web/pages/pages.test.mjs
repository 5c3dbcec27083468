// The npm package in Chromium: in a page, a worker and an audio worklet; the demo built by Vite; the page of `mote bundle`.
// `cargo xtask wasm test` makes what this needs: MOTE_WEB_TESTS is a folder with node_modules and page.html, MOTE_PLAN the
// plan in that page, MOTE_CASES the conformance suite's cases, MOTE_CHROMIUM the browser. Screenshots go to that folder, too.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Model } from "../../../targets/wasm/npm/src/index.js";
import { serve } from "../serve.mjs";

const { MOTE_WEB_TESTS: folder, MOTE_PLAN: plan, MOTE_CHROMIUM: executablePath, MOTE_CASES: cases } = process.env;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const packages = createRequire(join(folder, "x.js"));
const picture = here("../../../models/cifar10/samples/horse-nokota.jpg");
const golden = here("../../golden/plans/v2");
const folders = { mote: here("../../../targets/wasm/npm"), golden, pages: here("."), target: dirname(cases) };
let browser, server;

before(async () => {
  server = await serve(folders);
  browser = await packages("playwright-core").chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
after(async () => {
  await browser.close();
  server.close();
});

async function opened(address, options = {}) {
  const page = await browser.newPage(options);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(address);
  return { page, errors };
}

async function wanted() {
  const model = await Model.load(readFileSync(join(golden, "plain.mote")));
  const input = new Int8Array(readFileSync(join(golden, "plain.input"))).subarray(0, model.inputs[0].length);
  return Array.from(model.run(input)[0].data);
}

test("a page has relaxed SIMD, and gives the bytes that Node gives", async () => {
  const { page, errors } = await opened(`${server.address}/pages/empty.html`);
  const found = await page.evaluate(async () => {
    const { Model, hasRelaxedSimd } = await import("/mote/src/index.js");
    const model = await Model.load("/golden/plain.mote");
    const input = new Int8Array(await (await fetch("/golden/plain.input")).arrayBuffer());
    return [hasRelaxedSimd(), Array.from(model.run(input.subarray(0, model.inputs[0].length))[0].data)];
  });
  assert.deepEqual(found, [true, await wanted()]);
  assert.deepEqual(errors, []);
  await page.close();
});

test("every kernel gives the bytes of the portable one in the module that this browser gets, and in all that it can run", async () => {
  const { page, errors } = await opened(`${server.address}/pages/empty.html`);
  page.setDefaultTimeout(300_000);
  const found = await page.evaluate(async (file) => {
    const { Model, hasExactDot } = await import("/mote/src/index.js");
    const { differing } = await import("/mote/test/cases.js");
    const cases = await (await fetch(`/target/${file}`)).json();
    const names = [...(hasExactDot() ? ["mote-dot"] : []), "mote-relaxed", "mote-simd", "mote-plain"];
    const differ = {};
    for (const name of names) {
      const wasm = await WebAssembly.compile(await (await fetch(`/mote/wasm/${name}.wasm`)).arrayBuffer());
      // More than once: what has run often is compiled anew, by another compiler.
      for (let turn = 0; turn < 3; turn++) differ[name] = [...(differ[name] ?? []), ...(await differing(Model, wasm, cases))];
    }
    return { count: cases.length, differ: Object.values(differ).flat() };
  }, basename(cases));
  assert.ok(found.count > 200, `${found.count} cases`);
  assert.deepEqual(found.differ, []);
  assert.deepEqual(errors, []);
  await page.close();
});

test("a worker gives the same", async () => {
  const { page } = await opened(`${server.address}/pages/empty.html`);
  const found = await page.evaluate(() => new Promise((done, failed) => {
    const worker = new Worker("/pages/worker.mjs", { type: "module" });
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = ({ message }) => failed(new Error(message));
  }));
  assert.deepEqual(found, await wanted());
  await page.close();
});

test("an audio worklet gives the same, without fetch, clock and text decoder", async () => {
  const { page } = await opened(`${server.address}/pages/empty.html`);
  const found = await page.evaluate(async () => {
    const bytes = async (file) => new Uint8Array(await (await fetch(file)).arrayBuffer());
    const wasm = await WebAssembly.compile(await bytes("/mote/wasm/mote-simd.wasm"));
    const [plan, input] = [await bytes("/golden/plain.mote"), await bytes("/golden/plain.input")];
    const context = new OfflineAudioContext(1, 128, 8000);
    await context.audioWorklet.addModule("/pages/worklet.mjs");
    const node = new AudioWorkletNode(context, "mote", { processorOptions: { wasm, plan, input } });
    return new Promise((done) => {
      node.port.onmessage = ({ data }) => done(data);
      node.connect(context.destination);
      context.startRendering();
    });
  });
  assert.deepEqual(found, await wanted());
  await page.close();
});

/** The best class of the network on a picture as the page shows it. */
async function classified(page) {
  await page.locator('[data-role="file"]').first().setInputFiles(picture);
  await page.locator('[data-role="results"]').first().waitFor({ state: "visible" });
  return page.locator('[data-role="classes"] li').allTextContents();
}

test("the bundled page classifies a picture by itself, and is usable by keyboard and on a phone", async () => {
  const address = pathToFileURL(join(folder, "page.html")).href;
  const { page, errors } = await opened(address, { viewport: { width: 390, height: 844 } });
  await page.context().setOffline(true);
  await page.locator('[data-role="file"]').waitFor();
  assert.equal(await page.locator("h1").textContent(), "Ten things");
  const classes = await classified(page);
  assert.equal(classes.length, 5);
  assert.match(classes[0], /^horse\d/);
  // As many steps as the plan has, each with its time.
  const model = await Model.load(readFileSync(plan));
  const steps = await page.locator('[data-role="steps"] li').allTextContents();
  assert.equal(steps.length, model.profile([], { runs: 1 }).length);
  assert.ok(steps.every((step) => / ms$/.test(step)), steps[0]);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${wide} pixels wide`);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.role), "file");
  await page.screenshot({ path: join(folder, "bundle.png"), fullPage: true });
  await page.locator('[data-role="file"]').setInputFiles({ name: "no.png", mimeType: "image/png", buffer: Buffer.from("no") });
  await page.locator('[data-role="failure"]').waitFor({ state: "visible" });
  assert.deepEqual(errors, []);
  await page.close();
});

test("the demo, built by Vite, runs two networks side by side on one picture", async () => {
  const demo = here("../../../targets/wasm/demo");
  const vite = join(dirname(packages.resolve("vite/package.json")), "bin/vite.js");
  const out = join(folder, "demo");
  execFileSync(process.execPath, [vite, "build", demo, "--outDir", out, "--emptyOutDir", "--base", "/demo/"], { stdio: "pipe" });
  const site = await serve({ demo: out });
  const { page, errors } = await opened(`${site.address}/demo/index.html`, { viewport: { width: 1100, height: 900 } });
  const files = page.locator('input[type="file"][data-plan]');
  await files.nth(0).setInputFiles(plan);
  await files.nth(1).setInputFiles(plan);
  await page.locator('[data-role="picture"]').setInputFiles(picture);
  const results = page.locator('[data-role="results"]:visible');
  await results.nth(1).waitFor();
  const best = await page.locator('[data-role="classes"] li:first-child').allTextContents();
  assert.equal(best.length, 2);
  assert.match(best[0], /^horse\d/);
  assert.equal(best[0], best[1]);
  await page.screenshot({ path: join(folder, "demo.png"), fullPage: true });
  assert.deepEqual(errors, []);
  await page.close();
  site.close();
});
