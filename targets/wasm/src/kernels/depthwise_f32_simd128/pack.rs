//! Packing of `depthwise_f32_simd128`.

use mote_runtime::kernels::depthwise_f32::DepthwiseF32;
use mote_runtime::kernels::pack::Packed;

use crate::kernels::id;

/// The kernel, fed; `None` for other numbers of channels, or weights in half precision.
pub fn pack(layer: &DepthwiseF32<'_>) -> Option<Packed> {
    if layer.half || layer.multiplier != 1 || !layer.in_channels.is_multiple_of(4) {
        return None;
    }
    Some(Packed { kernel: id::DEPTHWISE_F32_SIMD128, ..layer.pack() })
}
