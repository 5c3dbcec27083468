//! Packing of `add_s8_simd128` and `sub_s8_simd128`.

use mote_runtime::kernels::binary_s8::SumS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::requantize::{SINGLE, quantize_multiplier};

use super::SumArgs;
use crate::kernels::id;
use crate::kernels::stage::factor;

/// Bits by which the definition shifts both operands left first.
const LEFT_SHIFT: i32 = 20;

/// The kernel, fed; `None` if it does not compute this sum.
pub fn pack_add(layer: &SumS8) -> Option<Packed> {
    let args = args(layer, 0)?;
    Some(Packed::new(id::ADD_S8_SIMD128 + u16::from(layer.rounding), args.to_bytes()))
}

/// As [`pack_add`], of a difference.
pub fn pack_sub(layer: &SumS8) -> Option<Packed> {
    let args = args(layer, 1)?;
    Some(Packed::new(id::SUB_S8_SIMD128 + u16::from(layer.rounding), args.to_bytes()))
}

fn args(layer: &SumS8, subtracted: u8) -> Option<SumArgs> {
    let SumS8 { a, b, output, min, max, rounding, .. } = *layer;
    // Rounded once, one half (the larger operand's factor) must be 1/4 of something for `Factor`: twice the operand.
    let more = if rounding == SINGLE { 1 } else { 0 };
    let twice = 2.0 * a.scale.max(b.scale);
    let of = |scale: f64| {
        let (multiplier, shift) = quantize_multiplier(scale / twice);
        factor(multiplier, shift - more, rounding)
    };
    let (of_a, of_b) = (of(a.scale)?, of(b.scale)?);
    let (multiplier, shift) = quantize_multiplier(twice / (f64::from(1 << LEFT_SHIFT) * output.scale));
    let of_sum = factor(multiplier, shift, rounding)?;
    Some(SumArgs {
        zero_a: a.zero_point,
        multiplier_a: of_a.multiplier,
        shift_a: of_a.shift,
        zero_b: b.zero_point,
        multiplier_b: of_b.multiplier,
        shift_b: of_b.shift,
        multiplier: of_sum.multiplier,
        shift: of_sum.shift,
        zero_point: output.zero_point,
        min: i8::try_from(min).ok()?,
        max: i8::try_from(max).ok()?,
        left_shift: (LEFT_SHIFT + more) as u8,
        subtracted,
    })
}
