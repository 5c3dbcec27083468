//! Packing of `depthwise_f32_simd128`.

use alloc::vec::Vec;

use mote_runtime::kernels::depthwise_f32::DepthwiseF32;
use mote_runtime::kernels::pack::{Packed, to_half};

use crate::kernels::id;

/// The kernel, fed; `None` for other numbers of channels. Weights in half precision are stored as the floats that they are:
/// they are few, and each is read for every few outputs.
pub fn pack(layer: &DepthwiseF32<'_>) -> Option<Packed> {
    if layer.multiplier != 1 || !layer.in_channels.is_multiple_of(4) {
        return None;
    }
    let stored = |&weight: &f32| if layer.half { to_half(weight).to_f32() } else { weight };
    let weights: Vec<f32> = layer.weights.iter().map(stored).collect();
    let layer = DepthwiseF32 { weights: &weights, half: false, ..*layer };
    Some(Packed { kernel: id::DEPTHWISE_F32_SIMD128, ..layer.pack() })
}
