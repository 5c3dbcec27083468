//! Packing of `mul_s8_simd128`.

use mote_runtime::kernels::binary_s8::MulS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::requantize::quantize_multiplier;

use super::MulArgs;
use crate::kernels::id;
use crate::kernels::stage::factor;

/// The kernel, fed; `None` if it does not compute this product. `lens`: elements in a row of both operands and of the
/// output.
pub fn pack(layer: &MulS8, [of_a, of_b, row]: [usize; 3]) -> Option<Packed> {
    if layer.repeat != [1, 1] || of_a != row {
        // Products commute, so a vector that comes first is taken second by the caller's order of operands alone.
        return None;
    }
    let requant = &layer.requant;
    let (multiplier, shift) = quantize_multiplier(*requant.factors.first()?);
    let factor = factor(multiplier, shift, requant.rounding)?;
    let args = MulArgs {
        channels: if of_b == row { 0 } else { of_b as u32 },
        zero_a: layer.zero_a,
        zero_b: layer.zero_b,
        multiplier: factor.multiplier,
        shift: factor.shift,
        zero_point: requant.zero_point,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        is_plain: requant.rounds_in_floats(multiplier, shift).into(),
        reserved: 0,
    };
    Some(Packed::new(id::MUL_S8_SIMD128 + u16::from(requant.rounding), args.to_bytes()))
}
