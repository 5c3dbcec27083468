//! `add_s8`, `sub_s8`, `mul_s8`, `maximum_s8`, `minimum_s8`: two inputs element by element, with broadcasting.
//!
//! Inputs 0 and 1 and output: rows. An input row, each element repeated `repeat` times, is repeated until the output
//! row is full: so it can be as long as the output row, or a vector of one value per channel, or one value per
//! pixel (`repeat` channels), or a single value. Broadcasting over rows or slices is a window of stride 0. Works in
//! place of either input, or both. No constants, no scratch.
//!
//! Sums follow TFLite: inputs are scaled by `2^20`, brought to twice the larger of their scales, added, and brought
//! to the output's scale, each time with the step's rounding.

mod broadcast;
#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{Affine, ExtremeS8, MulS8, SumS8};

use self::broadcast::{CHUNK, each};
use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::requantize::requantize;
use crate::kernels::s8::{Stage, arguments, is_code, is_stage, require};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `add_s8` and `sub_s8`.
    pub struct SumArgs {
        pub repeat_a: u32,
        pub repeat_b: u32,
        pub zero_a: i32,
        pub multiplier_a: i32,
        pub shift_a: i32,
        pub zero_b: i32,
        pub multiplier_b: i32,
        pub shift_b: i32,
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub rounding: u8,
        /// Bits by which the inputs are shifted left first.
        pub left_shift: u8,
    }

    /// Arguments of `mul_s8`.
    pub struct MulArgs {
        pub repeat_a: u32,
        pub repeat_b: u32,
        pub zero_a: i32,
        pub zero_b: i32,
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub rounding: u8,
        pub reserved: u8,
    }

    /// Arguments of `maximum_s8` and `minimum_s8`, whose tensors all have the same scale and zero point.
    pub struct ExtremeArgs {
        pub repeat_a: u32,
        pub repeat_b: u32,
    }
}

/// `add_s8`.
pub fn add(call: Call<'_>) -> Result<(), Mismatch> {
    sum(call, 1)
}

/// `sub_s8`.
pub fn sub(call: Call<'_>) -> Result<(), Mismatch> {
    sum(call, -1)
}

fn sum(call: Call<'_>, sign_b: i32) -> Result<(), Mismatch> {
    let args = SumArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding };
    let scaled = |code: i8, zero: i32, multiplier: i32, shift: i32| {
        let real = i32::from(code).wrapping_sub(zero).wrapping_shl(args.left_shift.into());
        requantize(real, multiplier, shift, args.rounding)
    };
    each(call, args.repeat_a, args.repeat_b, |to, a, b| {
        // Three short loops, each of which stays in registers.
        let mut sums = [0i32; CHUNK];
        for (sum, &a) in sums.iter_mut().zip(a) {
            *sum = scaled(a, args.zero_a, args.multiplier_a, args.shift_a);
        }
        for (sum, &b) in sums.iter_mut().zip(b) {
            let b = scaled(b, args.zero_b, args.multiplier_b, args.shift_b);
            *sum = sum.wrapping_add(b.wrapping_mul(sign_b));
        }
        for (to, &sum) in to.iter_mut().zip(&sums) {
            *to = stage.code(sum, args.multiplier, args.shift);
        }
    })
}

/// `mul_s8`.
pub fn mul(call: Call<'_>) -> Result<(), Mismatch> {
    let args = MulArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding };
    elements(call, args.repeat_a, args.repeat_b, |a, b| {
        let (a, b) = (i32::from(a).wrapping_sub(args.zero_a), i32::from(b).wrapping_sub(args.zero_b));
        stage.code(a.wrapping_mul(b), args.multiplier, args.shift)
    })
}

/// `maximum_s8`.
pub fn maximum(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ExtremeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    elements(call, args.repeat_a, args.repeat_b, i8::max)
}

/// `minimum_s8`.
pub fn minimum(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ExtremeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    elements(call, args.repeat_a, args.repeat_b, i8::min)
}

#[inline(always)]
fn elements(call: Call<'_>, repeat_a: u32, repeat_b: u32, f: impl Fn(i8, i8) -> i8) -> Result<(), Mismatch> {
    each(call, repeat_a, repeat_b, |to, a, b| {
        for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
            *to = f(a, b);
        }
    })
}

/// Accepts a step only if [`add`] and [`sub`] can serve it.
pub const fn check_sum(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(SumArgs, step);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.zero_a) && is_code(args.zero_b) && args.left_shift < 24, Arguments);
    check_operands(step, args.repeat_a, args.repeat_b)
}

/// Accepts a step only if [`mul`] can serve it.
pub const fn check_mul(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(MulArgs, step);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.zero_a) && is_code(args.zero_b), Arguments);
    check_operands(step, args.repeat_a, args.repeat_b)
}

/// Accepts a step only if [`maximum`] and [`minimum`] can serve it.
pub const fn check_extreme(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(ExtremeArgs, step);
    check_operands(step, args.repeat_a, args.repeat_b)
}

const fn check_operands(step: &StepView<'_>, repeat_a: u32, repeat_b: u32) -> Result<(), Fault> {
    require!(step.inputs() == 2, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    let row = step.row_len(2) as u64;
    let mut k = 0;
    while k < 2 {
        let repeat = if k == 0 { repeat_a } else { repeat_b };
        let filled = step.row_len(k) as u64 * repeat as u64;
        require!(filled > 0 && row.is_multiple_of(filled), Shape);
        if step.in_place(k) {
            require!(filled == row && repeat == 1, Shape);
        } else {
            require!(step.reads_one_row(k) && step.within(k), Shape);
        }
        k += 1;
    }
    Ok(())
}
