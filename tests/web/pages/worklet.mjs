import { Model } from "/mote/src/index.js";

registerProcessor("mote", class extends AudioWorkletProcessor {
  constructor({ processorOptions: { wasm, plan, input } }) {
    super();
    Model.load(plan, { wasm }).then((model) => {
      const codes = new Int8Array(input.buffer).subarray(0, model.inputs[0].length);
      this.port.postMessage(Array.from(model.run(codes)[0].data));
    }, (error) => this.port.postMessage(error.message));
  }

  process() {
    return true;
  }
});
