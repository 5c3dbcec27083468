//! Packing of `mul_s8_dsp`.

use mote_runtime::kernels::binary_s8::MulS8;
use mote_runtime::kernels::pack::Packed;

use super::MulDspArgs;
use crate::kernels::id;
use crate::kernels::stage::{Stage, scales};

/// The kernel, fed; `None` if it does not compute this product exactly. `lens`: elements in a row of both operands and
/// of the output.
pub fn pack(layer: &MulS8, lens: [usize; 3]) -> Option<Packed> {
    let (stage, rounding) = Stage::of(&layer.requant)?;
    let [[multiplier, scale]] = scales(&layer.requant, 1)?[..] else { return None };
    let whole = whole(layer, lens)?;
    let (zero_whole, zero_other) = zeros(layer, whole);
    let args = MulDspArgs {
        whole,
        reserved: 0,
        min: stage.min,
        max: stage.max,
        zero_whole,
        zero_other,
        multiplier,
        scale,
        zero_point: stage.zero_point,
    };
    Some(Packed::new(id::MUL_S8_DSP + u16::from(rounding), args.to_bytes()))
}

/// The operand as long as the output's row, if the other one is repeated as a whole.
pub(in crate::kernels) fn whole(layer: &MulS8, [a, b, output]: [usize; 3]) -> Option<u8> {
    if layer.repeat != [1, 1] {
        return None;
    }
    match (a == output, b == output) {
        (true, _) => Some(0),
        (_, true) => Some(1),
        _ => None,
    }
}

/// Zero points of the whole operand and of the other one.
pub(in crate::kernels) fn zeros(layer: &MulS8, whole: u8) -> (i32, i32) {
    if whole == 0 { (layer.zero_a, layer.zero_b) } else { (layer.zero_b, layer.zero_a) }
}
