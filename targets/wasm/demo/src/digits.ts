// Spoken digits from the microphone or a recording, through a streaming network, frame by frame.

import { Model } from "mote-runtime";
import { type Detection, Detector, FrontEnd } from "mote-runtime/audio";
import { shares } from "mote-runtime/page";

import { type Mark, type Moment, colour, draw } from "./plot.js";
import { choosePlan, provided, told } from "./provided.js";
import { microphone, recorded } from "./sound.js";

const part = <Part extends HTMLElement>(role: string) => document.querySelector<Part>(`[data-role="${role}"]`)!;
const plot = part<HTMLCanvasElement>("plot");
const listenButton = part<HTMLButtonElement>("listen");

/** Seconds that the plot shows of what the microphone hears. */
const SECONDS = 6;
/** As the firmware's app decides: so many results in a row, so sure. */
const DECISION = { threshold: 0.6, hold: 6 };
const IGNORED = ["background"];

/** A network that listens from the start of a sound on. */
class Listener {
  readonly moments: Moment[] = [];
  readonly marks: Mark[] = [];
  /** Milliseconds of computing. */
  #hearing = 0;
  #running = 0;

  private constructor(
    readonly model: Model,
    readonly labels: string[],
    readonly front: FrontEnd,
    readonly detector: Detector,
  ) {}

  static async on(model: Model): Promise<Listener> {
    const [front, detector] = await Promise.all([FrontEnd.load("digits"), Detector.load(DECISION)]);
    if (!model.streaming || model.inputs[0].frameLength !== front.mels) {
      throw new Error(`a plan for frames of ${front.mels} features is needed: mote convert --stream`);
    }
    model.reset();
    return new Listener(model, model.labels, front, detector);
  }

  take(samples: Float32Array) {
    const begin = performance.now();
    const frames = this.front.frames(samples);
    this.#hearing += performance.now() - begin;
    for (const features of frames) this.#frame(features);
  }

  #frame(features: Float32Array) {
    const begin = performance.now();
    const outputs = this.model.step(features);
    this.#running += performance.now() - begin;
    const scores = outputs?.[0].toFloat32();
    if (scores) {
      const { ended, began } = this.detector.take(this.moments.length, scores);
      if (ended) this.#mark(ended, true);
      if (began) this.#mark(began, false);
    }
    this.moments.push({ features, shares: scores ? shares(scores) : null });
  }

  /** The sound is over. */
  finish() {
    const ended = this.detector.finish();
    if (ended) this.#mark(ended, true);
  }

  #mark({ class: index, first, last, probability }: Detection, over: boolean) {
    const text = this.labels[index] ?? `class ${index}`;
    if (IGNORED.includes(text)) return;
    if (over) {
      Object.assign(this.marks[this.marks.length - 1], { last });
      return;
    }
    this.marks.push({ first, last, text });
    const item = document.createElement("li");
    item.textContent = `${text} at ${this.seconds(last).toFixed(2)} s, ${(100 * probability).toFixed(0)} %`;
    part("heard").append(item);
  }

  /** Seconds of sound up to the end of a frame. */
  seconds(frame: number): number {
    return (this.front.window + this.front.hop * frame) / this.front.rate;
  }

  tellCost() {
    const count = this.moments.length;
    if (count === 0) return;
    const every = (1000 * this.front.hop) / this.front.rate;
    const [hearing, running] = [this.#hearing, this.#running].map((ms) => (1000 * ms) / count);
    const share = ((hearing + running) / (10 * every)).toFixed(2);
    part("cost").textContent =
      `${count} frames, one every ${every} ms: front end ${hearing.toFixed(0)} µs, network ${running.toFixed(0)} µs, ` +
      `together ${share} % of the time`;
  }
}

let model: Model | undefined;
let stop: (() => void) | undefined;

/** A listener on the plan that was chosen, with nothing heard before it. */
async function fresh(): Promise<Listener> {
  silence();
  part("heard").replaceChildren();
  return Listener.on(model!);
}

function silence() {
  stop?.();
  stop = undefined;
  listenButton.textContent = "Listen";
}

async function listen() {
  const listener = await fresh();
  const frames = Math.round((SECONDS * listener.front.rate) / listener.front.hop);
  const close = await microphone(listener.front.rate, (samples) => listener.take(samples));
  let going = true;
  const show = () => {
    if (!going) return;
    const end = Math.max(listener.moments.length, frames);
    draw(plot, listener.moments, listener.marks, end - frames, end);
    listener.tellCost();
    requestAnimationFrame(show);
  };
  stop = () => {
    going = false;
    close();
    listener.finish();
  };
  listenButton.textContent = "Stop";
  show();
}

async function hear(file: File) {
  const listener = await fresh();
  listener.take(await recorded(file, listener.front.rate));
  listener.finish();
  draw(plot, listener.moments, listener.marks, 0, listener.moments.length);
  listener.tellCost();
}

listenButton.addEventListener("click", () => told(async () => (stop ? silence() : listen())));
part("recording").addEventListener("change", ({ target }) => {
  const input = target as HTMLInputElement;
  const file = input.files?.[0];
  if (file) void told(() => hear(file));
  // The same file may be chosen again.
  input.value = "";
});

told(async () => {
  const { streams } = await provided();
  await choosePlan(document.querySelector("header")!, streams, 0, (_, source) =>
    told(async () => {
      silence();
      model = await Model.load(source);
      const { labels } = model;
      part("legend").replaceChildren(
        ...labels.map((label, i) => {
          const item = Object.assign(document.createElement("li"), { textContent: label });
          item.style.setProperty("--colour", colour(i, labels.length));
          return item;
        }),
      );
      listenButton.disabled = !navigator.mediaDevices?.getUserMedia;
      part<HTMLInputElement>("recording").disabled = false;
    }),
  );
});
