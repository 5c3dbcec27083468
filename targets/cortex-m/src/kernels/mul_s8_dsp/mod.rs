//! `mul_s8_dsp`: `mul_s8` of a row as long as the output's with one that is repeated until the row is full: another one
//! of the same length, or a vector of one code per channel.
//!
//! Inputs 0 and 1 and output: rows. Works in place of an operand that is as long as the output's row. No constants, no
//! scratch.
//!
//! Codes are unpacked two at a time, without their zero points; products are doubled, as the last step needs them
//! (`stage`).

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;
#[cfg(feature = "pack")]
pub(super) use pack::{whole, zeros};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require, s8, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

#[cfg(mote_dsp)]
use super::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};
use super::stage::{Scale, Stage, code};

records! {
    /// Arguments.
    pub struct MulDspArgs {
        /// Index of the operand that is as long as the output's row.
        pub whole: u8,
        pub reserved: u8,
        pub min: i8,
        pub max: i8,
        pub zero_whole: i32,
        pub zero_other: i32,
        pub multiplier: i32,
        /// The multiplier's second factor: [`Scale`] here, what `VRSHL` shifts by in `mul_s8_mve`.
        pub scale: i32,
        pub zero_point: i32,
    }
}

impl MulDspArgs {
    /// The arguments of a step, if operands and lengths are as both kernels of this kind need them.
    pub(super) const fn checked(step: &StepView<'_>) -> Result<Self, Fault> {
        let args = arguments!(Self, step);
        require!(step.inputs() == 2 && args.whole <= 1, Arguments);
        require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
        require!(is_clamp(args.zero_point, args.min, args.max), Arguments);
        require!(is_code(args.zero_whole) && is_code(args.zero_other), Arguments);
        let (whole, other) = (args.whole as usize, args.whole as usize ^ 1);
        let (len, part) = (step.row_len(2), step.row_len(other));
        require!(step.row_len(whole) == len && part > 0 && len.is_multiple_of(part), Shape);
        require!(step.elementwise(whole) && step.elementwise(other), Shape);
        require!(!step.in_place(other) || part == len, Shape);
        Ok(args)
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    match MulDspArgs::checked(step) {
        Ok(_) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    Product: Compute<ROUNDING>,
{
    let args = MulDspArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let product = Product {
        zero_whole: args.zero_whole,
        zero_other: args.zero_other,
        scale: [args.multiplier, args.scale],
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max },
    };
    rows(call, args.whole, |whole, other, to| {
        product.row(whole, other, to);
        product.stage.clamp(to);
    })
}

/// Calls `row(whole, other, to)` for each piece of an output row that is as long as the other operand; what is not given
/// lies where the product goes, what is given is as long.
#[inline(always)]
pub(super) fn rows(
    call: Call<'_>,
    whole: u8,
    row: impl Fn(Option<&[i8]>, Option<&[i8]>, &mut [i8]),
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let others = given.input((whole ^ 1).into())?;
    let wholes = given.input(whole.into())?;
    output.for_each(|slice, index, to| {
        let other = others.map(|source| source.only(slice, index)).transpose()?.map(s8);
        let mut whole = wholes.map(|source| source.only(slice, index)).transpose()?.map(s8);
        let part = other.map_or(to.len(), <[i8]>::len).max(1);
        for to in s8_mut(to).chunks_exact_mut(part) {
            let (now, rest) = match whole {
                Some(whole) => {
                    let (now, rest) = whole.split_at_checked(part).ok_or(Mismatch)?;
                    (Some(now), Some(rest))
                }
                None => (None, None),
            };
            row(now, other, to);
            whole = rest;
        }
        Ok(())
    })
}

/// A product.
pub struct Product {
    zero_whole: i32,
    zero_other: i32,
    scale: Scale,
    stage: Stage,
}

/// One row; an operand that is not given lies where the product goes, one that is given is as long.
pub trait Compute<const ROUNDING: u8> {
    fn row(&self, whole: Option<&[i8]>, other: Option<&[i8]>, to: &mut [i8]);
}

impl Product {
    /// The codes from number `first` on.
    #[inline(never)]
    fn rest<const ROUNDING: u8>(
        &self,
        first: usize,
        whole: Option<&[i8]>,
        other: Option<&[i8]>,
        to: &mut [i8],
    ) {
        for (i, to) in to.iter_mut().enumerate().skip(first) {
            let operand =
                |row: Option<&[i8]>| i32::from(row.and_then(|row| row.get(i).copied()).unwrap_or(*to));
            let product =
                operand(whole).wrapping_sub(self.zero_whole) * operand(other).wrapping_sub(self.zero_other);
            *to = code::<ROUNDING>(2 * product, self.scale, self.stage.zero_point);
        }
    }
}

#[cfg(not(mote_dsp))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Product {
    fn row(&self, whole: Option<&[i8]>, other: Option<&[i8]>, to: &mut [i8]) {
        self.rest::<ROUNDING>(0, whole, other, to);
    }
}

/// The same for the DSP extension, four codes a turn. R6 and R7, which the compiler does not lend, are saved.
macro_rules! rows {
    ($rounding:ident, $high:literal, $away:literal) => {
        #[cfg(mote_dsp)]
        impl Compute<$rounding> for Product {
            #[inline(never)]
            fn row(&self, whole: Option<&[i8]>, other: Option<&[i8]>, to: &mut [i8]) {
                let words = to.len() / 4;
                let start = to.as_mut_ptr();
                let pair = |zero: i32| u32::from(-zero as i16 as u16) * 0x1_0001;
                if words > 0 {
                    // SAFETY: all rows have at least so many words; each is read before the product is written in its
                    // place. `LDR` and `STR` take words at any address. R6 and R7 are given back.
                    unsafe {
                        core::arch::asm!(
                            ".macro mote_code r",
                            $high,
                            $away,
                            r"smmlar \r, \r, r11, r12",
                            r"ssat \r, #8, \r",
                            ".endm",
                            "push {{r6, r7}}",
                            "2:",
                            "ldr r4, [r0], #4",
                            "ldr r6, [r1], #4",
                            "sxtab16 r5, r8, r4",
                            "sxtab16 r4, r8, r4, ror #8",
                            "sxtab16 r7, r9, r6",
                            "sxtab16 r6, r9, r6, ror #8",
                            "sadd16 r7, r7, r7",
                            "sadd16 r6, r6, r6",
                            "smultt lr, r5, r7",
                            "smulbb r5, r5, r7",
                            "smultt r7, r4, r6",
                            "smulbb r4, r4, r6",
                            "mote_code r5",
                            "mote_code r4",
                            "mote_code lr",
                            "mote_code r7",
                            "strb r5, [r2]",
                            "strb r4, [r2, #1]",
                            "strb lr, [r2, #2]",
                            "strb r7, [r2, #3]",
                            "add r2, r2, #4",
                            "cmp r2, r3",
                            "bne 2b",
                            "pop {{r6, r7}}",
                            ".purgem mote_code",
                            inlateout("r0") whole.map_or(start.cast_const(), <[i8]>::as_ptr) => _,
                            inlateout("r1") other.map_or(start.cast_const(), <[i8]>::as_ptr) => _,
                            inlateout("r2") start => _,
                            in("r3") start.wrapping_add(4 * words),
                            out("r4") _, out("r5") _,
                            in("r8") pair(self.zero_whole),
                            in("r9") pair(self.zero_other),
                            in("r10") self.scale[0],
                            in("r11") self.scale[1],
                            in("r12") self.stage.zero_point,
                            out("lr") _,
                        );
                    }
                }
                if !to.len().is_multiple_of(4) {
                    self.rest::<$rounding>(4 * words, whole, other, to);
                }
            }
        }
    };
}

rows!(SINGLE, r"smmul \r, \r, r10", "");
rows!(DOUBLE, r"smmulr \r, \r, r10", r"add \r, \r, \r, asr #31");
rows!(DOUBLE_CLAMPED, r"smmulr \r, \r, r10", "");
