// Tensors: what the module's memory holds, and how JavaScript sees it.

import { MoteError } from "./errors.js";

const KINDS = [
  { name: "int8", array: Int8Array, low: -128, high: 127 },
  { name: "int16", array: Int16Array, low: -32768, high: 32767 },
  { name: "int32", array: Int32Array, low: -2147483648, high: 2147483647 },
  { name: "float32", array: Float32Array },
  { name: "float16", array: Uint16Array },
  { name: "uint8", array: Uint8Array, low: 0, high: 255 },
];

/** An input or output of a network. */
export class Port {
  #memory;
  #start;
  #kind;

  constructor(memory, words, floats, name, preprocess = null) {
    const [start, bytes, frameBytes, kind, , zeroPoint, rank] = words;
    this.#memory = memory;
    this.#start = start;
    this.#kind = KINDS[kind];
    this.name = name;
    this.dtype = this.#kind.name;
    this.shape = Array.from(words.subarray(7, 7 + rank));
    this.length = bytes / this.#kind.array.BYTES_PER_ELEMENT;
    this.frameLength = frameBytes / this.#kind.array.BYTES_PER_ELEMENT;
    this.preprocess = preprocess;
    this.quantization = floats[4] === 0 ? null : { scale: floats[4], zeroPoint: zeroPoint | 0 };
  }

  /**
   * The elements where they lie, without a copy. What is written here is the next input; what is read here is overwritten
   * by the next run.
   */
  get data() {
    return new this.#kind.array(this.#memory.buffer, this.#start, this.length);
  }

  /** The numbers as reals, a copy. */
  toFloat32() {
    const { data } = this;
    if (data instanceof Float32Array) return data.slice();
    if (!this.quantization) return Float32Array.from(data);
    const { scale, zeroPoint } = this.quantization;
    return Float32Array.from(data, (code) => (code - zeroPoint) * scale);
  }

  /** Writes a tensor, or a frame of it: elements of its own type as they are, reals quantized. */
  write(values, length = this.length) {
    if (values.length !== length) {
      const message = `${values.length} elements given, ${length} needed: shape [${this.shape.join(", ")}]`;
      throw new MoteError("buffer", message);
    }
    const { data } = this;
    if (values.constructor === this.#kind.array) {
      // What was written through `data` is there already.
      if (values.buffer !== data.buffer || values.byteOffset !== data.byteOffset) data.set(values);
    } else if (values instanceof Float32Array || values instanceof Float64Array || Array.isArray(values)) {
      if (this.dtype === "float16") throw new MoteError("type", "float16 inputs are written as Uint16Array");
      this.#quantize(values, data);
    } else {
      const message = `a ${values.constructor.name} for an input of ${this.dtype}`;
      throw new MoteError("type", message);
    }
  }

  #quantize(values, data) {
    if (data instanceof Float32Array) return data.set(values);
    const { scale, zeroPoint } = this.quantization ?? { scale: 1, zeroPoint: 0 };
    const { low, high } = this.#kind;
    for (let i = 0; i < values.length; i++) {
      const code = halfEven(Math.fround(values[i] / scale)) + zeroPoint;
      data[i] = code < low ? low : code > high ? high : code;
    }
  }
}

// To the nearest whole number, ties to even, as the runtime does.
function halfEven(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/**
 * A picture as the reals of an image input `[1, height, width, channels]`: bytes / 255, less mean, by deviation. It must be
 * of that size. Grey is the luma of ITU-R BT.709, as `mote run` takes it.
 */
export function fromImageData(image, port, recipe = port.preprocess) {
  const { mean = [0, 0, 0], std = [1, 1, 1], order = "rgb" } = recipe ?? {};
  const [height, width, channels] = port.shape.slice(-3);
  if (image.width !== width || image.height !== height || (channels !== 3 && channels !== 1)) {
    const message = `a picture of ${image.width} x ${image.height} for the input [${port.shape.join(", ")}]`;
    throw new MoteError("buffer", message);
  }
  const values = new Float32Array(port.length);
  const scale = std.map((std) => 1 / (255 * std));
  const offset = mean.map((mean, c) => -mean / std[c]);
  const [first, last] = order === "bgr" ? [2, 0] : [0, 2];
  const { data } = image;
  for (let pixel = 0, to = 0; pixel < 4 * width * height; pixel += 4) {
    if (channels === 1) {
      const luma = 0.2126 * data[pixel] + 0.7152 * data[pixel + 1] + 0.0722 * data[pixel + 2];
      values[to++] = luma * scale[0] + offset[0];
    } else {
      values[to++] = data[pixel + first] * scale[0] + offset[0];
      values[to++] = data[pixel + 1] * scale[1] + offset[1];
      values[to++] = data[pixel + last] * scale[2] + offset[2];
    }
  }
  return values;
}
