//! Packing of `mul_s8_mve`.

use mote_runtime::kernels::binary_s8::MulS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::requantize::quantize_multiplier;

use super::MulDspArgs;
use crate::kernels::id;
use crate::kernels::mul_s8_dsp::{whole, zeros};
use crate::kernels::mve::stage::shift;

/// The kernel, fed; `None` if it does not compute this product exactly. `lens`: elements in a row of both operands and
/// of the output.
pub fn pack(layer: &MulS8, lens: [usize; 3]) -> Option<Packed> {
    let requant = &layer.requant;
    let rounding = requant.cheapest_rounding();
    let (multiplier, exponent) = quantize_multiplier(requant.factors[0]);
    let scale = shift(multiplier, exponent, rounding)?;
    let whole = whole(layer, lens)?;
    let (zero_whole, zero_other) = zeros(layer, whole);
    let args = MulDspArgs {
        whole,
        reserved: 0,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        zero_whole,
        zero_other,
        multiplier,
        scale,
        zero_point: requant.zero_point,
    };
    Some(Packed::new(id::MUL_S8_MVE + u16::from(rounding), args.to_bytes()))
}
