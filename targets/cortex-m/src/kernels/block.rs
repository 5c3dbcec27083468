//! The inner loops: products of one to three positions with four output channels, in registers.
//!
//! **Inputs** come as steps: a step holds, for each position, one word with two numbers of 16 bits (`expand` makes
//! them).
//!
//! **Weights** come in blocks of four output channels, a step of which is two words: channels 0 and 1, channels 2 and
//! 3. The lower half of a word is `256 * w0 + w1` for the step's first input, the upper half for its second one, where
//! `w0` and `w1` are the weights of the two channels. So one `SMLAD` with the word as it is adds up
//! `256 * sum(x * w0) + sum(x * w1)`, and one with its even bytes (`SXTB16`) the second sum alone: three instructions
//! fetch and unpack what would take four. Channel 0 is the difference over 256, exact if it has at most 24 bits.
//!
//! Each function takes as many steps as both slices have, adds to `start` (the two sums of channels 0 and 1, then of 2
//! and 3), and gives these sums for each position.

/// A step of weights: four output channels, two inputs.
pub type Weights = [u32; 2];

/// The sums of a position: `256 * channel 0 + channel 1`, channel 1, and the same of channels 2 and 3.
pub type Sums = [i32; 4];

/// What belongs to a block of four output channels: where the sums start, then the scale of each channel.
pub type Block = [i32; 12];

/// Two positions.
#[inline(always)]
pub fn two(x: &[[u32; 2]], weights: &[Weights], start: Sums) -> [Sums; 2] {
    #[cfg(mote_dsp)]
    return arm::two(x, weights, start);
    #[cfg(not(mote_dsp))]
    plain::positions(x, weights, start)
}

/// Three positions.
#[inline(always)]
pub fn three(x: &[[u32; 3]], weights: &[Weights], start: Sums) -> [Sums; 3] {
    #[cfg(mote_dsp)]
    return arm::three(x, weights, start);
    #[cfg(not(mote_dsp))]
    plain::positions(x, weights, start)
}

/// One position.
#[inline(always)]
pub fn one(x: &[[u32; 1]], weights: &[Weights], start: Sums) -> [Sums; 1] {
    #[cfg(mote_dsp)]
    return arm::one(x, weights, start);
    #[cfg(not(mote_dsp))]
    plain::positions(x, weights, start)
}

/// One position whose inputs are not expanded: two steps for each four bytes of `x`, as `expand` would make them.
#[inline(always)]
pub fn dense(x: &[[u8; 4]], weights: &[[Weights; 2]], start: Sums) -> Sums {
    #[cfg(mote_dsp)]
    return arm::dense(x, weights, start);
    #[cfg(not(mote_dsp))]
    plain::dense(x, weights, start)
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::{Sums, Weights};
    use crate::kernels::instructions::{smlad, sxtb16, sxtb16_ror8};

    pub fn dense(x: &[[u8; 4]], weights: &[[Weights; 2]], start: Sums) -> Sums {
        x.iter().zip(weights).fold(start, |sums, (&x, weights)| {
            let word = u32::from_le_bytes(x);
            let [sums] = positions(&[[sxtb16(word)], [sxtb16_ror8(word)]], weights, sums);
            sums
        })
    }

    pub fn positions<const P: usize>(x: &[[u32; P]], weights: &[Weights], start: Sums) -> [Sums; P] {
        let mut sums = [start; P];
        for (x, &[low, high]) in x.iter().zip(weights) {
            for (x, [a, b, c, d]) in x.iter().zip(&mut sums) {
                *a = smlad(*x, low, *a);
                *b = smlad(*x, sxtb16(low), *b);
                *c = smlad(*x, high, *c);
                *d = smlad(*x, sxtb16(high), *d);
            }
        }
        sums
    }
}

/// Registers r6 and r7, which the compiler does not lend, are saved here. Loops are unrolled eight times; what is left
/// is done step by step.
#[cfg(mote_dsp)]
mod arm {
    use super::{Sums, Weights};
    use core::arch::asm;

