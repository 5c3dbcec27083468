//! `mul_s8_simd128`: `mul_s8` of rows as long as the output's, or with a vector of one value per channel as input 1 (the
//! gates of squeeze and excitation).
//!
//! No constants, no scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::pieces::each;
use super::stage::{Factor, Near, SINGLE, Stage};
use crate::vector::{F32x4, I16x8};

records! {
    /// Arguments.
    pub struct MulArgs {
        /// Elements of a row of input 1 if they are repeated, or 0.
        pub channels: u32,
        pub zero_a: i32,
        pub zero_b: i32,
        pub multiplier: i32,
        pub shift: u32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        /// 1 if products in floats are right for all codes (`stage`), else 0.
        pub is_plain: u8,
        pub reserved: u8,
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(MulArgs, step);
    require!(is_clamp(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.zero_a) && is_code(args.zero_b), Arguments);
    require!(Factor::is_sound(args.multiplier, args.shift), Arguments);
    if args.channels == 0 {
        return super::add_s8_simd128::operands(step);
    }
    require!(step.inputs() == 2, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    let (row, channels) = (step.row_len(2), args.channels as usize);
    require!(step.row_len(0) == row && step.row_len(1) == channels && row.is_multiple_of(channels), Shape);
    require!(step.in_place(0) || (step.reads_one_row(0) && step.within(0)), Shape);
    require!(!step.in_place(1) && step.reads_one_row(1) && step.within(1), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
    let args = MulArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let stage = Stage::new(args.zero_point, args.min, args.max);
    let (zero_a, zero_b) = (I16x8::splat(args.zero_a as i16), I16x8::splat(args.zero_b as i16));
    let factor = Factor { multiplier: args.multiplier, shift: args.shift };
    let (scale, sure) = factor.real::<ROUNDING>();
    let (scale, sure) = (F32x4::splat(scale), F32x4::splat(sure));
    let channels = if args.channels == 0 { None } else { Some(args.channels as usize) };
    let is_plain = ROUNDING == SINGLE && args.is_plain == 1;
    each(call, channels, |a, b, to| {
        let (a, b) = (I16x8::widened(a).minus(zero_a), I16x8::widened(b).minus(zero_b));
        let products = a.products(b);
        if is_plain {
            return stage.plain(products, [scale; 2], to);
        }
        let near = products.map(|product| Near { real: product.real().times(scale), sure });
        stage.store_near(near, || products.map(|product| factor.of::<ROUNDING>(product)), to);
    })
}
