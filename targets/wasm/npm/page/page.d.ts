import type { Model, Port, Preprocess, Values } from "../src/index.js";

export interface PageOptions {
  name?: string;
  /** How pictures become inputs, if the plan doesn't tell. */
  recipe?: Preprocess;
  /** Whether it has fields to choose a picture with. */
  form?: boolean;
}

/** A page that stands. Failures are shown in it. */
export interface Page {
  /** Runs on values. */
  run(values: Values): Promise<void>;
  /** Runs on a file, which is a picture, or numbers; or on a picture. */
  take(source: Blob | ImageBitmap): Promise<void>;
}

/** Puts a page for `model` into `root`. */
export function show(root: HTMLElement, model: Model, options?: PageOptions): Page;

/** Calls `take` with files that are dropped on an element, or pasted into its document. */
export function acceptFiles(element: HTMLElement, take: (file: File) => void): void;

/** Whether there may be a camera to ask for. */
export function hasCamera(): boolean;

/** A picture from the camera, which is off afterwards. */
export function snapshot(): Promise<ImageBitmap>;

/** Whether pictures can be the input. */
export function isPicture(input: Pick<Port, "shape">): boolean;

/** The input for a bitmap, which is shown on `canvas`. */
export function inputOf(bitmap: ImageBitmap, input: Port, canvas: HTMLCanvasElement, recipe?: Preprocess): Float32Array;

/** Scores of classes as shares of one: as they are if they are such, else their softmax. */
export function shares(scores: Float32Array): Float32Array | Float64Array;
