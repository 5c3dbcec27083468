// What the machine can do from registers and the first cache, in products per second: loops of a tile of four positions and
// eight channels, as the kernels have them, without anything else. The modules are put together here, instruction by
// instruction.

const simd = (...code) => [0xfd, ...code];
const LOAD = (offset) => simd(0x00, 4, ...leb(offset));
const LOAD_SPLAT = (offset) => simd(0x09, 2, ...leb(offset));
const F32 = { name: "f32", products: 4, add: [...simd(0xe6, 0x01), ...simd(0xe4, 0x01)] };
const F32_RELAXED = { name: "f32 relaxed", products: 4, fused: simd(0x85, 0x02) };
const I16 = { name: "i16", products: 8, add: [...simd(0xba, 0x01), ...simd(0xae, 0x01)] };

function leb(number) {
  const bytes = [];
  for (; number >= 0x80; number >>>= 7) bytes.push((number & 0x7f) | 0x80);
  return [...bytes, number];
}

const get = (local) => [0x20, ...leb(local)];
const set = (local) => [0x21, ...leb(local)];
const constant = (number) => [0x41, ...(number < 64 ? [number] : leb(number).length === 1 ? [number | 0x80, 0] : signed(number))];

function signed(number) {
  const bytes = leb(number);
  return bytes[bytes.length - 1] & 0x40 ? [...bytes.slice(0, -1), bytes[bytes.length - 1] | 0x80, 0] : bytes;
}

const section = (id, body) => [id, ...leb(body.length), ...body];

/** `run(rounds)`: so many rounds of 64 products of vectors: locals 0 rounds, 1 place, 2-9 sums, 10, 11 weights, 12 input. */
function module({ add, fused }) {
  const code = [1 + 1, 1, 0x7f, 11, 0x7b, 0x03, 0x40]; // locals, loop
  for (let step = 0; step < 4; step++) {
    code.push(...get(1), ...LOAD(2048 + 32 * step), ...set(10), ...get(1), ...LOAD(2064 + 32 * step), ...set(11));
    for (let position = 0; position < 4; position++) {
      code.push(...get(1), ...LOAD_SPLAT(4 * position + 16 * step), ...set(12));
      for (let half = 0; half < 2; half++) {
        const sum = get(2 + 2 * position + half);
        const factors = [...get(12), ...get(10 + half)];
        // A product and an addition take the sum last or first; one instruction for both takes it last.
        code.push(...(fused ? [...factors, ...sum, ...fused] : [...sum, ...factors, ...add]), ...set(2 + 2 * position + half));
      }
    }
  }
  // place = (place + 128) & 1023; rounds -= 1; again?
  code.push(...get(1), ...constant(128), 0x6a, ...constant(1023), 0x71, ...set(1));
  code.push(...get(0), ...constant(1), 0x6b, 0x22, 0, 0x0d, 0, 0x0b);
  // All sums count.
  code.push(...get(2));
  for (let sum = 3; sum < 10; sum++) code.push(...get(sum), ...simd(0x51));
  code.push(...simd(0x1b, 0), 0x0b);
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7f]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [1, 3, 0x72, 0x75, 0x6e, 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

/** Contestants of a run: each turn computes; `macs` are the products of a turn. */
export function peaks() {
  const kinds = [F32, F32_RELAXED, I16].map((kind) => ({ ...kind, bytes: module(kind) }));
  return kinds.filter(({ bytes }) => WebAssembly.validate(bytes)).map(({ name, products, bytes }) => {
    const { run } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    const rounds = 100_000;
    return { name: `peak ${name}`, macs: rounds * 4 * 8 * products, run: async () => run(rounds) };
  });
}
