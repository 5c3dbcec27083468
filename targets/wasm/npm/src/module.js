// Finding and starting the WebAssembly module.

import { MoteError } from "./errors.js";

// A module of one function with one SIMD instruction: `i32.const 0; i8x16.splat; drop`.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
]);

// A module of one function, with relaxed SIMD: `a * a + b`, of which `a * a` is exact only with one rounding.
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 31, 1, 29, 0,
  67, 0, 8, 128, 63, 253, 19, 67, 0, 8, 128, 63, 253, 19, 67, 0, 16, 128, 191, 253, 19, 253, 133, 2, 253, 31, 0, 11,
]);

// A module of one function: lane 0 of `i32x4.relaxed_dot_i8x16_i7x16_add` of the first argument everywhere, the second one
// everywhere, and 3.
const DOT = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 116, 0, 0, 10, 22, 1, 20, 0,
  32, 0, 253, 15, 32, 1, 253, 15, 65, 3, 253, 17, 253, 147, 2, 253, 27, 0, 11,
]);

// Compiled once per place, whoever asks.
const compiled = new Map();

/** Whether the engine has SIMD128. */
export function hasSimd() {
  return WebAssembly.validate(SIMD);
}

/**
 * Whether the engine has relaxed SIMD, and computes with it what is allowed: a product and a sum with one rounding or with
 * two. (Engines that compile it are known to give other numbers.)
 */
export function hasRelaxedSimd() {
  if (!WebAssembly.validate(RELAXED)) return false;
  const sum = new WebAssembly.Instance(new WebAssembly.Module(RELAXED)).exports.t();
  return sum === 2 ** -24 || sum === 0;
}

/**
 * Whether the relaxed dot product takes codes times numbers from 0 to 255 without losing anything: it does where the
 * processor has an instruction for it. Elsewhere pairs are limited to 16 bits, or the numbers count as codes.
 */
export function hasExactDot() {
  if (!hasRelaxedSimd() || !WebAssembly.validate(DOT)) return false;
  const { t } = new WebAssembly.Instance(new WebAssembly.Module(DOT)).exports;
  const codes = [-128, -127, -1, 0, 1, 2, 126, 127];
  return codes.every((code) => [0, 1, 127, 128, 254, 255].every((number) => t(code, number) === 4 * code * number + 3));
}

/** The module for this engine. The package's modules stand as literals, by which bundlers find them. */
export function own() {
  if (hasExactDot()) return new URL("../wasm/mote-dot.wasm", import.meta.url);
  if (hasRelaxedSimd()) return new URL("../wasm/mote-relaxed.wasm", import.meta.url);
  if (hasSimd()) return new URL("../wasm/mote-simd.wasm", import.meta.url);
  return new URL("../wasm/mote-plain.wasm", import.meta.url);
}

/** A module, compiled: `wasm` is compiled already, or its bytes, or its address. */
export async function moduleFrom(wasm) {
  if (wasm instanceof WebAssembly.Module) return wasm;
  if (wasm instanceof ArrayBuffer || ArrayBuffer.isView(wasm)) return WebAssembly.compile(wasm);
  const key = String(wasm);
  if (!compiled.has(key)) {
    const promise = bytesFrom(wasm, "module").then((bytes) => WebAssembly.compile(bytes));
    compiled.set(key, promise);
    // A failed download may succeed later.
    promise.catch(() => compiled.delete(key));
  }
  return compiled.get(key);
}

/** The bytes at an address; `file:` addresses are read where `fetch` can't. */
export async function bytesFrom(url, what) {
  const address = String(url);
  try {
    if (address.startsWith("file:") && globalThis.process?.versions?.node) {
      const { readFile } = await import(/* @vite-ignore */ "node:fs/promises");
      return await readFile(new URL(address));
    }
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (cause) {
    throw new MoteError("network", `the ${what} at ${address} could not be read: ${cause.message}`, { cause });
  }
}

/** An instance of its own for a network: it owns its memory, which goes with it. */
export async function start(module) {
  const now = () => (globalThis.performance ?? Date).now();
  return (await WebAssembly.instantiate(module, { mote: { now } })).exports;
}
