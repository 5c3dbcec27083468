// The cases of the conformance suite, in Node and in pages.

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** Names of the cases whose results differ: codes by a bit, floats by more than the suite allows on the host. */
export async function differing(Model, wasm, cases) {
  const differ = [];
  for (const { name, plan, inputs, expected, exact } of cases) {
    const model = await Model.load(bytes(plan), { wasm });
    const elements = (input, port) => new port.data.constructor(bytes(input).buffer);
    const [{ data }] = model.run(...inputs.map((input, i) => elements(input, model.inputs[i])));
    const wanted = new data.constructor(bytes(expected).buffer);
    // Sums of up to 640 products of numbers up to 1.
    const near = (x, i) => Object.is(x, wanted[i]) || x === wanted[i] || (!exact && Math.abs(x - wanted[i]) < 640 / 2 ** 22);
    if (data.length !== wanted.length || !data.every(near)) differ.push(name);
  }
  return differ;
}
