//! Packing of `add_s8_neon`.

use alloc::vec::Vec;

use mote_runtime::kernels::binary_s8::SumS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::requantize::quantize_multiplier;

use super::{AddArgs, LEFT_SHIFT};
use crate::kernels::id;
use crate::kernels::stage::shift;

/// The kernel, fed; `None` if it does not compute this sum exactly.
pub fn pack(layer: &SumS8) -> Option<Packed> {
    let SumS8 { a, b, output, min, max, .. } = *layer;
    let (larger, smaller, index) = if a.scale >= b.scale { (a, b, 0) } else { (b, a, 1) };
    let twice = 2.0 * larger.scale;
    let requant =
        Requant { factors: Vec::new(), zero_point: output.zero_point, min, max, rounding: layer.rounding };
    let rescaled = |factor: f64, bits: i32| {
        let (multiplier, exponent) = quantize_multiplier(factor);
        Some((multiplier, shift(multiplier, exponent - bits)?))
    };
    // Each bit more of the operand is one less of its factor.
    let factor = smaller.scale / twice;
    let (bits, (multiplier_smaller, shift_smaller)) =
        (0..=2).find_map(|bits| Some((bits, rescaled(factor, bits)?)))?;
    let (multiplier, shift) = rescaled(twice / (f64::from(1 << LEFT_SHIFT) * output.scale), 0)?;
    let args = AddArgs {
        larger: index,
        rounding: requant.cheapest_rounding(),
        min: i8::try_from(min).ok()?,
        max: i8::try_from(max).ok()?,
        zero_larger: larger.zero_point,
        zero_smaller: smaller.zero_point,
        bits,
        multiplier_smaller,
        shift_smaller,
        multiplier,
        shift,
        zero_point: output.zero_point,
    };
    Some(Packed::new(id::ADD_S8_NEON, args.to_bytes()))
}
