#include "a64.h"

/* Hints from this number on are markers. */
enum { FIRST_HINT = 96, HINTS = 16 };

struct decoded a64_decode(const uint8_t *bytes) {
    uint32_t word = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    struct decoded d = { .class = CLASS_ALU, .marker = -1 };

    if ((word & 0xfffff01f) == 0xd503201f) { /* HINT */
        int hint = (int)(word >> 5 & 0x7f);
        d.class = CLASS_OTHER;
        if (hint >= FIRST_HINT && hint < FIRST_HINT + HINTS) d.marker = hint - FIRST_HINT;
        return d;
    }
    unsigned group = word >> 25 & 15;
    if ((group & 5) == 4) {           /* x1x0: loads and stores */
        bool vector = word >> 26 & 1, pair = (word >> 27 & 7) == 5;
        bool load = word >> 22 & 1;   /* not of literals and atomics, which hot loops lack */
        d.class = vector ? CLASS_MVE_MEM : pair ? CLASS_MULTI : load ? CLASS_LOAD : CLASS_STORE;
        d.regs = d.class == CLASS_MULTI ? 4 : 0;
    } else if ((group & 14) == 10) {  /* 101x: branches, exceptions, system */
        bool system = word >> 24 == 0xd4 || word >> 24 == 0xd5;
        d.class = system ? CLASS_OTHER : CLASS_BRANCH;
        d.branches = !system;
    } else if ((group & 7) == 7) {    /* x111: floating point and vectors */
        d.class = CLASS_MVE;
    } else if ((word >> 24 & 0x1f) == 0x1b) { /* three sources */
        d.class = CLASS_MUL;
    }
    return d;
}
