import type { LoadOptions } from "../src/index.js";

/** The front end that a network was trained on: 32 features of 8 kHz sound every 16 ms, or 40 of 16 kHz every 32 ms. */
export type FrontEndName = "digits" | "wakeword";

/** Samples in, frames of features out: as firmware does it. */
export class FrontEnd {
  private constructor();
  static load(name: FrontEndName, options?: LoadOptions): Promise<FrontEnd>;
  /** Samples a second. */
  readonly rate: number;
  /** Samples of a frame. */
  readonly window: number;
  /** Samples from one frame to the next. */
  readonly hop: number;
  /** Features of a frame. */
  readonly mels: number;
  /** The frames that these samples complete: fractions of full scale, or 16-bit samples, in pieces of any length. */
  frames(samples: Float32Array | Int16Array): Float32Array[];
  /** Forgets everything that was heard. */
  reset(): void;
}

/** Consecutive results that name the same class and are sure enough. */
export interface Detection {
  class: number;
  /** Frames of the first and the last of these results. */
  first: number;
  last: number;
  /** Of the surest of them. */
  probability: number;
}

export interface DetectorOptions extends LoadOptions {
  /** Least probability; 0.6 without it. */
  threshold?: number;
  /** How many results one after another; 1 without it. */
  hold?: number;
}

/** Results of a network over a stream as detections. */
export class Detector {
  private constructor();
  static load(options?: DetectorOptions): Promise<Detector>;
  /** Takes the scores of the classes (reals) that came with `frame`: what ended and what became long enough. */
  take(frame: number, scores: Float32Array): { ended: Detection | null; began: Detection | null };
  /** Ends the stream: the detection that was going on. */
  finish(): Detection | null;
}
