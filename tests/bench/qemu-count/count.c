/* Counts executed instructions exactly, between markers, by class.
 *
 *   qemu-system-arm ... -plugin libcount.so,out=FILE
 *   qemu-aarch64 -plugin libcount.so,out=FILE ...
 *
 * The emulator translates code in blocks. A block is cut here into segments: one from its
 * start to the first marker, one behind each marker. What a segment executes is known when it
 * is translated, so one callback at its start adds it all: exact, because a block that has
 * been entered is run to its end (no instruction of the counted sections faults), and cheap.
 * Whether a branch was taken shows at the start of the block that follows.
 *
 * FILE receives JSON lines, as README.md beside this file describes. Counting follows one
 * core; a second core would be mixed in. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "a64.h"
#include "api.h"
#include "thumb.h"

/* The emulator refuses a plugin that does not say which interface it speaks. */
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* The fields of a record, in order: all instructions, the classes, then events. */
enum { FIELD_TOTAL, FIELD_CLASS, FIELD_MULTI_REGS = FIELD_CLASS + CLASS_COUNT, FIELD_TAKEN,
       FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {
    "total", "alu", "load", "load_pipelined", "store", "multi", "mul", "div", "branch", "loop",
    "fp", "fp_mac", "fp_div", "mve", "mve_mem", "other", "multi_regs", "branches_taken",
};

/* The markers: n of DBG #n, of MOV Rn, Rn or of HINT #(96 + n). `src/mark.rs` of each target places them. */
enum marker {
    MARK_BEGIN_INFERENCE = 1,
    MARK_END_INFERENCE = 2,
    MARK_LAP = 3,
    MARK_BEGIN_START_UP = 4,
    MARK_END_START_UP = 5,
    MARK_BEGIN_SECTION = 6,
    MARK_END_SECTION = 7,
    MARK_PAUSE = 8,
    MARK_RESUME = 9,
};

struct counts { uint64_t field[FIELD_COUNT]; };

struct segment {
    struct counts counts;
    uint64_t start;  /* address of the first instruction */
    uint64_t end;    /* address behind the last one */
    bool branches;   /* the last instruction may write the program counter */
    bool heads;      /* starts a translated block */
    int marker;      /* handled before the segment is counted, or -1 */
};

static FILE *out;
static enum markers markers = MARKERS_DBG;
static bool a64;                      /* the core runs 64-bit instructions */
static struct counts now;             /* since the emulator started */
static const struct segment *previous;
static bool paused;

static struct {
    const char *name;                 /* NULL: no section is open */
    struct counts begin;
    struct counts *laps;              /* the state of `now` at each lap */
    size_t lap_count, lap_room;
} section;

static void die(const char *what) {
    fprintf(stderr, "qemu-count: %s\n", what);
    exit(70);
}

static void print_difference(const struct counts *from, const struct counts *to) {
    for (int i = 0; i < FIELD_COUNT; i++)
        fprintf(out, "%s%" PRIu64, i ? "," : "[", to->field[i] - from->field[i]);
    fputc(']', out);
}

static void open_section(const char *name) {
    if (section.name) die("a section begins inside another one");
    section.name = name;
    section.begin = now;
    section.lap_count = 0;
}

static void close_section(const char *name) {
    if (!section.name || strcmp(section.name, name) != 0) die("a section ends that has not begun");
    fprintf(out, "{\"record\":\"section\",\"name\":\"%s\",\"counts\":", name);
    print_difference(&section.begin, &now);
    fputs(",\"laps\":[", out);
    const struct counts *from = &section.begin;
    for (size_t i = 0; i < section.lap_count; i++) {
        if (i) fputc(',', out);
        print_difference(from, &section.laps[i]);
        from = &section.laps[i];
    }
    fputs("]}\n", out);
    fflush(out);
    section.name = NULL;
}

static void lap(void) {
    if (!section.name) return; /* a lap outside a section tells nothing */
    if (section.lap_count == section.lap_room) {
        section.lap_room = section.lap_room ? 2 * section.lap_room : 256;
        section.laps = realloc(section.laps, section.lap_room * sizeof *section.laps);
        if (!section.laps) die("no memory for laps");
    }
    section.laps[section.lap_count++] = now;
}

static void handle_marker(int n) {
    switch (n) {
    case MARK_BEGIN_INFERENCE: open_section("inference"); break;
    case MARK_END_INFERENCE: close_section("inference"); break;
    case MARK_LAP: lap(); break;
    case MARK_BEGIN_START_UP: open_section("start-up"); break;
    case MARK_END_START_UP: close_section("start-up"); break;
    case MARK_BEGIN_SECTION: open_section("section"); break;
    case MARK_END_SECTION: close_section("section"); break;
    case MARK_PAUSE: paused = true; break;
    case MARK_RESUME: paused = false; break;
    default: break; /* free for others */
    }
}

static void on_segment(unsigned int vcpu_index, void *userdata) {
    (void)vcpu_index;
    const struct segment *segment = userdata;
    if (!paused && segment->heads && previous && previous->branches && previous->end != segment->start)
        now.field[FIELD_TAKEN]++;
    if (segment->marker >= 0) handle_marker(segment->marker);
    if (!paused)
        for (int i = 0; i < FIELD_COUNT; i++) now.field[i] += segment->counts.field[i];
    previous = segment;
}

static struct segment *new_segment(uint64_t start, int marker, bool heads) {
    struct segment *segment = calloc(1, sizeof *segment);
    if (!segment) die("no memory for a segment");
    segment->start = segment->end = start;
    segment->marker = marker;
    segment->heads = heads;
    return segment; /* lives as long as the translated code: until the emulator ends */
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    struct segment *segment = NULL;
    bool follows_access = false; /* the instruction before is a single load or store */
    size_t n = qemu_plugin_tb_n_insns(tb);

    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        unsigned size = (unsigned)qemu_plugin_insn_size(insn);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        struct decoded d = a64 ? a64_decode(bytes) : thumb_decode(bytes, size, markers);

