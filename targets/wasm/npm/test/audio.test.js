import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { Detector, FrontEnd } from "../audio/audio.js";
import { MoteError } from "../src/index.js";

const golden = new URL("../../../../tests/golden/audio.json", import.meta.url);
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64")).buffer;

test("front ends give what numpy gives, in pieces of any length", async () => {
  const cases = JSON.parse(readFileSync(golden, "utf8"));
  assert.ok(cases.length >= 8);
  for (const { front_end: name, signal, samples, frames, features } of cases) {
    const front = await FrontEnd.load(name);
    const [all, wanted] = [new Int16Array(bytes(samples)), new Float32Array(bytes(features))];
    for (const piece of [all.length, 128, 77, 5000]) {
      const found = [];
      for (let at = 0; at < all.length; at += piece) found.push(...front.frames(all.subarray(at, at + piece)));
      assert.equal(found.length, frames, `${name} on ${signal}`);
      found.forEach((frame, i) => {
        assert.equal(frame.length, front.mels);
        // As the crate's own test allows.
        frame.forEach((x, k) => assert.ok(Math.abs(x - wanted[i * front.mels + k]) <= 2e-5, `${name} on ${signal}`));
      });
      front.reset();
    }
  }
});

test("reals are the same samples", async () => {
  const [first, second] = await Promise.all([FrontEnd.load("digits"), FrontEnd.load("digits")]);
  assert.deepEqual([first.rate, first.window, first.hop, first.mels], [8000, 240, 128, 32]);
  const samples = Int16Array.from({ length: 4000 }, (_, i) => 20000 * Math.sin(i / 5));
  const reals = Float32Array.from(samples, (sample) => sample / 32768);
  const frames = first.frames(samples);
  assert.equal(frames.length, 30);
  assert.deepEqual(second.frames(reals), frames);
});

test("detections begin when they are long enough, and end", async () => {
  const detector = await Detector.load({ threshold: 0.6, hold: 2 });
  const told = [[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.05, 0.95]].map((scores, i) =>
    detector.take(i + 3, Float32Array.from(scores)),
  );
  const probability = Math.fround(0.9);
  const first = { class: 0, first: 3, last: 4, probability };
  assert.deepEqual(told[1], { ended: null, began: first });
  assert.deepEqual(told[2], { ended: first, began: null });
  assert.deepEqual(told[4].began, { class: 1, first: 6, last: 7, probability: Math.fround(0.95) });
  assert.deepEqual(detector.finish(), told[4].began);
  assert.equal(detector.finish(), null);
});

test("more scores than there is room for are refused, and nothing is lost", async () => {
  const detector = await Detector.load();
  const { began } = detector.take(0, Float32Array.of(0.9, 0.1));
  assert.throws(() => detector.take(1, new Float32Array(5000)), (error) => error.code === "buffer");
  assert.deepEqual(detector.finish(), began);
});

test("an unknown front end has a code", async () => {
  await assert.rejects(FrontEnd.load("music"), (error) => error instanceof MoteError && error.code === "usage");
});
