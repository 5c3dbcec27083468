import { Model } from "/mote/src/index.js";

const model = await Model.load("/golden/plain.mote");
const input = new Int8Array(await (await fetch("/golden/plain.input")).arrayBuffer());
postMessage(Array.from(model.run(input.subarray(0, model.inputs[0].length))[0].data));
