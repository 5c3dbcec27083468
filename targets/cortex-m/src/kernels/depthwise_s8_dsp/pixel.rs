//! All channels of one output, four at a time: from the list of taps to codes.

use crate::kernels::stage::Stage;
use crate::kernels::taps::Taps;

/// Weights of four channels of a tap, twice each, in 16 bits: channels 0 and 2, then 1 and 3.
pub type Weights = [u32; 2];

/// Twice the starts of four channels, then their scales.
pub type Block = [i32; 12];

/// What the outputs of a layer share.
pub struct Layer<'a> {
    pub stage: Stage,
    /// For each block those of all taps.
    pub weights: &'a [Weights],
    pub blocks: &'a [Block],
}

impl Layer<'_> {
    /// The codes of one output. `None` if there are not as many channels or weights as the taps and `to` ask for.
    #[inline(always)]
    pub fn pixel<const ROUNDING: u8>(&self, taps: &Taps<'_>, to: &mut [i8]) -> Option<()>
    where
        Self: Compute<ROUNDING>,
    {
        let (count, blocks) = (taps.starts().len(), to.len() / 4);
        let complete = count > 0
            && blocks > 0
            && taps.channels() == to.len()
            && to.len().is_multiple_of(4)
            && self.blocks.len() >= blocks
            && self.weights.len() >= blocks.checked_mul(count)?;
        if !complete {
            return None;
        }
        self.codes(taps, to);
        Some(())
    }
}

/// The loop over blocks. There are a tap and a block, and all that these read.
pub trait Compute<const ROUNDING: u8> {
    fn codes(&self, taps: &Taps<'_>, to: &mut [i8]);
}

#[cfg(not(mote_dsp))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Layer<'_> {
    fn codes(&self, taps: &Taps<'_>, to: &mut [i8]) {
        use crate::kernels::instructions::{sxtb16, sxtb16_ror8};
        use crate::kernels::stage::code;

        let low = |x: u32, w: u32| i32::from(x as i16) * i32::from(w as i16);
        let high = |x: u32, w: u32| (x as i32 >> 16) * (w as i32 >> 16);
        let weights = self.weights.chunks_exact(taps.starts().len().max(1));
        for (i, ((to, weights), block)) in
            to.as_chunks_mut::<4>().0.iter_mut().zip(weights).zip(self.blocks).enumerate()
        {
            let &[mut a, mut b, mut c, mut d, m0, p0, m1, p1, m2, p2, m3, p3] = block;
            for (place, &[even, odd]) in taps.places().zip(weights) {
                let word = place.get(4 * i..).and_then(|place| place.first_chunk()).copied();
                let word = u32::from_le_bytes(word.unwrap_or_default());
                let (x, y) = (sxtb16(word), sxtb16_ror8(word));
                (a, b) = (a.wrapping_add(low(x, even)), b.wrapping_add(low(y, odd)));
                (c, d) = (c.wrapping_add(high(x, even)), d.wrapping_add(high(y, odd)));
            }
            let code = |sum, scale| code::<ROUNDING>(sum, scale, self.stage.zero_point);
            *to = [code(a, [m0, p0]), code(b, [m1, p1]), code(c, [m2, p2]), code(d, [m3, p3])];
        }
    }
}

/// The same in assembler, one loop with one over taps in it. R6 and R7, which the compiler does not lend, are saved.
#[cfg(mote_dsp)]
macro_rules! codes {
    ($rounding:ident, $high:literal, $away:literal) => {
        impl Compute<{ crate::kernels::stage::$rounding }> for Layer<'_> {
            #[inline(never)]
            fn codes(&self, taps: &Taps<'_>, to: &mut [i8]) {
                // SAFETY: the trait's conditions: reads four bytes of each tap for each four channels, weights of all of
                // them and the block, and writes as many codes. `LDR` reads words at any address. R6, R7 and the stack
                // pointer are given back.
                unsafe {
                    core::arch::asm!(
                        ".macro mote_code r, at",
                        r"ldrd r4, r5, [r6, #(16 + 8 * \at)]",
                        $high,
                        $away,
                        r"smmlar \r, \r, r5, r12",
                        r"ssat \r, #8, \r",
                        r"strb \r, [r7, #\at]",
                        ".endm",
                        "push {{r6, r7}}",
                        // 0 taps, 4 the blocks' end, 8 zero point.
                        "push {{r0, r8, r9}}",
                        "mov r6, r4",
                        "mov r7, r5",
                        "2:",
                        "ldm r6, {{r8, r9, r10, r11}}",
                        "3:",
                        "ldr r12, [r0], #4",
                        "ldrd r4, r5, [r2], #8",
                        "ldr r12, [r12, r3]",
                        "cmp r0, r1",
                        "sxtb16 lr, r12",
                        "sxtb16 r12, r12, ror #8",
                        "smlabb r8, lr, r4, r8",
                        "smlatt r10, lr, r4, r10",
                        "smlabb r9, r12, r5, r9",
                        "smlatt r11, r12, r5, r11",
                        "bne 3b",
                        "ldr r12, [sp, #8]",
                        "mote_code r8, 0",
                        "mote_code r9, 1",
                        "mote_code r10, 2",
                        "mote_code r11, 3",
                        "ldrd r0, r4, [sp]",
                        "add r6, r6, #48",
                        "add r7, r7, #4",
                        "add r3, r3, #4",
                        "cmp r6, r4",
                        "bne 2b",
                        "add sp, sp, #12",
                        "pop {{r6, r7}}",
                        ".purgem mote_code",
                        inlateout("r0") taps.starts().as_ptr() => _,
                        in("r1") taps.starts().as_ptr_range().end,
                        inlateout("r2") self.weights.as_ptr() => _,
                        inlateout("r3") 0 => _,
                        inlateout("r4") self.blocks.as_ptr() => _,
                        inlateout("r5") to.as_mut_ptr() => _,
                        inlateout("r8") self.blocks.as_ptr().wrapping_add(to.len() / 4) => _,
                        inlateout("r9") self.stage.zero_point => _,
                        out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                    );
                }
            }
        }
    };
}

#[cfg(mote_dsp)]
codes!(SINGLE, r"smmul \r, \r, r4", "");
#[cfg(mote_dsp)]
codes!(DOUBLE, r"smmulr \r, \r, r4", r"add \r, \r, \r, asr #31");
#[cfg(mote_dsp)]
codes!(DOUBLE_CLAMPED, r"smmulr \r, \r, r4", "");
