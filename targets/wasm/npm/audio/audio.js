// Sound for networks over streams: `for (const frame of frontEnd.frames(samples)) model.step(frame)`.
//
// The front end is the one that firmware listens with, in a module of its own.

import { MoteError } from "../src/errors.js";
import { moduleFrom, start } from "../src/module.js";

/** Front ends, in the module's order. */
const NAMES = ["digits", "wakeword"];

async function instance(wasm) {
  return start(await moduleFrom(wasm ?? new URL("../wasm/mote-audio.wasm", import.meta.url)));
}

/** Chooses a front end: its rate, window, hop and number of features, and most numbers that are handed over at once. */
function factsOf(exports, which) {
  return new Uint32Array(exports.memory.buffer, exports.mote_audio_open(which), 5);
}

/** Samples in, frames of features out. */
export class FrontEnd {
  #exports;
  #most;

  /** Loads the front end that a network was trained on. Option `wasm`: the module, if not the package's own. */
  static async load(name, { wasm } = {}) {
    const which = NAMES.indexOf(name);
    if (which < 0) throw new MoteError("usage", `no front end "${name}"; there are ${NAMES.join(", ")}`);
    return new FrontEnd(await instance(wasm), which);
  }

  /** Use `FrontEnd.load`. */
  constructor(exports, which) {
    [this.rate, this.window, this.hop, this.mels, this.#most] = factsOf(exports, which);
    this.#exports = exports;
  }

  /**
   * The frames that these samples complete, in order: fractions of full scale, or 16-bit samples, in pieces of any length.
   * Samples that complete no frame are kept for the next call.
   */
  frames(samples) {
    const { memory, mote_audio_given, mote_audio_frame, mote_audio_push } = this.#exports;
    const frames = [];
    for (let at = 0; at < samples.length; at += this.#most) {
      const piece = samples.subarray(at, at + this.#most);
      const given = new Float32Array(memory.buffer, mote_audio_given(), piece.length);
      given.set(piece);
      if (samples instanceof Int16Array) given.forEach((sample, i) => (given[i] = sample / 32768));
      for (let left = piece.length; (left = mote_audio_push(piece.length - left, piece.length)) >= 0; ) {
        frames.push(new Float32Array(memory.buffer, mote_audio_frame(), this.mels).slice());
      }
    }
    return frames;
  }

  /** Forgets everything that was heard. */
  reset() {
    this.#exports.mote_audio_reset();
  }
}

/** Results of a network as detections: one class, sure enough, for some time. */
export class Detector {
  #exports;
  #most;

  /** A detection needs `hold` results one after another that name the same class with this probability or a higher one. */
  static async load({ threshold = 0.6, hold = 1, wasm } = {}) {
    const exports = await instance(wasm);
    exports.mote_audio_detect(threshold, hold);
    return new Detector(exports);
  }

  /** Use `Detector.load`. */
  constructor(exports) {
    this.#exports = exports;
    this.#most = factsOf(exports, 0)[4];
  }

  /** Takes the scores of the classes (reals) that came with `frame`. */
  take(frame, scores) {
    if (scores.length > this.#most) {
      throw new MoteError("buffer", `${scores.length} scores given, there is room for ${this.#most}`);
    }
    const { memory, mote_audio_given } = this.#exports;
    new Float32Array(memory.buffer, mote_audio_given(), scores.length).set(scores);
    return this.#changes(frame, scores.length);
  }

  /** Ends the stream: the detection that was going on, or `null`. */
  finish() {
    return this.#changes(0, 0).ended;
  }

  #changes(frame, classes) {
    const { memory, mote_audio_take } = this.#exports;
    const place = mote_audio_take(frame, classes);
    const [ended, began] = [0, 20].map((offset) => {
      const [known, ofClass, first, last] = new Uint32Array(memory.buffer, place + offset, 4);
      const [probability] = new Float32Array(memory.buffer, place + offset + 16, 1);
      return known ? { class: ofClass, first, last, probability } : null;
    });
    return { ended, began };
  }
}
