// A page around a network: a picture from a file, the clipboard, or the camera in, classes out, and how long each step took.
// Networks of other inputs run on numbers from a file. `mote bundle` and the demo pages show it.

import { fromImageData } from "../src/index.js";

/**
 * Puts the page for `model` into `root`. `name` heads it; `recipe` tells how pictures become inputs, if the plan doesn't;
 * without `form` it has nothing to choose a picture with, and is driven by what this gives.
 */
export function show(root, model, { name = "Network", recipe, form = true } = {}) {
  const [input] = model.inputs;
  const picture = isPicture(input);
  root.innerHTML = PAGE;
  const part = (role) => root.querySelector(`[data-role="${role}"]`);
  part("name").textContent = name;
  part("facts").textContent = facts(model);
  part("hint").textContent = picture
    ? "Choose or drop a picture."
    : `Choose a JSON file with ${input.length} numbers, or a file of as many float32.`;
  part("file").accept = picture ? "image/*" : "";
  part("camera").hidden = !(picture && hasCamera());
  for (const role of ["drop", "camera"]) if (!form) part(role).remove();

  const guarded = (work) => async (...values) => {
    part("failure").hidden = true;
    try {
      await work(...values);
    } catch (error) {
      part("failure").hidden = false;
      part("failure").textContent = error.message;
    }
  };
  const run = (values) => {
    const scores = model.run(values)[0].toFloat32();
    const { took, runs } = timed(() => model.run(values));
    part("time").textContent = `${took.toFixed(2)} ms`;
    part("time").title = `median of ${runs} runs`;
    classes(part("classes"), scores, model.labels);
    steps(part("steps"), model.profile([values], { runs: Math.min(runs, 20) }));
    part("results").hidden = false;
    root.dispatchEvent(new CustomEvent("mote-result", { detail: { scores, took } }));
  };
  const take = guarded(async (source) => {
    if (!picture) return run(await numbersOf(source, input));
    run(inputOf(await createImageBitmap(source), input, part("preview"), recipe));
  });
  const page = { run: guarded(run), take };
  if (!form) return page;

  part("file").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0]));
  acceptFiles(part("drop"), take);
  part("camera").addEventListener("click", guarded(async () => take(await snapshot())));
  return page;
}

/** The median time of a run, in milliseconds. Engines compile better code while the first ones run: those don't count. */
function timed(run) {
  const [warm, enough, most] = [100, 100, 1000];
  const times = [];
  const start = performance.now();
  let before = start;
  do {
    run();
    const now = performance.now();
    if (now - start > warm || times.length > 0) times.push(now - before);
    before = now;
  } while (before - start < warm + enough && times.length < most);
  return { took: times.sort((a, b) => a - b)[times.length >> 1], runs: times.length };
}

/** Calls `take` with files that are dropped on an element, or pasted into its document. */
export function acceptFiles(element, take) {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    element.addEventListener(kind, (event) => {
      event.preventDefault();
      element.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    });
  }
  element.ownerDocument.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file);
  });
}

/** Whether there may be a camera to ask for. */
export function hasCamera() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

/** A picture from the camera, which is off afterwards. */
export async function snapshot() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    await video.play();
    return await createImageBitmap(video);
  } finally {
    stream.getTracks().forEach((track) => track.stop());
  }
}

/** Whether an input `[.., height, width, channels]` can be a picture. */
export function isPicture({ shape }) {
  const [height, width, channels] = shape.slice(-3);
  return shape.length >= 3 && height > 3 && width > 3 && (channels === 3 || channels === 1);
}

/** The input for a bitmap: resized (its centre, if the recipe crops), shown on `canvas`, normalized. */
export function inputOf(bitmap, input, canvas, recipe = input.preprocess) {
  const [height, width] = input.shape.slice(-3);
  Object.assign(canvas, { width, height, hidden: false });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  // What of the picture is seen: all of it, or as much of its centre as the recipe keeps.
  let [seenWidth, seenHeight] = [bitmap.width, bitmap.height];
  if (recipe?.cropFrom) {
    const scale = Math.min(bitmap.width, bitmap.height) / recipe.cropFrom;
    [seenWidth, seenHeight] = [Math.min(width * scale, bitmap.width), Math.min(height * scale, bitmap.height)];
  }
  const [x, y] = [(bitmap.width - seenWidth) / 2, (bitmap.height - seenHeight) / 2];
  context.drawImage(bitmap, x, y, seenWidth, seenHeight, 0, 0, width, height);
  const image = context.getImageData(0, 0, width, height);
  return fromImageData(image, input, recipe);
}

