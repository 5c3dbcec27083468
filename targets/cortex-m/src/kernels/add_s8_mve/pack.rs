//! Packing of `add_s8_mve` and `sub_s8_mve`.

use alloc::vec::Vec;

use mote_runtime::kernels::binary_s8::SumS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::requantize::quantize_multiplier;

use super::AddMveArgs;
use crate::kernels::id;
use crate::kernels::mve::stage::shift;

/// Bits by which the definition shifts both operands left first.
const LEFT_SHIFT: i32 = 20;

/// The kernel, fed; `None` if it does not compute this sum exactly.
pub fn pack_add(layer: &SumS8) -> Option<Packed> {
    let (args, rounding) = args(layer)?;
    Some(Packed::new(id::ADD_S8_MVE + u16::from(rounding), args.to_bytes()))
}

/// As [`pack_add`], of a difference.
pub fn pack_sub(layer: &SumS8) -> Option<Packed> {
    let (args, rounding) = args(layer)?;
    let args = AddMveArgs { subtracted: if args.larger == 1 { 1 } else { 2 }, ..args };
    Some(Packed::new(id::SUB_S8_MVE + u16::from(rounding), args.to_bytes()))
}

fn args(layer: &SumS8) -> Option<(AddMveArgs, u8)> {
    let SumS8 { a, b, output, min, max, .. } = *layer;
    let (larger, smaller, index) = if a.scale >= b.scale { (a, b, 0) } else { (b, a, 1) };
    let twice = 2.0 * larger.scale;
    let requant =
        Requant { factors: Vec::new(), zero_point: output.zero_point, min, max, rounding: layer.rounding };
    let rounding = requant.cheapest_rounding();
    let rescaled = |factor: f64, bits: i32| {
        let (multiplier, exponent) = quantize_multiplier(factor);
        Some((multiplier, shift(multiplier, exponent - bits, rounding)?))
    };
    let factor = smaller.scale / twice;
    // Each bit more of the operand is one less of its factor.
    let (bits, (multiplier_smaller, shift_smaller)) =
        (0..=2).find_map(|bits| Some((bits, rescaled(factor, bits)?)))?;
    let scale = twice / (f64::from(1 << LEFT_SHIFT) * output.scale);
    let (multiplier, shift) = rescaled(scale, 0)?;
    let args = AddMveArgs {
        larger: index,
        subtracted: 0,
        min: i8::try_from(min).ok()?,
        max: i8::try_from(max).ok()?,
        zero_larger: larger.zero_point,
        zero_smaller: smaller.zero_point,
        unit_smaller: 1 << (LEFT_SHIFT + bits),
        multiplier_smaller,
        shift_smaller,
        multiplier,
        shift,
        zero_point: output.zero_point,
    };
    Some((args, rounding))
}
