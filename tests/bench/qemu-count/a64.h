/* Sorts A64 instructions into the classes of thumb.h, roughly: integer arithmetic, loads, stores, pairs, branches;
 * `mve` and `mve_mem` are vectors (and floating point) and their loads and stores. The decoding follows the top level
 * of the "A64 instruction set encoding" chapter of the Arm Architecture Reference Manual. */
#ifndef QEMU_COUNT_A64_H
#define QEMU_COUNT_A64_H

#include "thumb.h"

struct decoded a64_decode(const uint8_t *bytes);

#endif
