//! Sums over all rows of a picture, one row at a time, so that a global mean needs no whole tensor:
//! `running_sum_s8` and `running_sum_f32` add up, `average_of_sums_s8` and `mean_of_sums_s8` make codes of integer
//! sums (the mean of float sums is a multiplication).
//!
//! `running_sum_*`: input 0: rows of `positions * channels`, with any window; output: a ring with a single slot of
//! `channels` sums (`i32`, `f32`). Slice 0 of the output is the sum of the window's rows, each further one adds its
//! window's rows to what the slot holds: all rows of a picture at once, or one a tick. No constants, no scratch.
//!
//! `average_of_sums_s8` and `mean_of_sums_s8`: input 0: rows of `i32`, output: rows of as many codes, as
//! `average_pool_s8` and `mean_s8` define them.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{AverageOfSumsS8, MeanOfSumsS8, RunningSum};

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::kernels::pool_s8::rounded_average;
use crate::kernels::reduce_s8::{ReduceArgs, SUM};
use crate::kernels::s8::{arguments, is_stage, require, s8, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of the sums.
    pub struct RunningSumArgs {
        pub channels: u32,
    }

    /// Arguments of `average_of_sums_s8`.
    pub struct AverageArgs {
        /// Codes in each sum.
        pub count: u32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

/// `running_sum_s8`.
pub fn run_s8(call: Call<'_>) -> Result<(), Mismatch> {
    let args = RunningSumArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let channels = (args.channels as usize).max(1);
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, to| {
        let sums: &mut [i32] = numbers_mut(to)?;
        if slice == 0 {
            sums.fill(0);
        }
        for row in source.window(slice, row).iter() {
            for pixel in s8(row.ok_or(Mismatch)?).chunks_exact(channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &code)| *sum = sum.wrapping_add(code.into()));
            }
        }
        Ok(())
    })
}

/// `running_sum_f32`.
pub fn run_f32(call: Call<'_>) -> Result<(), Mismatch> {
    let args = RunningSumArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let channels = (args.channels as usize).max(1);
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, to| {
        let sums: &mut [f32] = numbers_mut(to)?;
        if slice == 0 {
            sums.fill(0.0);
        }
        for row in source.window(slice, row).iter() {
            for pixel in numbers::<f32>(row.ok_or(Mismatch)?)?.chunks_exact(channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
            }
        }
        Ok(())
    })
}

/// `average_of_sums_s8`.
pub fn average(call: Call<'_>) -> Result<(), Mismatch> {
    let args = AverageArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (min, max) = (i32::from(args.min), i32::from(args.max));
    each_sum(call, |sum| average_code(sum, args.count as i32, min, max))
}

/// Called, so that a loop with divisions, which is as slow either way, is not unrolled.
#[inline(never)]
fn average_code(sum: i32, count: i32, min: i32, max: i32) -> i8 {
    rounded_average(sum, count).unwrap_or(0).max(min).min(max) as i8
}

/// `mean_of_sums_s8`.
pub fn mean(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ReduceArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    each_sum(call, |sum| args.code(args.start.wrapping_add(sum)))
}

fn each_sum(call: Call<'_>, code: impl Fn(i32) -> i8) -> Result<(), Mismatch> {
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, to| {
        let sums = numbers::<i32>(source.only(slice, row)?)?;
        s8_mut(to).iter_mut().zip(sums).for_each(|(to, &sum)| *to = code(sum));
        Ok(())
    })
}

/// Accepts a step only if [`run_s8`] can serve it.
pub const fn check_s8(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.is(0, DType::I8) && step.is(1, DType::I32), Shape);
    check_sum(step)
}

/// Accepts a step only if [`run_f32`] can serve it.
pub const fn check_f32(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.is(0, DType::F32) && step.is(1, DType::F32), Shape);
    check_sum(step)
}

const fn check_sum(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(RunningSumArgs, step);
    require!(step.inputs() == 1 && !step.any_in_place() && args.channels > 0, Arguments);
    let channels = args.channels as usize;
    require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1) == channels, Shape);
    require!(step.within(0), Shape);
    match step.output() {
        Ok(output) if output.slots == 1 && output.rows == 1 => Ok(()),
        _ => Err(Fault::Shape),
    }
}

/// Accepts a step only if [`average`] can serve it.
pub const fn check_average(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(AverageArgs, step);
    require!(args.count > 0 && args.count < 1 << 24 && args.min <= args.max, Arguments);
    check_sums(step)
}

/// Accepts a step only if [`mean`] can serve it.
pub const fn check_mean(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(ReduceArgs, step);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.operation == SUM, Arguments);
    check_sums(step)
}

const fn check_sums(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.inputs() == 1 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I32) && step.is(1, DType::I8), Shape);
    require!(step.row_len(0) == step.row_len(1), Shape);
    require!(step.reads_one_row(0) && step.within(0), Shape);
    Ok(())
}
