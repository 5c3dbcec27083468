//! Packing of `conv_f32_simd128`.

use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::pack::Packed;

use super::{Halves, copies, group, room};
use crate::kernels::id;

/// Bytes of inputs that share a first-level cache of 32 KB with a block of weights.
const CACHE: usize = 16 << 10;

/// Fewest groups, though inputs of many channels then come from the second-level cache: weights, which may come from
/// beyond it, are read once for all groups.
const FEWEST: usize = 4;

/// Most groups: beyond it, more of them don't matter to the weights.
const MOST: usize = 8;

/// The kernel, fed; `None` for layers with groups.
pub fn pack(layer: &ConvF32<'_>) -> Option<Packed> {
    let inputs = layer.kernel_rows * layer.kernel_width * layer.in_channels;
    if layer.groups != 1 || inputs >= 1 << 25 {
        return None;
    }
    let groups = (CACHE / group(inputs).max(1)).clamp(FEWEST, MOST);
    let (kernel, room) = match layer.half {
        true => (id::CONV_F32_W16_SIMD128, room::<Halves>(inputs)),
        false => (id::CONV_F32_SIMD128, 0),
    };
    Some(Packed { kernel, scratch: copies(inputs) + room + groups * group(inputs), ..layer.pack() })
}