        if (!segment) {
            segment = new_segment(address, -1, true);
            qemu_plugin_register_vcpu_tb_exec_cb(tb, on_segment, QEMU_PLUGIN_CB_NO_REGS, segment);
        }
        if (d.marker >= 0) {
            /* The marker itself is not counted: without a plugin it is not there. */
            segment = new_segment(address, d.marker, false);
            segment->end = address + size;
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_segment, QEMU_PLUGIN_CB_NO_REGS,
                                                   segment);
            continue;
        }
        if (d.class == CLASS_LOAD && follows_access) d.class = CLASS_LOAD_PIPELINED;
        follows_access = d.single_mem;
        segment->counts.field[FIELD_TOTAL]++;
        segment->counts.field[FIELD_CLASS + d.class]++;
        segment->counts.field[FIELD_MULTI_REGS] += d.regs;
        segment->end = address + size;
        segment->branches = d.branches;
    }
}

static void at_exit(qemu_plugin_id_t id, void *userdata) {
    static const struct counts zero;
    (void)id;
    (void)userdata;
    fputs("{\"record\":\"run\",\"counts\":", out);
    print_difference(&zero, &now);
    fputs("}\n", out);
    fclose(out);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    a64 = strcmp(info->target_name, "aarch64") == 0;
    if (!a64 && strcmp(info->target_name, "arm") != 0) {
        fputs("qemu-count: only Arm is supported\n", stderr);
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "markers=mov") == 0) {
            markers = MARKERS_MOV;
            continue;
        }
        if (strncmp(argv[i], "out=", 4) != 0) {
            fprintf(stderr, "qemu-count: unknown option %s\n", argv[i]);
            return -1;
        }
        out = fopen(argv[i] + 4, "w");
    }
    if (!out) {
        fputs("qemu-count: out=FILE is missing or can't be written\n", stderr);
        return -1;
    }
    fputs("{\"record\":\"header\",\"version\":1,\"fields\":[", out);
    for (int i = 0; i < FIELD_COUNT; i++) fprintf(out, "%s\"%s\"", i ? "," : "", field_names[i]);
    fputs("]}\n", out);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
