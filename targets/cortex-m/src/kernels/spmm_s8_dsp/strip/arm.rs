//! The loops in assembler: all output channels of a strip in one of them.

use core::arch::asm;

use super::{Layer, Multiply};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// Four channels a turn, of two positions.
pub fn turn<const W: usize>(fours: &mut [[[u32; W]; 4]], pair: usize, a: &[[u8; 4]], b: &[[u8; 4]]) {
    let turns = fours.len().min(a.len()).min(b.len());
    if turns == 0 || pair >= W {
        return;
    }
    // SAFETY: reads as many words of both as are turned, at any address, and writes word `pair` of four times as many
    // channels, which lie in `fours`.
    unsafe {
        asm!(
            "2:",
            "ldr {a}, [{from_a}], #4",
            "ldr {b}, [{from_b}], #4",
            "subs {turns}, {turns}, #1",
            "sxtb16 {c}, {a}",
            "sxtb16 {d}, {b}",
            "sxtb16 {a}, {a}, ror #8",
            "sxtb16 {b}, {b}, ror #8",
            "sadd16 {c}, {c}, {c}",
            "sadd16 {d}, {d}, {d}",
            "sadd16 {a}, {a}, {a}",
            "sadd16 {b}, {b}, {b}",
            "pkhbt {e}, {c}, {d}, lsl #16",
            "pkhtb {d}, {d}, {c}, asr #16",
            "pkhbt {c}, {a}, {b}, lsl #16",
            "pkhtb {b}, {b}, {a}, asr #16",
            "str {c}, [{to}, #{second}]",
            "str {d}, [{to}, #{third}]",
            "str {b}, [{to}, #{fourth}]",
            "str {e}, [{to}], #{all}",
            "bne 2b",
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _, e = out(reg) _,
            from_a = inout(reg) a.as_ptr() => _,
            from_b = inout(reg) b.as_ptr() => _,
            to = inout(reg) fours.as_mut_ptr().cast::<u32>().wrapping_add(pair) => _,
            turns = inout(reg) turns => _,
            second = const 4 * W,
            third = const 8 * W,
            fourth = const 12 * W,
            all = const 16 * W,
            options(nostack),
        );
    }
}

/// What the loops keep on the stack.
#[repr(C)]
struct Frame {
    x: *const u32,
    channels: *const super::Channel,
    channels_end: *const super::Channel,
    entries: *const u8,
    to: *mut i8,
    /// Bytes from position to position.
    outputs: usize,
    zero_point: i32,
    /// Of the last position, from the first one on.
    last: usize,
    /// Bytes of code that store the positions which are missing.
    skipped: usize,
}

const WORDS: usize = 9;

impl Frame {
    fn new<const W: usize>(layer: &Layer<'_>, x: &[[u32; W]], to: &mut [i8], positions: usize) -> Self {
        const { assert!(size_of::<Self>() == WORDS * 4) };
        let channels = layer.channels.as_ptr_range();
        Self {
            x: x.as_ptr().cast(),
            channels: channels.start,
            channels_end: channels.end,
            entries: layer.entries.as_ptr(),
            to: to.as_mut_ptr(),
            outputs: layer.outputs,
            zero_point: layer.zero_point,
            last: positions.saturating_sub(1) * layer.outputs,
            skipped: (2 * W).saturating_sub(positions) * 8,
        }
    }
}