    /// Ends of the unrolled part and of all steps.
    #[inline(always)]
    fn ends<const P: usize>(x: &[[u32; P]], weights: &[Weights]) -> (*const u32, *const u32) {
        let steps = x.len().min(weights.len());
        let start = x.as_ptr().cast::<u32>();
        (start.wrapping_add((steps & !7) * P), start.wrapping_add(steps * P))
    }

    #[inline(always)]
    pub fn two(x: &[[u32; 2]], weights: &[Weights], [s0, s1, s2, s3]: Sums) -> [Sums; 2] {
        let (unrolled, end) = ends(x, weights);
        let [mut a0, mut a1, mut a2, mut a3] = [s0, s1, s2, s3];
        let [mut b0, mut b1, mut b2, mut b3] = [s0, s1, s2, s3];
        // SAFETY: reads as many steps as both slices have, from word-aligned memory; saves and restores r6 and r7, and
        // leaves the stack as it was.
        unsafe {
            asm!(
                ".macro mote_two",
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
                "push {{r6, r7, r12, lr}}",
                "cmp r10, r12",
                "beq 3f",
                "2:",
                ".rept 8",
                "mote_two",
                ".endr",
                "ldr r12, [sp, #8]",
                "cmp r10, r12",
                "bne 2b",
                "ldr lr, [sp, #12]",
                "3:",
                "cmp r10, lr",
                "beq 5f",
                "4:",
                "mote_two",
                "ldr lr, [sp, #12]",
                "cmp r10, lr",
                "bne 4b",
                "5:",
                "pop {{r6, r7, r12, lr}}",
                ".purgem mote_two",
                inlateout("r0") a0, inlateout("r1") a1, inlateout("r2") a2, inlateout("r3") a3,
                inlateout("r4") b0, inlateout("r5") b1, inlateout("r8") b2, inlateout("r9") b3,
                inlateout("r10") x.as_ptr() => _, inlateout("r11") weights.as_ptr() => _,
                inlateout("r12") unrolled => _, inlateout("lr") end => _,
                options(readonly),
            );
        }
        [[a0, a1, a2, a3], [b0, b1, b2, b3]]
    }

    #[inline(always)]
    pub fn one(x: &[[u32; 1]], weights: &[Weights], [s0, s1, s2, s3]: Sums) -> [Sums; 1] {
        let (unrolled, end) = ends(x, weights);
        let [mut a0, mut a1, mut a2, mut a3] = [s0, s1, s2, s3];
        // SAFETY: as above.
        unsafe {
            asm!(
                "push {{r6, r7, r12, lr}}",
                "cmp r10, r12",
                "beq 3f",
                "2:",
                ".rept 4",
                "ldm r11!, {{r6, r7, r8, r9}}",
                "ldrd r12, lr, [r10], #8",
                "smlad r0, r12, r6, r0",
                "sxtb16 r6, r6",
                "smlad r2, r12, r7, r2",
                "sxtb16 r7, r7",
                "smlad r1, r12, r6, r1",
                "smlad r3, r12, r7, r3",
                "smlad r0, lr, r8, r0",
                "sxtb16 r8, r8",
                "smlad r2, lr, r9, r2",
                "sxtb16 r9, r9",
                "smlad r1, lr, r8, r1",
                "smlad r3, lr, r9, r3",
                ".endr",
                "ldr r12, [sp, #8]",
                "cmp r10, r12",
                "bne 2b",
                "ldr lr, [sp, #12]",
                "3:",
                "cmp r10, lr",
                "beq 5f",
                "4:",
                "ldr r12, [r10], #4",
                "ldrd r6, r7, [r11], #8",
                "smlad r0, r12, r6, r0",
                "sxtb16 r6, r6",
                "smlad r2, r12, r7, r2",
                "sxtb16 r7, r7",
                "smlad r1, r12, r6, r1",
                "smlad r3, r12, r7, r3",
                "cmp r10, lr",
                "bne 4b",
                "5:",
                "pop {{r6, r7, r12, lr}}",
                inlateout("r0") a0, inlateout("r1") a1, inlateout("r2") a2, inlateout("r3") a3,
                out("r8") _, out("r9") _,
                inlateout("r10") x.as_ptr() => _, inlateout("r11") weights.as_ptr() => _,
                inlateout("r12") unrolled => _, inlateout("lr") end => _,
                options(readonly),
            );
        }
        [[a0, a1, a2, a3]]
    }

