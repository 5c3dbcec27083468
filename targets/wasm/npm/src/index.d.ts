/** Codes of failures. */
export type ErrorCode =
  /** Not a plan, or of another version. */
  | "incompatible"
  /** The plan's bytes are damaged. */
  | "corrupt"
  /** The plan contradicts itself. */
  | "invalid"
  /** Another number of elements, or another size of a picture. */
  | "buffer"
  /** The module lacks a kernel of the plan. */
  | "missing-kernel"
  /** Another call is meant: `run`, `step`. */
  | "usage"
  /** Elements of another type. */
  | "type"
  | "out-of-memory"
  /** The model was disposed of. */
  | "closed"
  /** The plan or the module could not be read. */
  | "network";

/** A failure. */
export class MoteError extends Error {
  readonly code: ErrorCode;
}

export type DType = "int8" | "int16" | "int32" | "float32" | "float16" | "uint8";
export type Elements = Int8Array | Int16Array | Int32Array | Float32Array | Uint16Array | Uint8Array;
/** Elements of the input's type, or reals, which are quantized. */
export type Values = Elements | Float64Array | number[];

/** How pictures become an input: fractions of full scale, less `mean`, by `std`, of each channel. */
export interface Preprocess {
  mean?: number[];
  std?: number[];
  order?: "rgb" | "bgr" | "grey";
  /** Length of the short side of which the input's size is the centre; 0 for the whole picture, stretched. */
  cropFrom?: number;
}

/** An input or output of a network. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: number[];
  /** Elements of the whole tensor. */
  readonly length: number;
  /** Elements of a frame of a stream; of the whole tensor where there are none. */
  readonly frameLength: number;
  /** `real = (code - zeroPoint) * scale`; `null` for floats. */
  readonly quantization: { scale: number; zeroPoint: number } | null;
  /** How pictures become this input, if the plan tells. */
  readonly preprocess: Preprocess | null;
  /** The elements where they lie, without a copy. The next run overwrites them. */
  readonly data: Elements;
  /** The numbers as reals, a copy. */
  toFloat32(): Float32Array;
  /** Writes the tensor (or `length` elements of it). */
  write(values: Values, length?: number): void;
}

/** Time of a step. */
export interface Lap {
  name: string;
  kernel: string;
  /** Multiplications of a run. */
  macs: number;
  /** Milliseconds of a run. */
  ms: number;
}

export interface LoadOptions {
  /** The WebAssembly module, if not the package's own: its address, its bytes, or compiled. */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
}

/** A network, ready to run. */
export class Model {
  private constructor();
  /** Loads a plan from its address or bytes. */
  static load(source: string | URL | BufferSource, options?: LoadOptions): Promise<Model>;
  readonly inputs: Port[];
  readonly outputs: Port[];
  /** Whether it takes frames (`step`) instead of whole inputs (`run`). */
  readonly streaming: boolean;
  /** Names of classes; empty if the plan has none. */
  readonly labels: string[];
  /** Bytes of memory: module, plan, arena and state. */
  readonly memoryBytes: number;
  /**
   * Computes the outputs, whose `data` the next run overwrites; pictures become inputs as the plan tells. Without values:
   * from what `inputs[i].data` hold.
   */
  run(...values: (Values | ImageData)[]): Port[];
  /** Delivers the next frame; `null` while more frames are needed. */
  step(frame?: Values): Port[] | null;
  /** Forgets everything that a stream has seen. */
  reset(): void;
  /** Times of the steps. */
  profile(values?: (Values | ImageData)[], options?: { runs?: number }): Lap[];
  /** Lets the memory go. */
  dispose(): void;
}

/** Whether the engine has SIMD128. */
export function hasSimd(): boolean;

/** Whether the engine has relaxed SIMD and computes with it what is allowed. */
export function hasRelaxedSimd(): boolean;

/** Whether its relaxed dot product takes codes times numbers from 0 to 255 without losing anything. */
export function hasExactDot(): boolean;

/** A picture of the input's size as its reals, by the recipe, or by the plan's. */
export function fromImageData(image: ImageData, port: Port, recipe?: Preprocess | null): Float32Array;
