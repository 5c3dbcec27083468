//! One position in assembler: the whole way from inputs to codes stays in registers, all of which are in use.
//!
//! Registers r6 and r7, which the compiler does not lend, are saved with the values that the loop needs now and then:
//! one `PUSH` lays them out on the stack.

use core::arch::asm;

use super::{Dense, Layer, Run};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// The loop over blocks. `$load` puts two steps of inputs to r4 and r5, from r10 on, in `$bytes` bytes; `$high` and
/// `$away` are the first two steps of `stage::code` on register `\r`, with the multiplier in r6.
macro_rules! position {
    ($x:ident, $bytes:literal, $layer:ident, $to:ident, [$($load:literal),*], $high:literal, $away:literal) => {{
        let start = $x.as_ptr().cast::<u8>();
        let bytes = size_of_val($x);
        asm!(
            ".macro mote_two_steps",
            $($load,)*
            "ldm r11!, {{r6, r7, r8, r9}}",
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
            ".endm",
            ".macro mote_code r",
            $high,
            $away,
            r"smmlar \r, \r, r7, lr",
            r"ssat \r, #8, \r",
            ".endm",
            // 0 x, 4 end of four times two steps, 8 end of two steps, 12 block, 16 to, 20 whether a step is left,
            // 24 r6, 28 r7, 32 zero point, 36 the blocks' end.
            "push {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
            "1:",
            "ldrd r0, r1, [r3]",
            "ldrd r2, r3, [r3, #24]",
            "ldm sp, {{r10, r12, lr}}",
            "cmp r10, r12",
            "beq 3f",
            "2:",
            ".rept 4",
            "mote_two_steps",
            ".endr",
            "cmp r10, r12",
            "bne 2b",
            "3:",
            "cmp r10, lr",
            "beq 5f",
            "4:",
            "mote_two_steps",
            "cmp r10, lr",
            "bne 4b",
            "5:",
            "ldrd r12, r6, [sp, #16]",
            "cbz r6, 6f",
            "ldr r4, [r10]",
            "ldrd r6, r7, [r11], #8",
            "smlad r0, r4, r6, r0",
            "sxtb16 r6, r6",
            "smlad r2, r4, r7, r2",
            "sxtb16 r7, r7",
            "smlad r1, r4, r6, r1",
            "smlad r3, r4, r7, r3",
            "6:",
            "ldr r9, [sp, #12]",
            "ldr lr, [sp, #32]",
            "sub r0, r0, r1",
            "sub r2, r2, r3",
            "ldrd r6, r7, [r9, #8]",
            "asr r0, r0, #7",
            "mote_code r0",
            "ldrd r6, r7, [r9, #16]",
            "lsl r1, r1, #1",
            "mote_code r1",
            "ldrd r6, r7, [r9, #32]",
            "asr r2, r2, #7",
            "mote_code r2",
            "ldrd r6, r7, [r9, #40]",
            "lsl r8, r3, #1",
            "mote_code r8",
            "add r3, r9, #48",
            "strb r0, [r12]",
            "strb r1, [r12, #1]",
            "strb r2, [r12, #2]",
            "strb r8, [r12, #3]",
            "add r12, r12, #4",
            "strd r3, r12, [sp, #12]",
            "ldr r6, [sp, #36]",
            "cmp r3, r6",
            "bne 1b",
            "pop {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
            ".purgem mote_two_steps",
            ".purgem mote_code",
            inlateout("r0") start => _,
            inlateout("r1") start.wrapping_add(bytes & !(4 * $bytes - 1)) => _,
            inlateout("r2") start.wrapping_add(bytes & !($bytes - 1)) => _,
            inlateout("r3") $layer.blocks.as_ptr() => _,
            inlateout("r4") $to.as_mut_ptr() => _,
            inlateout("r5") bytes & ($bytes - 1) => _,
            inlateout("r8") $layer.zero_point => _,
            inlateout("r9") $layer.blocks.as_ptr_range().end => _,
            out("r10") _,
            inlateout("r11") $layer.weights.as_ptr() => _,
            out("r12") _,
            out("lr") _,
        )
    }};
}

/// Implements the loops for one rounding.
macro_rules! loops {
    ($rounding:ident, $high:literal, $away:literal) => {
        impl Run<1, $rounding> for [(); 1] {
            #[inline(never)]
            fn run(x: &[[u32; 1]], layer: &Layer<'_>, [to]: [&mut [i8]; 1]) {
                // SAFETY: the trait's conditions: reads `x` and as many steps of weights for each block, and writes
                // four bytes a block at `to`; restores r6 and r7 and the stack.
                unsafe { position!(x, 8, layer, to, ["ldrd r4, r5, [r10], #8"], $high, $away) }
            }
        }

        impl Dense<$rounding> for () {
            #[inline(never)]
            fn dense(x: &[[u8; 4]], layer: &Layer<'_>, to: &mut [i8]) {
                // SAFETY: as above, with two steps in four bytes; `LDR` reads words at any address.
                unsafe {
                    position!(
                        x,
                        4,
                        layer,
                        to,
                        ["ldr r5, [r10], #4", "sxtb16 r4, r5", "sxtb16 r5, r5, ror #8"],
                        $high,
                        $away
                    )
                }
            }
        }
    };
}

loops!(SINGLE, r"smmul \r, \r, r6", "");
loops!(DOUBLE, r"smmulr \r, \r, r6", r"add \r, \r, \r, asr #31");
loops!(DOUBLE_CLAMPED, r"smmulr \r, \r, r6", "");
