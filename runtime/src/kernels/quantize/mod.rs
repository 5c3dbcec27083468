//! Between real numbers and codes, as TFLite's reference does it: `quantize_f32_s8`, `dequantize_s8_f32`,
//! `requantize_s8`. Codes are `i8` or `u8`, after the tensor's type.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::{DequantizeS8F32, QuantizeF32S8, RequantizeS8};

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::kernels::requantize::{DOUBLE, WHOLE, requantize};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `quantize_f32_s8`: `clamp(round(x / scale) + zero_point)`.
    pub struct QuantizeArgs {
        pub scale: f32,
        pub zero_point: i32,
        /// Limits of the codes: of `i8` or `u8`, or narrower.
        pub min: i16,
        pub max: i16,
        /// How halves round: 0 away from zero (TFLite), 1 to even (ONNX).
        pub half_even: u32,
    }

    /// Arguments of `dequantize_s8_f32`: `scale * (code - zero_point)`.
    pub struct DequantizeArgs {
        pub scale: f32,
        pub zero_point: i32,
        /// 1 if the codes are `u8`.
        pub unsigned: u32,
    }

    /// Arguments of `requantize_s8`: `clamp(requantize(code - in_zero_point) + zero_point)`.
    pub struct RequantizeArgs {
        pub in_zero_point: i32,
        pub zero_point: i32,
        pub multiplier: i32,
        pub shift: i8,
        /// See [`requantize`](super::requantize).
        pub rounding: u8,
        /// 1 if the codes are `u8`.
        pub in_unsigned: u8,
        pub reserved: u8,
        pub min: i16,
        pub max: i16,
    }
}

pub const fn check_quantize(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = QuantizeArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    if step.args().len() != QuantizeArgs::SIZE || args.half_even > 1 {
        return Err(Fault::Arguments);
    }
    if !elementwise(step) || !step.is(0, DType::F32) || !codes_fit(step, args.min, args.max) {
        return Err(Fault::Shape);
    }
    Ok(())
}

pub const fn check_dequantize(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = DequantizeArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    if step.args().len() != DequantizeArgs::SIZE || args.unsigned > 1 {
        return Err(Fault::Arguments);
    }
    let codes = if args.unsigned == 1 { DType::U8 } else { DType::I8 };
    if !elementwise(step) || !step.is(0, codes) || !step.is(1, DType::F32) {
        return Err(Fault::Shape);
    }
    Ok(())
}

pub const fn check_requantize(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = RequantizeArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let shift = args.shift >= -31 && args.shift <= 30;
    if step.args().len() != RequantizeArgs::SIZE || !shift || args.rounding > DOUBLE || args.in_unsigned > 1 {
        return Err(Fault::Arguments);
    }
    let codes = if args.in_unsigned == 1 { DType::U8 } else { DType::I8 };
    if !elementwise(step) || !step.is(0, codes) || !codes_fit(step, args.min, args.max) {
        return Err(Fault::Shape);
    }
    Ok(())
}

const fn elementwise(step: &StepView<'_>) -> bool {
    let alone = step.inputs() == 1 && !step.any_in_place();
    alone && step.row_len(0) == step.row_len(1) && step.elementwise(0)
}

const fn codes_fit(step: &StepView<'_>, min: i16, max: i16) -> bool {
    let signed = step.is(1, DType::I8) && min >= -128 && max <= 127;
    let unsigned = step.is(1, DType::U8) && min >= 0 && max <= 255;
    min <= max && (signed || unsigned)
}

pub fn run_quantize(call: Call<'_>) -> Result<(), Mismatch> {
    let args = QuantizeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let src: &[f32] = numbers(source.only(slice, row)?)?;
        let each = dst.iter_mut().zip(src);
        if args.half_even != 0 {
            each.for_each(|(to, x)| *to = quantize::<true>(*x, &args));
        } else {
            each.for_each(|(to, x)| *to = quantize::<false>(*x, &args));
        }
        Ok(())
    })
}

pub fn run_dequantize(call: Call<'_>) -> Result<(), Mismatch> {
    let args = DequantizeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let dst: &mut [f32] = numbers_mut(dst)?;
        for (to, byte) in dst.iter_mut().zip(source.only(slice, row)?) {
            *to = args.scale * code(*byte, args.unsigned != 0).wrapping_sub(args.zero_point) as f32;
        }
        Ok(())
    })
}

pub fn run_requantize(call: Call<'_>) -> Result<(), Mismatch> {
    let args = RequantizeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, dst| {
        for (to, byte) in dst.iter_mut().zip(source.only(slice, row)?) {
            let code = code(*byte, args.in_unsigned != 0).wrapping_sub(args.in_zero_point);
            let scaled = requantize(code, args.multiplier, args.shift.into(), args.rounding);
            *to = clamp(scaled.wrapping_add(args.zero_point), args.min, args.max);
        }
        Ok(())
    })
}

/// The code of a real number, as a byte. Not-a-number becomes the zero point. Without calls or jumps, so that compilers
/// find vectors.
#[inline(always)]
fn quantize<const HALF_EVEN: bool>(x: f32, args: &QuantizeArgs) -> u8 {
    // Beyond this all codes are limited.
    const LARGEST: f32 = 65_536.0;
    let ratio = x / args.scale;
    let ratio = if ratio.is_nan() { 0.0 } else { ratio.clamp(-LARGEST, LARGEST) };
    let shifted = ratio + WHOLE;
    let mut code = shifted.to_bits().cast_signed().wrapping_sub(WHOLE.to_bits().cast_signed());
    if !HALF_EVEN {
        let left = ratio - (shifted - WHOLE);
        code += i32::from((left == 0.5) & (ratio > 0.0)) - i32::from((left == -0.5) & (ratio < 0.0));
    }
    // A zero point beyond all codes limits them as one at this distance does, and sums do not overflow.
    clamp(code + args.zero_point.clamp(-(1 << 20), 1 << 20), args.min, args.max)
}

#[inline]
fn code(byte: u8, unsigned: bool) -> i32 {
    if unsigned { byte.into() } else { (byte as i8).into() }
}

/// The byte of a limited code, of either signedness.
#[inline]
fn clamp(code: i32, min: i16, max: i16) -> u8 {
    code.max(min.into()).min(max.into()) as u8
}