    #[inline(always)]
    pub fn dense(x: &[[u8; 4]], weights: &[[Weights; 2]], [s0, s1, s2, s3]: Sums) -> Sums {
        let words = x.len().min(weights.len());
        let (first, weights) = (x.as_ptr(), weights.as_ptr());
        let (unrolled, end) = (first.wrapping_add(words & !3), first.wrapping_add(words));
        let [mut a0, mut a1, mut a2, mut a3] = [s0, s1, s2, s3];
        // SAFETY: as above; `LDR` reads words at any address.
        unsafe {
            asm!(
                ".macro mote_dense",
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
                "push {{r6, r7}}",
                "cmp r10, r12",
                "beq 3f",
                "2:",
                ".rept 4",
                "mote_dense",
                ".endr",
                "cmp r10, r12",
                "bne 2b",
                "3:",
                "cmp r10, lr",
                "beq 5f",
                "4:",
                "mote_dense",
                "cmp r10, lr",
                "bne 4b",
                "5:",
                "pop {{r6, r7}}",
                ".purgem mote_dense",
                inlateout("r0") a0, inlateout("r1") a1, inlateout("r2") a2, inlateout("r3") a3,
                out("r4") _, out("r5") _, out("r8") _, out("r9") _,
                inlateout("r10") first => _, inlateout("r11") weights => _, in("r12") unrolled, in("lr") end,
                options(readonly),
            );
        }
        [a0, a1, a2, a3]
    }

    #[inline(always)]
    pub fn three(x: &[[u32; 3]], weights: &[Weights], [s0, s1, s2, s3]: Sums) -> [Sums; 3] {
        let low = three_by_two(x, weights, 0, [s0, s1]);
        let high = three_by_two(x, weights, 1, [s2, s3]);
        let [[a0, a1], [b0, b1], [c0, c1]] = low;
        let [[a2, a3], [b2, b3], [c2, c3]] = high;
        [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3]]
    }

    /// Three positions, the two channels whose words are at index `pair` of each step.
    #[inline(always)]
    fn three_by_two(x: &[[u32; 3]], weights: &[Weights], pair: usize, [s0, s1]: [i32; 2]) -> [[i32; 2]; 3] {
        let (unrolled, end) = ends(x, weights);
        let weights = weights.as_ptr().cast::<u32>().wrapping_add(pair & 1);
        let [mut a0, mut a1, mut b0, mut b1, mut c0, mut c1] = [s0, s1, s0, s1, s0, s1];
        // SAFETY: as above; of each step of weights one word is read.
        unsafe {
            asm!(
                ".macro mote_three",
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
                "push {{r6, r7}}",
                "cmp r10, r12",
                "beq 3f",
                "2:",
                ".rept 8",
                "mote_three",
                ".endr",
                "cmp r10, r12",
                "bne 2b",
                "3:",
                "cmp r10, lr",
                "beq 5f",
                "4:",
                "mote_three",
                "cmp r10, lr",
                "bne 4b",
                "5:",
                "pop {{r6, r7}}",
                ".purgem mote_three",
                inlateout("r0") a0, inlateout("r1") a1, inlateout("r2") b0, inlateout("r3") b1,
                inlateout("r4") c0, inlateout("r5") c1, out("r8") _, out("r9") _,
                inlateout("r10") x.as_ptr() => _, inlateout("r11") weights => _,
                in("r12") unrolled, in("lr") end,
                options(readonly),
            );
        }
        [[a0, a1], [b0, b1], [c0, c1]]
    }
}
