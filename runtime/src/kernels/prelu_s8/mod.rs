//! `prelu_s8`: `x` where it is not negative, else `x * slope`, with one slope per channel. Works in place.
//!
//! Input 0 and output: rows of equal length. Constant 0: the slopes' codes, repeated along the row. No scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::PreluS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::s8::{Stage, arguments, each_in_place, is_code, is_stage, require};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct PreluArgs {
        pub input_zero_point: i32,
        pub slope_zero_point: i32,
        pub positive_multiplier: i32,
        pub positive_shift: i32,
        pub negative_multiplier: i32,
        pub negative_shift: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub rounding: u8,
        pub reserved: u8,
    }
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = PreluArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let slopes: &[i8] = call.given.constants(0)?;
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding };
    each_in_place(call, |_, row| {
        for pixel in row.chunks_exact_mut(slopes.len().max(1)) {
            for (code, &slope) in pixel.iter_mut().zip(slopes) {
                let x = i32::from(*code).wrapping_sub(args.input_zero_point);
                *code = if x >= 0 {
                    stage.code(x, args.positive_multiplier, args.positive_shift)
                } else {
                    let slope = i32::from(slope).wrapping_sub(args.slope_zero_point);
                    stage.code(x.wrapping_mul(slope), args.negative_multiplier, args.negative_shift)
                };
            }
        }
        Ok(())
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(PreluArgs, step);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.input_zero_point) && is_code(args.slope_zero_point), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    let slopes = step.blob(0).len();
    require!(step.blobs() == 1 && slopes > 0 && step.row_len(1).is_multiple_of(slopes), Shape);
    step.unary()
}
