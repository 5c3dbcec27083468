// The npm package in Chromium: in a page, a worker and an audio worklet; the demo built by Vite; the page of `mote bundle`.
// `cargo xtask wasm test` makes what this needs: MOTE_WEB_TESTS is a folder with node_modules and page.html, MOTE_PLAN the
// plan in that page, MOTE_CASES the conformance suite's cases, MOTE_NETWORKS whole networks with the host's results, MOTE_DEMO
// the demo's site, MOTE_RECORDING a recording of digits, MOTE_CHROMIUM the browser. Screenshots go to the first folder, too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Model } from "../../../targets/wasm/npm/src/index.js";
import { serve } from "../serve.mjs";

const { MOTE_WEB_TESTS: folder, MOTE_PLAN: plan, MOTE_CHROMIUM: executablePath, MOTE_CASES: cases } = process.env;
const { MOTE_NETWORKS: networks, MOTE_DEMO: demo, MOTE_RECORDING: recording } = process.env;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const packages = createRequire(join(folder, "x.js"));
const picture = here("../../../models/cifar10/samples/horse-nokota.jpg");
const golden = here("../../golden/plans/v2");
const folders = {
  mote: here("../../../targets/wasm/npm"),
  golden,
  pages: here("."),
  target: dirname(cases),
  networks: dirname(networks),
  demo,
};
let browser, server;

before(async () => {
  server = await serve(folders);
  // Camera and microphone are Chromium's own, which show and play something; nobody is asked for leave.
  const media = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  const args = ["--no-sandbox", ...media, `--use-file-for-fake-audio-capture=${recording}`];
  browser = await packages("playwright-core").chromium.launch({ executablePath, args });
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
    const { Model } = await import("/mote/src/index.js");
    const { MODULES, unable } = await import("/mote/test/modules.js");
    const { differing } = await import("/mote/test/cases.js");
    const cases = await (await fetch(`/target/${file}`)).json();
    const names = MODULES.filter((name) => !unable(name));
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

test("whole networks give what the host gives in the module that this browser gets", async () => {
  const { page, errors } = await opened(`${server.address}/pages/empty.html`);
  page.setDefaultTimeout(300_000);
  const differ = await page.evaluate(async (file) => {
    const { Model } = await import("/mote/src/index.js");
    const { astray } = await import("/mote/test/networks.js");
    const read = async (name) => new Uint8Array(await (await fetch(`/networks/${name}`)).arrayBuffer());
    const networks = JSON.parse(new TextDecoder().decode(await read(file)));
    return astray(Model, undefined, networks, read);
  }, basename(networks));
  assert.deepEqual(differ, []);
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

test("the demo runs a dense and a sparse network side by side on one picture", async () => {
  const { page, errors } = await opened(`${server.address}/demo/index.html`, { viewport: { width: 1100, height: 900 } });
  const names = await page.locator("article select").evaluateAll((all) => all.map((one) => one.selectedOptions[0].text));
  assert.deepEqual(names, ["MobileNetV2, int8", "MobileNetV2, 90 % zeros, int8"]);
  await page.locator('[data-role="picture"]').setInputFiles(picture);
  const results = page.locator('[data-role="results"]:visible');
  await results.nth(1).waitFor();
  const best = () => page.locator('[data-role="classes"] li:first-child').allTextContents();
  for (const each of await best()) assert.match(each, /^horse\d/);
  const steps = page.locator('[data-role="steps"]').nth(1).locator("li");
  const kernels = await steps.evaluateAll((all) => all.map((one) => one.title));
  assert.ok(kernels.some((kernel) => kernel.startsWith("spmm_")), `nothing of the second network is sparse: ${kernels}`);
  await page.screenshot({ path: join(folder, "demo.png"), fullPage: true });

  // Another network, a plan of one's own, and a picture that comes with the page, by keyboard.
  await page.locator("article select").nth(0).selectOption({ label: "TinyNet, f32" });
  await page.locator("h1", { hasText: "TinyNet, f32" }).waitFor();
  await page.locator("[data-plan]").nth(1).setInputFiles(plan);
  await page.locator("h1", { hasText: basename(plan) }).waitFor();
  const sample = page.locator('[data-role="samples"] button[title^="deer"]').first();
  await sample.focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll('[data-role="classes"] li:first-child').length === 2
    && Array.from(document.querySelectorAll('[data-role="classes"] li:first-child')).every((one) => one.textContent.startsWith("deer")));
  // Chromium's camera shows something.
  await page.locator('[data-role="snapshot"]').click();
  await page.waitForFunction(() => !document.querySelector('[data-role="classes"] li:first-child').textContent.startsWith("deer"));
  assert.ok(await page.locator('[data-role="trouble"]').isHidden());
  // What is no plan is told, and the other network stays.
  await page.locator("[data-plan]").nth(1).setInputFiles({ name: "no.mote", mimeType: "", buffer: Buffer.alloc(64) });
  await page.locator('[data-role="trouble"]').waitFor({ state: "visible" });
  assert.equal((await best()).length, 1);
  assert.deepEqual(errors, []);
  await page.close();
});

test("the demo hears digits in a recording, and in the microphone", async () => {
  const { page, errors } = await opened(`${server.address}/demo/digits.html`, { viewport: { width: 390, height: 844 } });
  await page.locator('[data-role="recording"]:enabled').setInputFiles(recording);
  const heard = page.locator('[data-role="heard"] li');
  await heard.first().waitFor();
  const words = (await heard.allTextContents()).map((text) => text.split(" ")[0]);
  if (basename(recording) === "people.wav") {
    assert.deepEqual(words, ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]);
  }
  assert.match(await page.locator('[data-role="cost"]').textContent(), /^\d+ frames, one every 16 ms/);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
  await page.screenshot({ path: join(folder, "digits.png"), fullPage: true });

  const listen = page.locator('[data-role="listen"]');
  await listen.focus();
  await page.keyboard.press("Enter");
  await page.locator("button", { hasText: "Stop" }).waitFor();
  await heard.first().waitFor();
  await page.screenshot({ path: join(folder, "microphone.png"), fullPage: true });
  await listen.click();
  await page.locator("button", { hasText: "Listen" }).waitFor();

  await page.locator('[data-role="recording"]').setInputFiles(picture);
  await page.locator('[data-role="trouble"]').waitFor({ state: "visible" });
  await page.locator("[data-plan]").setInputFiles(plan);
  await page.locator('[data-role="recording"]').setInputFiles(recording);
  await page.locator('[data-role="trouble"]', { hasText: "mote convert --stream" }).waitFor();
  assert.deepEqual(errors, []);
  await page.close();
});