/// R6 points to the entries; the frame that r0 points to is copied to the stack.
macro_rules! enter {
    () => {
        "push {{r6, r7}}
        ldr r6, [r0, #12]
        ldm r0!, {{r1, r2, r3, r4, r5, r8, r9, r10}}
        ldr r11, [r0]
        push {{r1, r2, r3, r4, r5, r8, r9, r10, r11}}"
    };
}

/// Declares `mote_code`: the code of a sum in `r`, with the multiplier in `m`, the power in `p` and the zero point in lr.
macro_rules! code {
    ($high:literal, $away:literal) => {
        concat!(
            ".macro mote_code r, m, p\n",
            $high,
            "\n",
            $away,
            "\n",
            "smmlar \\r, \\r, \\p, lr
            ssat \\r, #8, \\r
            .endm"
        )
    };
}

/// The loops of one rounding. `$high` and `$away` are the first two steps of `stage::code` on register `\r` with the
/// multiplier in `\m`.
macro_rules! loops {
    ($rounding:ident, $high:literal, $away:literal) => {
        impl Multiply<$rounding> for () {
            fn eight(layer: &Layer<'_>, x: &[[u32; 4]], to: &mut [i8], positions: usize) {
                let frame = Frame::new(layer, x, to, positions);
                single_weights!(
                    frame, $high, $away,
                    first: ["mov r4, r0", "mov r5, r0", "mov r8, r0", "mov r9, r0"],
                    step: "add lr, lr, r10, lsl #4",
                    more: [
                        "ldrd r10, r11, [lr, #8]",
                        "smlabb r4, r10, r12, r4",
                        "smlatb r5, r10, r12, r5",
                        "smlabb r8, r11, r12, r8",
                        "smlatb r9, r11, r12, r9"
                    ],
                    codes: ["mote_code r4, r10, r11", "mote_code r5, r10, r11", "mote_code r8, r10, r11", "mote_code r9, r10, r11"],
                    whole: [
                        "strb r4, [r10, r11, lsl #2]",
                        "add r10, r10, r11",
                        "strb r5, [r10, r11, lsl #2]",
                        "add r10, r10, r11",
                        "strb r3, [r10, r11]",
                        "strb r8, [r10, r11, lsl #2]",
                        "add r10, r10, r11",
                        "strb r9, [r10, r11, lsl #2]"
                    ],
                    last: ["mote_down r9", "mote_down r8", "mote_down r5", "mote_down r4"],
                    copies: ["mote_down r0", "mote_down r0", "mote_down r0", "mote_down r0"]
                );
            }

            fn four(layer: &Layer<'_>, x: &[[u32; 2]], to: &mut [i8], positions: usize) {
                let frame = Frame::new(layer, x, to, positions);
                single_weights!(
                    frame, $high, $away,
                    first: [""],
                    step: "add lr, lr, r10, lsl #3",
                    more: [""],
                    codes: [""],
                    whole: ["add r10, r10, r11, lsl #1", "strb r3, [r10, r11]"],
                    last: [""],
                    copies: [""]
                );
            }

            fn two_by_four(layer: &Layer<'_>, x: &[[u32; 1]], to: &mut [i8], positions: usize) {
                let frame = Frame::new(layer, x, to, positions);
                // SAFETY: as below; a block has four channels, and bytes of each position.
                unsafe {
                    asm!(
                        code!($high, $away),
                        ".macro mote_begin a, b, at",
                        r"ldr \a, [r12, #\at]",
                        r"mov \b, \a",
                        ".endm",
                        ".macro mote_end a, b, at",
                        r"ldrd r10, r11, [r12, #\at]",
                        r"mote_code \a, r10, r11",
                        r"mote_code \b, r10, r11",
                        ".endm",
                        enter!(),

                        "1:",
                        "ldr r12, [sp, #4]",
                        "ldr lr, [sp]",
                        "ldrd r0, r7, [r12]",
                        "mov r4, r0",
                        "mote_begin r1, r5, 16",
                        "mote_begin r2, r8, 32",
                        "mote_begin r3, r9, 48",
                        "cbz r7, 3f",
                        "add r7, r7, r7, lsl #2",
                        "add r7, r7, r6",
                        "2:",
                        "ldrb r10, [r6], #5",
                        "ldr r12, [r6, #-4]",
                        "add lr, lr, r10, lsl #2",
                        "ldr r10, [lr]",
                        "sxtb16 r11, r12",
                        "sxtb16 r12, r12, ror #8",
                        "smlabb r0, r10, r11, r0",
                        "smlatb r4, r10, r11, r4",
                        "smlabb r1, r10, r12, r1",
                        "smlatb r5, r10, r12, r5",
                        "smlabt r2, r10, r11, r2",
                        "smlatt r8, r10, r11, r8",
                        "smlabt r3, r10, r12, r3",
                        "smlatt r9, r10, r12, r9",
                        "cmp r6, r7",
                        "bne 2b",
                        "3:",
                        "ldr r12, [sp, #4]",
                        "ldr lr, [sp, #24]",
                        "mote_end r0, r4, 8",
                        "mote_end r1, r5, 24",
                        "mote_end r2, r8, 40",
                        "mote_end r3, r9, 56",
                        "ldrd r10, r11, [sp, #16]",
                        "add r12, r12, #64",
                        "ldr lr, [sp, #28]",
                        "str r12, [sp, #4]",
                        // The last position first: if there is but one, its sums are in both.
                        "add lr, lr, r10",
                        "strb r4, [lr]",
                        "strb r5, [lr, #1]",
                        "strb r8, [lr, #2]",
                        "strb r9, [lr, #3]",
                        "strb r1, [r10, #1]",
                        "strb r2, [r10, #2]",
                        "strb r3, [r10, #3]",
                        "strb r0, [r10], #4",
                        "ldr lr, [sp, #8]",
                        "str r10, [sp, #16]",
                        "cmp r12, lr",
                        "bne 1b",
                        "add sp, sp, #36",
                        "pop {{r6, r7}}",
                        ".purgem mote_code",
                        ".purgem mote_begin",
                        ".purgem mote_end",
                        inlateout("r0") &raw const frame => _,
                        out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _,
                        out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                    );
                }
            }
        }
    };
}

/// One output channel after the other: what a loop of eight positions has and one of four does not is given.
macro_rules! single_weights {
    (
        $frame:ident, $high:literal, $away:literal,
        first: [$($first:literal),*],
        step: $step:literal,
        more: [$($more:literal),*],
        codes: [$($codes:literal),*],
        whole: [$($whole:literal),*],
        last: [$($last:literal),*],
        copies: [$($copies:literal),*]
    ) => {
        // SAFETY: entries lead nowhere but to channels of `x`, and there are as many as the channels tell (`Layer`); `to`
        // has a byte of each channel at all positions, and those that are missing are skipped. Restores r6 and r7 and
        // the stack.
        unsafe {
            asm!(
                code!($high, $away),
                // A code of the position before.
                ".macro mote_down r",
                r"strb.w \r, [r10]",
                "sub.w r10, r10, r11",
                ".endm",
                enter!(),
                "mov r12, r2",

                "1:",
                "ldrd r0, r7, [r12]",
                "cmp r7, #0",
                "beq 4f",
                "mov r1, r0",
                "mov r2, r0",
                "mov r3, r0",
                $($first,)*
                "ldr lr, [sp]",
                "add r7, r6, r7, lsl #1",
                "2:",
                "ldrb r10, [r6], #2",
                "ldrsb r12, [r6, #-1]",
                $step,
                "ldrd r10, r11, [lr]",
                "smlabb r0, r10, r12, r0",
                "smlatb r1, r10, r12, r1",
                "smlabb r2, r11, r12, r2",
                "smlatb r3, r11, r12, r3",
                $($more,)*
                "cmp r6, r7",
                "bne 2b",
                "ldr r12, [sp, #4]",
                "ldr lr, [sp, #24]",
                "ldrd r10, r11, [r12, #8]",
                "mote_code r0, r10, r11",
                "mote_code r1, r10, r11",
                "mote_code r2, r10, r11",
                "mote_code r3, r10, r11",
                $($codes,)*
                "ldrd r10, r11, [sp, #16]",
                "ldr r7, [sp, #32]",
                "add lr, r10, #1",
                "str lr, [sp, #16]",
                "cbnz r7, 3f",
                "strb r0, [r10]",
                "strb r1, [r10, r11]",
                "strb r2, [r10, r11, lsl #1]",
                $($whole,)*
                "b 6f",
                "3:",
                "ldr lr, [sp, #28]",
                "add r10, r10, lr",
                "add pc, r7",
                "nop",
                $($last,)*
                "mote_down r3",
                "mote_down r2",
                "mote_down r1",
                "mote_down r0",
                "b 6f",

                // No entries: the start is the sum of all positions.
                "4:",
                "ldr lr, [sp, #24]",
                "ldrd r10, r11, [r12, #8]",
                "mote_code r0, r10, r11",
                "ldrd r10, r11, [sp, #16]",
                "ldrd r7, r8, [sp, #28]",
                "add lr, r10, #1",
                "str lr, [sp, #16]",
                "add r10, r10, r7",
                "add pc, r8",
                "nop",
                $($copies,)*
                "mote_down r0",
                "mote_down r0",
                "mote_down r0",
                "mote_down r0",

                "6:",
                "ldrd r12, lr, [sp, #4]",
                "add r12, r12, #16",
                "str r12, [sp, #4]",
                "cmp r12, lr",
                "bne 1b",
                "add sp, sp, #36",
                "pop {{r6, r7}}",
                ".purgem mote_code",
                ".purgem mote_down",
                inlateout("r0") &raw const $frame => _,
                out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _,
                out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            );
        }
    };
}

loops!(SINGLE, r"smmul \r, \r, \m", "");
loops!(DOUBLE, r"smmulr \r, \r, \m", r"add \r, \r, \r, asr #31");
loops!(DOUBLE_CLAMPED, r"smmulr \r, \r, \m", "");
