//! `mean_s8`: sum or mean over rows and columns, per channel; `reduce_s8`: sum, mean or maximum over the last axis.
//!
//! `mean_s8`: input 0: rows of `columns * channels`; the window lists all rows to reduce. Output: rows of `channels`.
//! To reduce rows alone, let `channels` be the whole row. `reduce_s8`: input 0: rows of `vectors * depth`; output:
//! rows of `vectors`. No constants, no scratch.
//!
//! A sum becomes a code by `sum - count * input_zero_point`, requantized with a factor that includes `1 / count` for
//! means.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{MeanS8, ReduceS8};

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::s8::{LANES, Stage, arguments, is_stage, require, s8, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

/// [`ReduceArgs::operation`].
pub const SUM: u8 = 0;
/// [`ReduceArgs::operation`]: the largest code, which is not requantized.
pub const MAX: u8 = 1;

records! {
    /// Arguments of both kernels.
    pub struct ReduceArgs {
        /// `mean_s8`: channels; `reduce_s8`: depth.
        pub len: u32,
        /// Start of the accumulator: `-count * input_zero_point`.
        pub start: i32,
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub rounding: u8,
        /// `reduce_s8`: [`SUM`] (and means) or [`MAX`].
        pub operation: u8,
    }
}

impl ReduceArgs {
    pub(crate) fn code(&self, acc: i32) -> i8 {
        let stage =
            Stage { zero_point: self.zero_point, min: self.min, max: self.max, rounding: self.rounding };
        stage.code(acc, self.multiplier, self.shift)
    }
}

/// `mean_s8`.
pub fn mean(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = ReduceArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let channels = (args.len as usize).max(1);
    output.for_each(|slice, row, to| {
        for (block, to) in s8_mut(to).chunks_mut(LANES).enumerate() {
            let mut acc = [args.start; LANES];
            for row in source.window(slice, row).in_turn() {
                for pixel in s8(row.ok_or(Mismatch)?).chunks_exact(channels) {
                    let codes = pixel.get(block * LANES..).ok_or(Mismatch)?;
                    for (acc, &code) in acc.iter_mut().zip(codes) {
                        *acc = acc.wrapping_add(code.into());
                    }
                }
            }
            for (to, acc) in to.iter_mut().zip(acc) {
                *to = args.code(acc);
            }
        }
        Ok(())
    })
}

/// `reduce_s8`.
pub fn reduce(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = ReduceArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    output.for_each(|slice, row, to| {
        let vectors = s8(source.only(slice, row)?).chunks_exact((args.len as usize).max(1));
        for (to, vector) in s8_mut(to).iter_mut().zip(vectors) {
            *to = if args.operation == MAX {
                vector.iter().copied().max().unwrap_or(i8::MIN).max(args.min).min(args.max)
            } else {
                args.code(vector.iter().fold(args.start, |acc, &code| acc.wrapping_add(code.into())))
            };
        }
        Ok(())
    })
}

/// Accepts a step only if [`mean`] can serve it.
pub const fn check_mean(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(ReduceArgs, step);
    require!(step.inputs() == 1 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.operation == SUM && args.len > 0, Arguments);
    let row = step.row_len(0);
    require!(row > 0 && row.is_multiple_of(args.len as usize), Shape);
    require!(step.row_len(1) == args.len as usize && step.within(0), Shape);
    Ok(())
}

/// Accepts a step only if [`reduce`] can serve it.
pub const fn check_reduce(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(ReduceArgs, step);
    require!(step.inputs() == 1 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.operation <= MAX && args.len > 0, Arguments);
    require!(step.row_len(0) as u64 == step.row_len(1) as u64 * args.len as u64, Shape);
    require!(step.reads_one_row(0) && step.within(0), Shape);
    Ok(())
}
