// What the machine can do from registers and the first cache, in products per second: loops of a tile of four positions and
// eight channels, as the kernels have them, without anything else. The modules are put together here, instruction by
// instruction.

const simd = (...code) => [0xfd, ...code];
const LOAD = (offset) => simd(0x00, 4, ...leb(offset));
const LOAD_SPLAT = (offset) => simd(0x09, 2, ...leb(offset));
const F32 = { name: "f32", products: 4, body: side([...simd(0xe6, 0x01), ...simd(0xe4, 0x01)]) };
const F32_RELAXED = { name: "f32 relaxed", products: 4, body: side(null, simd(0x85, 0x02)) };
const I16 = { name: "i16", products: 8, body: side([...simd(0xba, 0x01), ...simd(0xae, 0x01)]) };
// Bytes, as weights of seven bits allow: products in pairs, which are added to others before they are widened.
const BYTES = { name: "bytes", products: 16, body: eights };

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

// Locals: 0 rounds, 1 place, 2-9 sums, from 10 on what a step needs.
const WEIGHTS = 10;
const INPUTS = 14;
const ONES = 16;
const LOCALS = 15;

/** A step of so many weights and inputs that a product takes one of each; an instruction for both takes the sum last. */
function side(add, fused) {
  return (step) => {
    const code = [];
    for (let half = 0; half < 2; half++) code.push(...get(1), ...LOAD(2048 + 16 * half + 32 * step), ...set(WEIGHTS + half));
    for (let position = 0; position < 4; position++) {
      code.push(...get(1), ...LOAD_SPLAT(4 * position + 16 * step), ...set(INPUTS));
      for (let half = 0; half < 2; half++) {
        const sum = get(2 + 2 * position + half);
        const factors = [...get(INPUTS), ...get(WEIGHTS + half)];
        code.push(...(fused ? [...factors, ...sum, ...fused] : [...sum, ...factors, ...add]), ...set(2 + 2 * position + half));
      }
    }
    return code;
  };
}

/** A step of eight inputs: four weights, two inputs of each position. */
function eights(step) {
  if (step % 2) return [];
  const code = [];
  for (let i = 0; i < 4; i++) code.push(...get(1), ...LOAD(2048 + 16 * i + 32 * step), ...set(WEIGHTS + i));
  for (let position = 0; position < 4; position++) {
    for (let i = 0; i < 2; i++) code.push(...get(1), ...LOAD_SPLAT(4 * position + 16 * (step + i)), ...set(INPUTS + i));
    for (let half = 0; half < 2; half++) {
      const pairs = (i) => [...get(WEIGHTS + 2 * i + half), ...get(INPUTS + i), ...simd(0x92, 0x02)];
      const widened = [...get(ONES), ...simd(0xba, 0x01)];
      const sum = 2 + 2 * position + half;
      code.push(...get(sum), ...pairs(0), ...pairs(1), ...simd(0x8e, 0x01), ...widened, ...simd(0xae, 0x01), ...set(sum));
    }
  }
  return code;
}

/** `run(rounds)`: so many rounds of 4 steps with 8 products of vectors each. */
function module({ body }) {
  const code = [1 + 1, 1, 0x7f, LOCALS, 0x7b, ...constant(1), ...simd(0x10), ...set(ONES), 0x03, 0x40]; // locals, ones, loop
  for (let step = 0; step < 4; step++) code.push(...body(step));
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
  const kinds = [F32, F32_RELAXED, I16, BYTES].map((kind) => ({ ...kind, bytes: module(kind) }));
  return kinds.filter(({ bytes }) => WebAssembly.validate(bytes)).map(({ name, products, bytes }) => {
    const { run } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    const rounds = 100_000;
    return { name: `peak ${name}`, macs: rounds * 4 * 8 * products, run: async () => run(rounds) };
  });
}