async function numbersOf(file, input) {
  if (file.name.endsWith(".json")) return Float32Array.from(JSON.parse(await file.text()).flat(Infinity));
  const bytes = await file.arrayBuffer();
  if (bytes.byteLength !== 4 * input.length) {
    throw new Error(`${file.name} has ${bytes.byteLength} bytes; ${input.length} float32 are ${4 * input.length}`);
  }
  return new Float32Array(bytes);
}

function facts(model) {
  const shapes = model.inputs.map(({ shape, dtype }) => `${shape.join(" x ")} ${dtype}`).join(", ");
  return `input ${shapes}; ${(model.memoryBytes / 1e6).toFixed(1)} MB of memory`;
}

/** The five best classes. */
function classes(list, scores, labels) {
  const all = shares(scores);
  const best = Array.from(all.keys()).sort((a, b) => all[b] - all[a]).slice(0, 5);
  list.replaceChildren(
    ...best.map((index) => bar(labels[index] ?? `class ${index}`, `${(100 * all[index]).toFixed(1)} %`, all[index])),
  );
}

/** Scores of classes as shares of one: as they are if they are such, else their softmax. */
export function shares(scores) {
  const total = scores.reduce((sum, score) => sum + score, 0);
  if (scores.every((score) => score >= 0) && Math.abs(total - 1) < 0.1) return scores;
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function steps(list, laps) {
  const longest = laps.reduce((max, { ms }) => Math.max(max, ms), 1e-9);
  list.replaceChildren(
    ...laps.map(({ name, kernel, ms, macs }) => {
      const rate = macs > 0 && ms > 0 ? `, ${(macs / ms / 1e6).toFixed(1)} GMAC/s` : "";
      const item = bar(name, `${ms.toFixed(3)} ms`, ms / longest);
      item.title = `${kernel}${rate}`;
      return item;
    }),
  );
}

function bar(name, value, share) {
  const item = document.createElement("li");
  const spans = [name, value].map((text) => Object.assign(document.createElement("span"), { textContent: text }));
  item.append(...spans);
  item.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  return item;
}

const PAGE = `
<style>
  .mote { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: CanvasText; color-scheme: light dark; }
  .mote h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }
  .mote .columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); }
  .mote label.drop { display: block; border: 2px dashed GrayText; border-radius: .5rem; padding: 1rem; cursor: pointer; }
  .mote label.drop.over, .mote label.drop:focus-within { border-color: Highlight; }
  .mote canvas { display: block; width: min(100%, 16rem); margin-top: .75rem; image-rendering: auto; border-radius: .25rem; }
  .mote button { font: inherit; padding: .5rem 1rem; margin-top: .75rem; }
  .mote ol { list-style: none; margin: .5rem 0; padding: 0; }
  .mote li { position: relative; display: flex; justify-content: space-between; gap: 1rem; padding: .15rem .4rem; overflow: hidden; }
  .mote li::before { content: ""; position: absolute; inset: 1px auto 1px 0; width: calc(100% * var(--share)); background: Highlight; opacity: .3; border-radius: .2rem; }
  .mote li span { position: relative; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .mote li span:last-child { flex: none; font-variant-numeric: tabular-nums; }
  .mote [data-role="steps"] { font-size: .8rem; max-height: 30rem; overflow-y: auto; }
  .mote [data-role="failure"] { border-left: .3rem solid #c33; padding-left: .6rem; }
</style>
<main class="mote">
  <h1 data-role="name"></h1>
  <p data-role="facts"></p>
  <div class="columns">
    <section>
      <label class="drop" data-role="drop"><span data-role="hint"></span><br><input type="file" data-role="file"></label>
      <button type="button" data-role="camera">Take a picture</button>
      <canvas data-role="preview" aria-label="What the network sees" role="img" hidden></canvas>
      <p data-role="failure" role="alert" hidden></p>
    </section>
    <section data-role="results" aria-live="polite" hidden>
      <h2>Result in <span data-role="time"></span></h2>
      <ol data-role="classes"></ol>
      <h2 id="mote-steps">Steps</h2>
      <ol data-role="steps" tabindex="0" aria-labelledby="mote-steps"></ol>
    </section>
  </div>
</main>`;
