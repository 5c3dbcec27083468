#include "thumb.h"

static bool in(uint32_t value, uint32_t mask, uint32_t want) { return (value & mask) == want; }

static unsigned ones(uint32_t value) { return (unsigned)__builtin_popcount(value); }

static struct decoded simple(enum insn_class class) {
    return (struct decoded){.class = class, .marker = -1};
}

static struct decoded branch(void) {
    return (struct decoded){.class = CLASS_BRANCH, .branches = true, .marker = -1};
}

static struct decoded single(bool load, bool to_pc) {
    return (struct decoded){.class = load ? CLASS_LOAD : CLASS_STORE,
                            .branches = to_pc,
                            .single_mem = true,
                            .marker = -1};
}

static struct decoded multi(unsigned regs, bool to_pc) {
    return (struct decoded){.class = CLASS_MULTI, .regs = regs, .branches = to_pc, .marker = -1};
}

static struct decoded narrow(uint32_t h) {
    if (in(h, 0xffc0, 0x4340)) return simple(CLASS_MUL);
    if (in(h, 0xff00, 0x4700)) return branch();                   /* BX, BLX */
    if (in(h, 0xfd87, 0x4487)) return branch();                   /* ADD, MOV to PC */
    if (in(h, 0xf800, 0x4800)) return single(true, false);        /* LDR literal */
    if (in(h, 0xf000, 0x5000)) return single((h & 0x0e00) >= 0x0600, false);
    if (in(h, 0xe000, 0x6000) || in(h, 0xe000, 0x8000)) return single(h & 0x0800, false);
    if (in(h, 0xf500, 0xb100)) return branch();                   /* CBZ, CBNZ */
    if (in(h, 0xfe00, 0xb400)) return multi(ones(h & 0x1ff), false); /* PUSH */
    if (in(h, 0xfe00, 0xbc00)) return multi(ones(h & 0x1ff), h & 0x100); /* POP */
    if (in(h, 0xff00, 0xbf00)) return simple((h & 0xf) ? CLASS_ALU : CLASS_OTHER); /* IT, hints */
    if (in(h, 0xff00, 0xbe00) || in(h, 0xffe0, 0xb660)) return simple(CLASS_OTHER); /* BKPT, CPS */
    if (in(h, 0xf000, 0xc000)) return multi(ones(h & 0xff), false); /* STM, LDM */
    if (in(h, 0xfe00, 0xde00)) return simple(CLASS_OTHER);        /* UDF, SVC */
    if (in(h, 0xf000, 0xd000) || in(h, 0xf800, 0xe000)) return branch();
    return simple(CLASS_ALU);
}

/* Coprocessor 8 to 15 space: floating point, Helium. `w` holds both halves. */
static struct decoded coprocessor(uint32_t w) {
    bool fp = in(w, 0x00000e00, 0x00000a00); /* coprocessors 10 and 11 */

    if (in(w, 0xfe000000, 0xec000000)) { /* loads, stores, 64-bit moves */
        if (in(w, 0x00000f00, 0x00000e00) || in(w, 0x00000f00, 0x00000f00)) /* VLDR.. with Q */
            return simple(CLASS_MVE_MEM);
        if (fp && in(w, 0x01200000, 0x01000000)) { /* VLDR, VSTR */
            if (w & 0x100) return multi(2, false); /* double word */
            return single(w & 0x00100000, false);
        }
        if (fp && in(w, 0x01a00000, 0x00000000)) return simple(CLASS_FP); /* VMOV two registers */
        if (fp) return multi(w & 0xff, false);                       /* VLDM, VSTM, VPUSH, VPOP */
        return simple(CLASS_OTHER);
    }
    if (in(w, 0xff000000, 0xfc000000) || in(w, 0xff000000, 0xfd000000)) /* VLD2/4, VCADD.. */
        return simple(in(w, 0x00001e00, 0x00001e00) ? CLASS_MVE_MEM : CLASS_MVE);
    if (fp && in(w, 0xff000000, 0xee000000) && !(w & 0x10)) { /* data processing */
        uint32_t op = w & 0x00b00000;
        if (op == 0x00000000 || op == 0x00100000) return simple(CLASS_FP_MAC); /* VMLA, VNMLA */
        if (op == 0x00900000 || op == 0x00a00000) return simple(CLASS_FP_MAC); /* VFNMA, VFMA */
        if (op == 0x00800000) return simple(CLASS_FP_DIV);
        if (op == 0x00b00000 && in(w, 0x000f00c0, 0x000100c0)) return simple(CLASS_FP_DIV);
        return simple(CLASS_FP);
    }
    if (fp && in(w, 0xff000000, 0xfe000000)) return simple(CLASS_FP); /* VSEL, VMAXNM, VRINT */
    if (fp && in(w, 0xff000010, 0xee000010)) return simple(CLASS_FP); /* moves, VMRS */
    return simple(CLASS_MVE);
}

