//! Pairs of positions in assembler: from the rows of a window, or from expanded inputs, to the codes of all channels.
//!
//! All registers are in use; what the loops need now and then lies on the stack ([`Frame`]). Loops over steps are
//! unrolled, and the first turn begins in the middle, so that any number of steps is done without a rest; all
//! instructions of a step have four bytes.

use core::arch::asm;

use super::{Layer, Pairs, Run};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};
use crate::kernels::window::Runs;

/// What the loops keep on the stack.
#[repr(C)]
struct Frame {
    x: *const [u32; 2],
    /// Bytes of code that the first turn leaves out.
    skipped: usize,
    x_end: *const [u32; 2],
    block: usize,
    to: [*mut i8; 2],
    zero_point: i32,
    blocks_end: *const super::Block,
    blocks: *const super::Block,
    weights: *const super::Weights,
    /// [`Runs::parts`]; equal ends of the addresses if inputs are expanded already.
    runs: [usize; 6],
    pairs: usize,
    channels: usize,
}

const UNROLLED: usize = 8;

impl Frame {
    fn new(x: &[[u32; 2]], layer: &Layer<'_>, to: [*mut i8; 2]) -> Self {
        const { assert!(size_of::<Self>() == 18 * 4) };
        let x = x.as_ptr_range();
        let steps = (x.end.addr() - x.start.addr()) / 8;
        Self {
            x: x.start,
            skipped: (steps.wrapping_neg() & (UNROLLED - 1)) * 12 * 4,
            x_end: x.end,
            block: 0,
            to,
            zero_point: layer.zero_point,
            blocks_end: layer.blocks.as_ptr_range().end,
            blocks: layer.blocks.as_ptr(),
            weights: layer.weights.as_ptr(),
            runs: [0; 6],
            pairs: 1,
            channels: 0,
        }
    }
}

