//! Packing of `add_s8_dsp` and `sub_s8_dsp`.

use mote_runtime::kernels::binary_s8::SumS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::requantize::quantize_multiplier;

use super::AddArgs;
use crate::kernels::id;
use crate::kernels::stage::{Stage, scales};

/// The kernel, fed; `None` if it does not compute this sum exactly. Rows must be as long as the output's.
pub fn pack_add(layer: &SumS8) -> Option<Packed> {
    let (args, rounding) = args(layer)?;
    Some(Packed::new(id::ADD_S8_DSP + u16::from(rounding), args.to_bytes()))
}

/// As [`pack_add`], of a difference.
pub fn pack_sub(layer: &SumS8) -> Option<Packed> {
    let (args, rounding) = args(layer)?;
    let args = AddArgs { subtracted: if args.larger == 1 { 1 } else { 2 }, ..args };
    Some(Packed::new(id::SUB_S8_DSP + u16::from(rounding), args.to_bytes()))
}

fn args(layer: &SumS8) -> Option<(AddArgs, u8)> {
    let SumS8 { a, b, output, min, max, rounding, repeat: [1, 1] } = layer else { return None };
    let (larger, [first, second]) = if a.scale >= b.scale { (0, [a, b]) } else { (1, [b, a]) };
    let twice = 2.0 * first.scale;
    // Operands are shifted left by 20 bits.
    let factors = alloc::vec![twice / ((1 << 20) as f64 * output.scale)];
    let requant =
        Requant { factors, zero_point: output.zero_point, min: *min, max: *max, rounding: *rounding };
    let (stage, rounding) = Stage::of(&requant)?;
    let [[multiplier, scale]] = scales(&requant, 1)?[..] else { return None };
    let (multiplier_smaller, scale_smaller) = match quantize_multiplier(second.scale / twice) {
        (0, _) => (1 << 30, 0),
        (1073741824, 0) => (0, 0),
        (multiplier, shift @ -31..=-1) => (multiplier, 1 << (31 + shift)),
        _ => return None,
    };
    let args = AddArgs {
        larger,
        subtracted: 0,
        min: stage.min,
        max: stage.max,
        zero_larger: first.zero_point,
        zero_smaller: second.zero_point,
        multiplier_smaller,
        scale_smaller,
        multiplier,
        scale,
        zero_point: stage.zero_point,
    };
    Some((args, rounding))
}