static struct decoded wide(uint32_t w) {
    uint32_t rt = (w >> 12) & 0xf;

    if (in(w, 0xfffffff0, 0xf3af80f0)) { /* DBG #n: the markers */
        struct decoded d = simple(CLASS_OTHER);
        d.marker = (int)(w & 0xf);
        return d;
    }
    if (in(w, 0xec000000, 0xec000000)) return coprocessor(w);

    if (in(w, 0xfe000000, 0xe8000000)) {
        if (!(w & 0x00400000)) { /* LDM, STM; the register list is the lower half */
            if (in(w, 0xff800000, 0xe8800000) || in(w, 0xff800000, 0xe9000000))
                return multi(ones(w & 0xffff), (w & 0x00108000) == 0x00108000);
            return simple(CLASS_OTHER);
        }
        if (in(w, 0xfff000e0, 0xe8d00000)) return branch(); /* TBB, TBH */
        if (in(w, 0x01200000, 0x00000000)) return single(w & 0x00100000, false); /* exclusives */
        return multi(2, false); /* LDRD, STRD */
    }
    if (in(w, 0xfe000000, 0xea000000)) return simple(CLASS_ALU);

    if (in(w, 0xf8008000, 0xf0000000)) return simple(CLASS_ALU); /* immediates */
    if (in(w, 0xf8008000, 0xf0008000)) {
        if (in(w, 0xff80f001, 0xf000e001) || in(w, 0xff80f001, 0xf000c001))
            return (struct decoded){.class = CLASS_LOOP, .branches = true, .marker = -1};
        if (in(w, 0x00005000, 0x00000000) && in(w, 0x03800000, 0x03800000))
            return simple(CLASS_OTHER); /* MSR, MRS, hints, barriers */
        return branch();
    }

    if (in(w, 0xff000000, 0xf8000000) || in(w, 0xff000000, 0xf9000000)) {
        bool load = w & 0x00100000;
        if (load && rt == 15 && in(w, 0x00600000, 0x00400000)) return single(true, true);
        if (load && rt == 15) return simple(CLASS_ALU); /* PLD, PLI */
        return single(load, false);
    }
    if (in(w, 0xff000000, 0xfa000000)) return simple(CLASS_ALU);
    if (in(w, 0xff800000, 0xfb000000)) return simple(CLASS_MUL);
    if (in(w, 0xff800000, 0xfb800000))
        return simple(in(w, 0x00d000f0, 0x009000f0) ? CLASS_DIV : CLASS_MUL);
    return simple(CLASS_OTHER);
}

/* n of MOV Rn, Rn, or of MOV Rn+2, Rn+2 from 8 on; -1 of any other instruction, and of MOV R8, R8, which pads code. */
static int mov_marker(uint32_t h) {
    uint32_t to = (h & 7) | (h >> 4 & 8), from = h >> 3 & 0xf;
    if (!in(h, 0xff00, 0x4600) || to != from || from == 0 || from == 8 || from == 9 || from > 12) return -1;
    return (int)(from < 8 ? from : from - 2);
}

struct decoded thumb_decode(const uint8_t *bytes, unsigned size, enum markers markers) {
    uint32_t first = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    if (size == 2) {
        struct decoded d = narrow(first);
        if (markers == MARKERS_MOV) d.marker = mov_marker(first);
        return d;
    }
    uint32_t second = (uint32_t)bytes[2] | (uint32_t)bytes[3] << 8;
    return wide(first << 16 | second);
}
