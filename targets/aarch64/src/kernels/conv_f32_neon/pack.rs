//! Packing of `conv_f32_neon`.

use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::pack::Packed;

use super::scratch;
use crate::kernels::id;

/// The kernel, fed; `None` for layers with groups or with weights in half precision.
pub fn pack(layer: &ConvF32<'_>) -> Option<Packed> {
    let inputs = layer.kernel_rows * layer.kernel_width * layer.in_channels;
    if layer.groups != 1 || layer.half || inputs >= 1 << 25 {
        return None;
    }
    Some(Packed { kernel: id::CONV_F32_NEON, scratch: scratch(inputs), ..layer.pack() })
}