/// Implements the loops for one rounding. `$high` and `$away` are the first two steps of `stage::code` on register
/// `\r`, with the multiplier in r6.
macro_rules! loops {
    ($rounding:ident, $high:literal, $away:literal) => {
        impl Run<2, $rounding> for [(); 2] {
            fn run(x: &[[u32; 2]], layer: &Layer<'_>, to: [&mut [i8]; 2]) {
                let frame = Frame::new(x, layer, to.map(|to| to.as_mut_ptr()));
                // SAFETY: the trait's conditions.
                unsafe { <() as Loop<$rounding>>::pairs(&frame) }
            }
        }

        impl Pairs<$rounding> for () {
            fn pairs(runs: &Runs<'_>, x: &mut [[u32; 2]], layer: &Layer<'_>, to: &mut [i8], channels: usize) {
                let pairs = to.len() / (2 * channels).max(1);
                let first = to.as_mut_ptr();
                let frame = Frame {
                    runs: runs.parts(),
                    pairs,
                    channels,
                    ..Frame::new(x, layer, [first, first.wrapping_add(channels)])
                };
                // SAFETY: the trait's conditions.
                unsafe { <() as Loop<$rounding>>::pairs(&frame) }
            }
        }

        impl Loop<$rounding> for () {
            #[inline(never)]
            unsafe fn pairs(frame: &Frame) {
                // SAFETY: the caller's promise: reads runs, and as many steps of weights for each block as `x` has, and
                // writes `x` and four bytes a block of each position; restores r6 and r7 and the stack. `LDR` reads
                // words at any address.
                unsafe {
                    asm!(
                        ".macro mote_step",
                        "ldrd r12, lr, [r10], #8",
                        "ldrd r6, r7, [r11], #8",
                        "smlad r0, r12, r6, r0",
                        "smlad r4, lr, r6, r4",
                        "sxtb16 r6, r6",
                        "smlad r2, r12, r7, r2",
                        "smlad r8, lr, r7, r8",
                        "sxtb16 r7, r7",
                        "smlad r1, r12, r6, r1",
                        "smlad r5, lr, r6, r5",
                        "smlad r3, r12, r7, r3",
                        "smlad r9, lr, r7, r9",
                        ".endm",
                        ".macro mote_code r",
                        $high,
                        $away,
                        r"smmlar \r, \r, r7, lr",
                        r"ssat \r, #8, \r",
                        ".endm",
                        "push {{r6, r7}}",
                        "add r0, r0, #72",
                        "ldmdb r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        "push {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        "ldmdb r0!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
                        "push {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",

                        // Expand the runs of two positions.
                        "1:",
                        "ldrd r0, r1, [sp, #40]",
                        "cmp r0, r1",
                        "beq 8f",
                        "ldrd r2, r3, [sp, #48]",
                        "ldrd r4, r5, [sp, #56]",
                        "ldr lr, [sp]",
                        "add r12, r2, r3, lsl #1",
                        "str r12, [sp, #48]",
                        "2:",
                        "ldr r8, [r0], #4",
                        "add r8, r8, r2",
                        "add r9, r8, r3",
                        "movs r12, r4",
                        "beq 4f",
                        "3:",
                        "ldr r10, [r8], #4",
                        "ldr r11, [r9], #4",
                        "subs r12, r12, #1",
                        "sxtb16 r6, r10",
                        "sxtb16 r7, r11",
                        "sxtb16 r10, r10, ror #8",
                        "sxtb16 r11, r11, ror #8",
                        "stm lr!, {{r6, r7, r10, r11}}",
                        "bne 3b",
                        "4:",
                        "cbz r5, 7f",
                        "cmp r5, #2",
                        "ldrsb r6, [r8]",
                        "ldrsb r7, [r9]",
                        "beq 5f",
                        "bhi 6f",
                        // One byte, and zero.
                        "uxth r6, r6",
                        "uxth r7, r7",
                        "stm lr!, {{r6, r7}}",
                        "b 7f",
                        // Two bytes.
                        "5:",
                        "ldrsb r10, [r8, #1]",
                        "ldrsb r11, [r9, #1]",
                        "pkhbt r6, r6, r10, lsl #16",
                        "pkhbt r7, r7, r11, lsl #16",
                        "stm lr!, {{r6, r7}}",
                        "b 7f",
                        // Bytes 0 and 2, then byte 1 and zero.
                        "6:",
                        "ldrsb r10, [r8, #2]",
                        "ldrsb r11, [r9, #2]",
                        "pkhbt r6, r6, r10, lsl #16",
                        "pkhbt r7, r7, r11, lsl #16",
                        "ldrsb r10, [r8, #1]",
                        "ldrsb r11, [r9, #1]",
                        "uxth r10, r10",
                        "uxth r11, r11",
                        "stm lr!, {{r6, r7, r10, r11}}",
                        "7:",
                        "cmp r0, r1",
                        "bne 2b",

                        // Multiply with all blocks.
                        "8:",
                        "ldrd r12, r11, [sp, #32]",
                        "str r12, [sp, #12]",
                        "9:",
                        "ldrd r0, r1, [r12]",
                        "ldrd r2, r3, [r12, #24]",
                        "mov r4, r0",
                        "mov r5, r1",
                        "mov r8, r2",
                        "mov r9, r3",
                        "ldrd r10, r12, [sp]",
                        "add pc, r12",
                        "nop",
                        "10:",
                        ".rept 8",
                        "mote_step",
                        ".endr",
                        "ldr lr, [sp, #8]",
                        "cmp r10, lr",
                        "bne 10b",
                        "ldr r12, [sp, #12]",
                        "ldr lr, [sp, #24]",
                        "sub r0, r0, r1",
                        "sub r4, r4, r5",
                        "sub r2, r2, r3",
                        "sub r8, r8, r9",
                        "ldrd r6, r7, [r12, #8]",
                        "asr r0, r0, #7",
                        "asr r4, r4, #7",
                        "mote_code r0",
                        "mote_code r4",
                        "ldrd r6, r7, [r12, #16]",
                        "lsl r1, r1, #1",
                        "lsl r5, r5, #1",
                        "mote_code r1",
                        "mote_code r5",
                        "ldrd r6, r7, [r12, #32]",
                        "asr r2, r2, #7",
                        "asr r8, r8, #7",
                        "mote_code r2",
                        "mote_code r8",
                        "ldrd r6, r7, [r12, #40]",
                        "lsl r3, r3, #1",
                        "lsl r9, r9, #1",
                        "mote_code r3",
                        "mote_code r9",
                        "ldrd r6, r7, [sp, #16]",
                        "add r12, r12, #48",
                        "str r12, [sp, #12]",
                        "strb r0, [r6], #1",
                        "strb r1, [r6], #1",
                        "strb r2, [r6], #1",
                        "strb r3, [r6], #1",
                        "strb r4, [r7], #1",
                        "strb r5, [r7], #1",
                        "strb r8, [r7], #1",
                        "strb r9, [r7], #1",
                        "strd r6, r7, [sp, #16]",
                        "ldr r6, [sp, #28]",
                        "cmp r12, r6",
                        "bne 9b",

                        // The second position ends where the next pair begins.
                        "ldrd r4, r5, [sp, #64]",
                        "subs r4, r4, #1",
                        "add r6, r7, r5",
                        "str r4, [sp, #64]",
                        "strd r7, r6, [sp, #16]",
                        "bne 1b",
                        "add sp, sp, #72",
                        "pop {{r6, r7}}",
                        ".purgem mote_step",
                        ".purgem mote_code",
                        inlateout("r0") frame => _,
                        out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
                        out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                    );
                }
            }
        }
    };
}

/// The loop.
trait Loop<const ROUNDING: u8> {
    /// # Safety
    /// There must be a pair and a block; all that the frame names must be there: runs of all pairs, `x` for the steps of
    /// a pair, as many steps of weights for each block, and four bytes a block for each position.
    unsafe fn pairs(frame: &Frame);
}

loops!(SINGLE, r"smmul \r, \r, r6", "");
loops!(DOUBLE, r"smmulr \r, \r, r6", r"add \r, \r, \r, asr #31");
loops!(DOUBLE_CLAMPED, r"smmulr \r, \r, r6", "");
