//! The loops in assembler: the whole way from inputs to codes stays in registers, all of which are in use.
//!
//! Registers r6 and r7, which the compiler does not lend, are saved with the values that the loops need now and then:
//! one `PUSH` lays them out on the stack as the comments tell. Loops over steps are unrolled. Where positions share
//! weights, the first turn begins in the middle of the loop, so that any number of steps is done without a rest; all
//! instructions of a step have four bytes.

use core::arch::asm;

use super::{Dense, Layer, Run};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// Steps that the first turn leaves out, of loops of `unrolled` steps (a power of two).
fn skipped(steps: usize, unrolled: usize) -> usize {
    steps.wrapping_neg() & (unrolled - 1)
}

/// Implements the loops for one rounding. `$high` and `$away` are the first two steps of `stage::code` on register
/// `\r`, with the multiplier in r6.
macro_rules! loops {
    ($rounding:ident, $high:literal, $away:literal) => {
        impl Run<3, $rounding> for [(); 3] {
            #[inline(never)]
            fn run(x: &[[u32; 3]], layer: &Layer<'_>, [to_a, to_b, to_c]: [&mut [i8]; 3]) {
                let start = x.as_ptr();
                let steps = (8 * x.len()) as isize;
                // SAFETY: as above, with a third output. Two channels at a time: of each step of weights one word.
                unsafe {
                    asm!(
                        ".macro mote_step",
                        "ldm r10!, {{r6, r7, r8}}",
                        "ldr r9, [r11], #8",
                        "smlad r0, r6, r9, r0",
                        "smlad r2, r7, r9, r2",
                        "smlad r4, r8, r9, r4",
                        "sxtb16 r9, r9",
                        "smlad r1, r6, r9, r1",
                        "smlad r3, r7, r9, r3",
                        "smlad r5, r8, r9, r5",
                        ".endm",
                        ".macro mote_code r",
                        $high,
                        $away,
                        r"smmlar \r, \r, r7, lr",
                        r"ssat \r, #8, \r",
                        ".endm",
                        // As above, with 36 the pairs' end, 40 to_c, 44 from an even to an odd pair's weights, 48 on to
                        // the next even pair's.
                        "push {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r12, lr}}",
                        "1:",
                        "ldr r12, [sp, #12]",
                        "ldrd r0, r1, [r12]",
                        "mov r2, r0",
                        "mov r3, r1",
                        "mov r4, r0",
                        "mov r5, r1",
                        "ldm sp, {{r10, r12, lr}}",
                        "add pc, r12",
                        "nop",
                        "2:",
                        ".rept 4",
                        "mote_step",
                        ".endr",
                        "cmp r10, lr",
                        "bne 2b",
                        "ldr r12, [sp, #12]",
                        "ldr lr, [sp, #32]",
                        "sub r0, r0, r1",
                        "sub r2, r2, r3",
                        "sub r4, r4, r5",
                        "ldrd r6, r7, [r12, #8]",
                        "asr r0, r0, #7",
                        "asr r2, r2, #7",
                        "asr r4, r4, #7",
                        "mote_code r0",
                        "mote_code r2",
                        "mote_code r4",
                        "ldrd r6, r7, [r12, #16]",
                        "lsl r1, r1, #1",
                        "lsl r3, r3, #1",
                        "lsl r5, r5, #1",
                        "mote_code r1",
                        "mote_code r3",
                        "mote_code r5",
                        "ldrd r6, r7, [sp, #16]",
                        "ldr r8, [sp, #40]",
                        "add r12, r12, #24",
                        "str r12, [sp, #12]",
                        "strb r0, [r6], #1",
                        "strb r1, [r6], #1",
                        "strb r2, [r7], #1",
                        "strb r3, [r7], #1",
                        "strb r4, [r8], #1",
                        "strb r5, [r8], #1",
                        "strd r6, r7, [sp, #16]",
                        "str r8, [sp, #40]",
                        "ldrd r6, r7, [sp, #44]",
                        "add r11, r11, r6",
                        "strd r7, r6, [sp, #44]",
                        "ldr r6, [sp, #36]",
                        "cmp r12, r6",
                        "bne 1b",
                        "pop {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r12, lr}}",
                        ".purgem mote_step",
                        ".purgem mote_code",
                        inlateout("r0") start => _,
                        inlateout("r1") skipped(x.len(), 4) * 9 * 4 => _,
                        inlateout("r2") start.wrapping_add(x.len()) => _,
                        inlateout("r3") layer.blocks.as_ptr() => _,
                        inlateout("r4") to_a.as_mut_ptr() => _,
                        inlateout("r5") to_b.as_mut_ptr() => _,
                        inlateout("r8") layer.zero_point => _,
                        inlateout("r9") layer.blocks.as_ptr_range().end => _,
                        inlateout("r10") to_c.as_mut_ptr() => _,
                        inlateout("r11") layer.weights.as_ptr() => _,
                        inlateout("r12") 4 - steps => _,
                        inlateout("lr") -4isize => _,
                    );
                }
            }
        }

        impl Run<1, $rounding> for [(); 1] {
            #[inline(never)]
            fn run(x: &[[u32; 1]], layer: &Layer<'_>, [to]: [&mut [i8]; 1]) {
                let start = x.as_ptr();
                // SAFETY: as above, with one output.
                unsafe {
                    asm!(
                        ".macro mote_code r",
                        $high,
                        $away,
                        r"smmlar \r, \r, r7, lr",
                        r"ssat \r, #8, \r",
                        ".endm",
                        "push {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        "1:",
                        "ldr r12, [sp, #12]",
                        "ldrd r0, r1, [r12]",
                        "ldrd r2, r3, [r12, #24]",
                        "ldm sp, {{r10, r12, lr}}",
                        "cmp r10, r12",
                        "beq 3f",
                        "2:",
                        ".rept 2",
                        "ldm r11!, {{r6, r7, r8, r9}}",
                        "ldrd r4, r5, [r10], #8",
                        "smlad r0, r4, r6, r0",
                        "sxtb16 r6, r6",
                        "smlad r2, r4, r7, r2",
                        "sxtb16 r7, r7",
                        "smlad r1, r4, r6, r1",
                        "smlad r3, r4, r7, r3",
                        "smlad r0, r5, r8, r0",
                        "sxtb16 r8, r8",
                        "smlad r2, r5, r9, r2",
                        "sxtb16 r9, r9",
                        "smlad r1, r5, r8, r1",
                        "smlad r3, r5, r9, r3",
                        ".endr",
                        "cmp r10, r12",
                        "bne 2b",
                        "3:",
                        "cmp r10, lr",
                        "beq 5f",
                        "4:",
                        "ldr r4, [r10], #4",
                        "ldrd r6, r7, [r11], #8",
                        "smlad r0, r4, r6, r0",
                        "sxtb16 r6, r6",
                        "smlad r2, r4, r7, r2",
                        "sxtb16 r7, r7",
                        "smlad r1, r4, r6, r1",
                        "smlad r3, r4, r7, r3",
                        "cmp r10, lr",
                        "bne 4b",
                        "5:",
                        "ldr r12, [sp, #12]",
                        "ldr lr, [sp, #32]",
                        "sub r0, r0, r1",
                        "sub r2, r2, r3",
                        "ldrd r6, r7, [r12, #8]",
                        "asr r0, r0, #7",
                        "mote_code r0",
                        "ldrd r6, r7, [r12, #16]",
                        "lsl r1, r1, #1",
                        "mote_code r1",
                        "ldrd r6, r7, [r12, #32]",
                        "asr r2, r2, #7",
                        "mote_code r2",
                        "ldrd r6, r7, [r12, #40]",
                        "lsl r3, r3, #1",
                        "mote_code r3",
                        "ldr r6, [sp, #16]",
                        "add r12, r12, #48",
                        "str r12, [sp, #12]",
                        "strb r0, [r6], #1",
                        "strb r1, [r6], #1",
                        "strb r2, [r6], #1",
                        "strb r3, [r6], #1",
                        "str r6, [sp, #16]",
                        "ldr r6, [sp, #36]",
                        "cmp r12, r6",
                        "bne 1b",
                        "pop {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        ".purgem mote_code",
                        inlateout("r0") start => _,
                        inlateout("r1") start.wrapping_add(x.len() & !3) => _,
                        inlateout("r2") start.wrapping_add(x.len()) => _,
                        inlateout("r3") layer.blocks.as_ptr() => _,
                        inlateout("r4") to.as_mut_ptr() => _,
                        out("r5") _,
                        inlateout("r8") layer.zero_point => _,
                        inlateout("r9") layer.blocks.as_ptr_range().end => _,
                        out("r10") _,
                        inlateout("r11") layer.weights.as_ptr() => _,
                        out("r12") _,
                        out("lr") _,
                    );
                }
            }
        }

        impl Dense<$rounding> for () {
            #[inline(never)]
            fn dense(x: &[[u8; 4]], layer: &Layer<'_>, to: &mut [i8]) {
                let start = x.as_ptr();
                // SAFETY: as above; `LDR` reads words at any address.
                unsafe {
                    asm!(
                        ".macro mote_step",
                        "ldr r4, [r10], #4",
                        "ldm r11!, {{r6, r7, r8, r9}}",
                        "sxtb16 r5, r4",
                        "sxtb16 r4, r4, ror #8",
                        "smlad r0, r5, r6, r0",
                        "sxtb16 r6, r6",
                        "smlad r2, r5, r7, r2",
                        "sxtb16 r7, r7",
                        "smlad r1, r5, r6, r1",
                        "smlad r3, r5, r7, r3",
                        "smlad r0, r4, r8, r0",
                        "sxtb16 r8, r8",
                        "smlad r2, r4, r9, r2",
                        "sxtb16 r9, r9",
                        "smlad r1, r4, r8, r1",
                        "smlad r3, r4, r9, r3",
                        ".endm",
                        ".macro mote_code r",
                        $high,
                        $away,
                        r"smmlar \r, \r, r7, lr",
                        r"ssat \r, #8, \r",
                        ".endm",
                        "push {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        "1:",
                        "ldr r12, [sp, #12]",
                        "ldrd r0, r1, [r12]",
                        "ldrd r2, r3, [r12, #24]",
                        "ldm sp, {{r10, r12, lr}}",
                        "cmp r10, r12",
                        "beq 3f",
                        "2:",
                        ".rept 8",
                        "mote_step",
                        ".endr",
                        "cmp r10, r12",
                        "bne 2b",
                        "3:",
                        "cmp r10, lr",
                        "beq 5f",
                        "4:",
                        "mote_step",
                        "cmp r10, lr",
                        "bne 4b",
                        "5:",
                        "ldr r12, [sp, #12]",
                        "ldr lr, [sp, #32]",
                        "sub r0, r0, r1",
                        "sub r2, r2, r3",
                        "ldrd r6, r7, [r12, #8]",
                        "asr r0, r0, #7",
                        "mote_code r0",
                        "ldrd r6, r7, [r12, #16]",
                        "lsl r1, r1, #1",
                        "mote_code r1",
                        "ldrd r6, r7, [r12, #32]",
                        "asr r2, r2, #7",
                        "mote_code r2",
                        "ldrd r6, r7, [r12, #40]",
                        "lsl r3, r3, #1",
                        "mote_code r3",
                        "ldr r6, [sp, #16]",
                        "add r12, r12, #48",
                        "str r12, [sp, #12]",
                        "strb r0, [r6], #1",
                        "strb r1, [r6], #1",
                        "strb r2, [r6], #1",
                        "strb r3, [r6], #1",
                        "str r6, [sp, #16]",
                        "ldr r6, [sp, #36]",
                        "cmp r12, r6",
                        "bne 1b",
                        "pop {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        ".purgem mote_step",
                        ".purgem mote_code",
                        inlateout("r0") start => _,
                        inlateout("r1") start.wrapping_add(x.len() & !7) => _,
                        inlateout("r2") start.wrapping_add(x.len()) => _,
                        inlateout("r3") layer.blocks.as_ptr() => _,
                        inlateout("r4") to.as_mut_ptr() => _,
                        out("r5") _,
                        inlateout("r8") layer.zero_point => _,
                        inlateout("r9") layer.blocks.as_ptr_range().end => _,
                        out("r10") _,
                        inlateout("r11") layer.weights.as_ptr() => _,
                        out("r12") _,
                        out("lr") _,
                    );
                }
            }
        }
    };
}

loops!(SINGLE, r"smmul \r, \r, r6", "");
loops!(DOUBLE, r"smmulr \r, \r, r6", r"add \r, \r, \r, asr #31");
loops!(DOUBLE_CLAMPED, r"smmulr \r, \r, r6", "");
