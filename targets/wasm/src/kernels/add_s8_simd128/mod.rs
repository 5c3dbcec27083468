//! `add_s8_simd128`, `sub_s8_simd128`: `add_s8` and `sub_s8` of rows as long as the output's, in place or not.
//!
//! No constants, no scratch. Inputs are scaled by `2^20` as in the definition, and by two more, since their factors are one
//! half or less of what is shifted by a whole vector word.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{pack_add, pack_sub};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::pieces::each;
use super::stage::{Factor, Near, Stage};
use crate::vector::{F32x4, I16x8, I32x4};

records! {
    /// Arguments.
    pub struct SumArgs {
        pub zero_a: i32,
        pub multiplier_a: i32,
        pub shift_a: u32,
        pub zero_b: i32,
        pub multiplier_b: i32,
        pub shift_b: u32,
        pub multiplier: i32,
        pub shift: u32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        /// Bits by which the inputs are shifted left first.
        pub left_shift: u8,
        /// Whether input 1 is subtracted.
        pub subtracted: u8,
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(SumArgs, step);
    require!(is_clamp(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.zero_a) && is_code(args.zero_b) && args.left_shift <= 22, Arguments);
    let sound = Factor::is_sound(args.multiplier_a, args.shift_a)
        && Factor::is_sound(args.multiplier_b, args.shift_b)
        && Factor::is_sound(args.multiplier, args.shift);
    require!(sound && args.subtracted <= 1, Arguments);
    operands(step)
}

/// Whether two inputs have rows as long as the output's.
pub(super) const fn operands(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.inputs() == 2, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    let row = step.row_len(2);
    require!(step.row_len(0) == row && step.row_len(1) == row, Shape);
    let a = step.in_place(0) || (step.reads_one_row(0) && step.within(0));
    let b = step.in_place(1) || (step.reads_one_row(1) && step.within(1));
    require!(a && b, Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
    let args = SumArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let stage = Stage::new(args.zero_point, args.min, args.max);
    let a = Operand::new(args.zero_a, args.multiplier_a, args.shift_a);
    let b = Operand::new(args.zero_b, args.multiplier_b, args.shift_b);
    let factor = Factor { multiplier: args.multiplier, shift: args.shift };
    let (bits, subtracted) = (args.left_shift.into(), args.subtracted != 0);
    // Both inputs' ways to the output as real factors.
    let (last, sure) = factor.real::<ROUNDING>();
    let through = |operand: &Operand| operand.factor.real::<ROUNDING>().0 * (1 << bits) as f32 * last;
    let (scale_a, scale_b) = (through(&a), through(&b) * if subtracted { -1.0 } else { 1.0 });
    // Each term may be as large as 255 codes while their sum is small; what is scaled is rounded to whole numbers.
    let off = 255.0 * (scale_a.abs() + scale_b.abs()) * (4.0 / (1 << 24) as f32) + 4.0 * last;
    let [scale_a, scale_b, sure] = [scale_a, scale_b, sure - off].map(F32x4::splat);
    each(call, None, |x, y, to| {
        let (a_real, b_real) = (a.real(x).halves(), b.real(y).halves());
        let near = |a: I32x4, b: I32x4| {
            let real = a.real().times(scale_a).plus_product(b.real(), scale_b);
            Near { real, sure }
        };
        let exact = || {
            let ([a0, a1], [b0, b1]) =
                (a.scaled::<ROUNDING>(a_real, bits), b.scaled::<ROUNDING>(b_real, bits));
            let sums = if subtracted { [a0.minus(b0), a1.minus(b1)] } else { [a0.plus(b0), a1.plus(b1)] };
            sums.map(|sum| factor.of::<ROUNDING>(sum))
        };
        let ([a0, a1], [b0, b1]) = (a_real, b_real);
        stage.store_near([near(a0, b0), near(a1, b1)], exact, to);
    })
}

/// An input's zero point and factor.
struct Operand {
    zero: I16x8,
    factor: Factor,
}

impl Operand {
    fn new(zero: i32, multiplier: i32, shift: u32) -> Self {
        Self { zero: I16x8::splat(zero as i16), factor: Factor { multiplier, shift } }
    }

    /// Codes less the zero point.
    #[inline(always)]
    fn real(&self, codes: &[i8; 8]) -> I16x8 {
        I16x8::widened(codes).minus(self.zero)
    }

    #[inline(always)]
    fn scaled<const ROUNDING: u8>(&self, real: [I32x4; 2], bits: u32) -> [I32x4; 2] {
        real.map(|real| self.factor.of::<ROUNDING>(real.shifted_left(bits)))
    }
}
