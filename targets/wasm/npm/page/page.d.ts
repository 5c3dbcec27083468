import type { Model, Port, Values } from "../src/index.js";

/** How pictures become inputs: fractions of full scale, less `mean`, by `std`. */
export interface Recipe {
  mean?: number[];
  std?: number[];
  order?: "rgb" | "bgr" | "grey";
  /** Size of the short side of which the input's size is the centre; 0 for the whole picture, stretched. */
  cropFrom?: number;
}

export interface PageOptions {
  name?: string;
  recipe?: Recipe | null;
  /** Whether to offer the camera. */
  camera?: boolean;
}

/** A page that stands. Failures are shown in it. */
export interface Page {
  /** Runs on values. */
  run(values: Values): Promise<void>;
  /** Runs on a file: a picture, or numbers. */
  take(file: File): Promise<void>;
}

/** Puts a page for `model` into `root`. */
export function show(root: HTMLElement, model: Model, options?: PageOptions): Page;

/** Whether pictures can be the input. */
export function isPicture(input: Pick<Port, "shape">): boolean;

/** The input for a bitmap, which is shown on `canvas`. */
export function inputOf(
  bitmap: ImageBitmap,
  input: Port,
  recipe: Recipe | null,
  canvas: HTMLCanvasElement,
): Float32Array;
