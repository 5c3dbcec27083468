// An audio worklet that hands samples on, a block at a time.

registerProcessor(
  "tap",
  class extends AudioWorkletProcessor {
    process([[samples]]) {
      if (samples) this.port.postMessage(samples.slice());
      return true;
    }
  },
);
