// The package's modules, and which of them this engine can run.

import { hasExactDot, hasRelaxedSimd } from "../src/index.js";

export const MODULES = ["mote-dot", "mote-relaxed", "mote-simd", "mote-plain"];

const able = { "mote-dot": hasExactDot, "mote-relaxed": hasRelaxedSimd };

/** Why a module can't run here; `false` if it can. */
export function unable(name) {
  return name in able && !able[name]() && "this engine lacks what the module needs";
}
