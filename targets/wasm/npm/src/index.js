// Mote in JavaScript: `const model = await Model.load("net.mote"); const [scores] = model.run(pixels);`

import { MoteError, codeOf } from "./errors.js";
import { bytesFrom, hasExactDot, hasRelaxedSimd, hasSimd, moduleFrom, own, start } from "./module.js";
import { Port, fromImageData } from "./tensor.js";

export { MoteError, fromImageData, hasExactDot, hasRelaxedSimd, hasSimd };

/** A network, ready to run. */
export class Model {
  #exports;

  /**
   * Loads a plan from its address or bytes. Options: `wasm`, the module (address, bytes, or compiled), if not the package's
   * own.
   */
  static async load(source, { wasm } = {}) {
    const inline = source instanceof ArrayBuffer || ArrayBuffer.isView(source);
    const [module, bytes] = await Promise.all([moduleFrom(wasm ?? own()), inline ? source : bytesFrom(source, "plan")]);
    const plan = ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
    return new Model(await start(module), plan);
  }

  /** Use `Model.load`. */
  constructor(exports, plan) {
    const place = exports.mote_reserve(plan.length);
    if (place === 0) throw new MoteError("out-of-memory", `no memory for a plan of ${plan.length} bytes`);
    new Uint8Array(exports.memory.buffer, place, plan.length).set(plan);
    this.#exports = exports;
    this.#done(exports.mote_open(place, plan.length));
    this.inputs = this.#ports(0);
    this.outputs = this.#ports(1);
    this.streaming = exports.mote_endless() !== 0;
  }

  /** Names of classes, if the plan has any. */
  get labels() {
    const labels = [];
    for (let label; (label = this.#text(3, labels.length)) !== ""; ) labels.push(label);
    return labels;
  }

  /**
   * Computes the outputs. Values: an array per input (elements of the input's type, or reals), or `ImageData`; none for
   * what was written to `inputs[i].data`. Gives the outputs, whose `data` the next run overwrites.
   */
  run(...values) {
    this.#write(values);
    this.#done(this.#open().mote_run());
    return this.outputs;
  }

  /** Delivers the next frame of a stream: the outputs, or `null` while more frames are needed. */
  step(frame) {
    const exports = this.#open();
    if (!this.streaming) throw new MoteError("usage", "this network is not a stream: use run");
    if (frame !== undefined) this.inputs[0].write(frame, this.inputs[0].frameLength);
    return this.#done(exports.mote_step()) === 0 ? this.outputs : null;
  }

  /** Forgets everything that a stream has seen. */
  reset() {
    this.#open().mote_reset();
  }

  /** Times of the steps: runs on `values` (or what inputs hold) so often, and gives milliseconds per run. */
  profile(values = [], { runs = 10 } = {}) {
    const exports = this.#open();
    const place = exports.mote_measure(1);
    try {
      for (let i = 0; i < runs; i++) this.streaming ? this.step(...values) : this.run(...values);
      const laps = new Float64Array(exports.memory.buffer, place, exports.mote_steps());
      return Array.from(laps, (total, i) => ({
        name: this.#text(1, i),
        kernel: this.#text(2, i),
        macs: exports.mote_macs(i),
        ms: total / runs,
      }));
    } finally {
      exports.mote_measure(0);
    }
  }

  /** Bytes of memory: module, plan, arena and state. */
  get memoryBytes() {
    return this.#open().memory.buffer.byteLength;
  }

  /** Lets the memory go. The model can't be used after it. */
  dispose() {
    this.#exports = null;
    this.inputs = this.outputs = [];
  }

  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.dispose();
  }

  #open() {
    if (!this.#exports) throw new MoteError("closed", "the model was disposed of");
    return this.#exports;
  }

  #write(values) {
    this.#open();
    if (values.length > 0 && values.length !== this.inputs.length) {
      throw new MoteError("usage", `${values.length} values given, the network has ${this.inputs.length} inputs`);
    }
    values.forEach((value, i) => {
      const port = this.inputs[i];
      const picture = typeof ImageData !== "undefined" && value instanceof ImageData;
      port.write(picture ? fromImageData(value, port) : value);
    });
  }

  #ports(direction) {
    const { memory, mote_port, mote_ports } = this.#exports;
    return Array.from({ length: mote_ports(direction) }, (_, i) => {
      const name = this.#text(4 + direction, i);
      const place = mote_port(direction, i);
      if (place === 0) throw new MoteError("invalid", `port ${i} has no place`);
      const words = new Uint32Array(memory.buffer, place, 16).slice();
      const preprocess = direction === 0 ? this.#preprocess(i) : null;
      return new Port(memory, words, new Float32Array(words.buffer), name, preprocess);
    });
  }

  #preprocess(input) {
    const { memory, mote_preprocess } = this.#exports;
    const place = mote_preprocess(input);
    if (place === 0) return null;
    const [order, cropFrom] = new Uint32Array(memory.buffer, place, 2);
    const numbers = Array.from(new Float32Array(memory.buffer, place + 8, 6));
    return { order: ["rgb", "bgr", "grey"][order], cropFrom, mean: numbers.slice(0, 3), std: numbers.slice(3) };
  }

  #text(kind, index) {
    const { memory, mote_text } = this.#exports;
    const [place, bytes] = new Uint32Array(memory.buffer, mote_text(kind, index), 2);
    let text = "";
    // Audio worklets have no TextDecoder, and the plan's texts are short.
    for (const byte of new Uint8Array(memory.buffer, place, bytes)) text += `%${byte.toString(16).padStart(2, "0")}`;
    return decodeURIComponent(text);
  }

  #done(code) {
    if (code >= 0) return code;
    const kind = codeOf(code);
    const told = kind === "out-of-memory" ? "no memory for the network" : this.#text(0, 0);
    throw new MoteError(kind, told);
  }
}
