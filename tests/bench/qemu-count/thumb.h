/* Sorts Thumb instructions into the classes of the Cortex-M4 timing table.
 *
 * Only what the timing table separates is told apart. The decoding follows the "Thumb
 * instruction set encoding" chapter of the ARMv7-M Architecture Reference Manual; what
 * ARMv8.1-M adds (Helium, low-overhead loops) gets classes of its own. */
#ifndef QEMU_COUNT_THUMB_H
#define QEMU_COUNT_THUMB_H

#include <stdbool.h>
#include <stdint.h>

/* Every executed instruction belongs to exactly one class. */
enum insn_class {
    CLASS_ALU,      /* integer arithmetic, logic, moves, shifts, SIMD without multiply, IT */
    CLASS_LOAD,     /* one load that does not follow a load or store */
    CLASS_LOAD_PIPELINED, /* one load right behind another load or store */
    CLASS_STORE,    /* one store */
    CLASS_MULTI,    /* LDM, STM, PUSH, POP, LDRD, STRD, VLDM, VSTM; see EVENT_MULTI_REGS */
    CLASS_MUL,      /* multiply and multiply-accumulate, SMLAD and its family */
    CLASS_DIV,      /* SDIV, UDIV */
    CLASS_BRANCH,   /* every branch; see EVENT_TAKEN */
    CLASS_LOOP,     /* DLS, WLS, LE and their predicated forms */
    CLASS_FP,       /* floating point that takes one cycle */
    CLASS_FP_MAC,   /* VMLA, VFMA and their family */
    CLASS_FP_DIV,   /* VDIV, VSQRT */
    CLASS_MVE,      /* Helium arithmetic */
    CLASS_MVE_MEM,  /* Helium loads and stores */
    CLASS_OTHER,    /* system instructions, barriers, hints, breakpoints */
    CLASS_COUNT
};

struct decoded {
    enum insn_class class;
    unsigned regs;   /* registers that a CLASS_MULTI instruction moves (32-bit words) */
    bool branches;   /* writes the program counter (or may do so) */
    bool single_mem; /* a single load or store: what follows can be pipelined */
    int marker;      /* n of a marker, otherwise -1 */
};

/* What stands for a marker: the hint DBG #n, or on cores that lack it MOV Rn, Rn. */
enum markers { MARKERS_DBG, MARKERS_MOV };

struct decoded thumb_decode(const uint8_t *bytes, unsigned size, enum markers markers);

#endif
