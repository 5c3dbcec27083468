// Whole networks, with what the host made of the same plans, in Node and in pages.

/**
 * What differs from the host, by name: codes by a bit, floats by more than 1e-5 of the range of the host's. `read` gives
 * the bytes of a file.
 */
export async function astray(Model, wasm, networks, read) {
  const differ = [];
  for (const { name, plan, inputs, outputs } of networks) {
    const model = await Model.load(await read(plan), { wasm });
    const [input] = model.inputs;
    const elements = (bytes) => new input.data.constructor(Uint8Array.from(bytes).buffer);
    const [given, wanted] = [elements(await read(inputs)), elements(await read(outputs))];
    const found = [];
    for (let at = 0; at < given.length; at += input.length) {
      found.push(...model.run(given.subarray(at, at + input.length))[0].data);
    }
    const exact = input.dtype === "int8";
    const bound = exact ? 0 : 1e-5 * (Math.max(...wanted) - Math.min(...wanted));
    const worst = Math.max(...found.map((x, i) => Math.abs(x - wanted[i])));
    if (found.length !== wanted.length || !(worst <= bound)) differ.push(`${name}: ${worst}, allowed ${bound}`);
  }
  return differ;
}
