//! Packing of `depthwise_s8_dsp`.

use alloc::vec::Vec;

use mote_runtime::kernels::conv2d_s8::channels;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DepthwiseArgs;

use crate::kernels::id;
use crate::kernels::stage::{fits, scales};
use crate::kernels::taps::TAPS;
use crate::kernels::window::ROWS;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &DepthwiseS8<'_>) -> Option<Packed> {
    let DepthwiseS8 { weights, bias, in_channels, input_zero_point, requant, .. } = layer;
    if layer.multiplier != 1
        || !in_channels.is_multiple_of(4)
        || layer.kernel_rows > ROWS
        || layer.kernel_rows * layer.kernel_width > TAPS
    {
        return None;
    }
    let rounding = requant.cheapest_rounding();
    let scales = scales(requant, *in_channels)?;
    let channels = channels(weights, bias, *in_channels, *input_zero_point, requant);
    let taps = layer.kernel_rows * layer.kernel_width;
    if weights.chunks(taps).zip(&channels).any(|(weights, [start, ..])| !fits(*start, weights, 1 << 30)) {
        return None;
    }
    let (mut packed, mut blocks): (Vec<i16>, Vec<i32>) = (Vec::new(), Vec::new());
    for first in (0..*in_channels).step_by(4) {
        for tap in 0..taps {
            packed.extend([0, 2, 1, 3].map(|c| 2 * i16::from(weights[(first + c) * taps + tap])));
        }
        blocks.extend(channels[first..first + 4].iter().map(|[start, ..]| 2 * start));
        blocks.extend(scales[first..first + 4].as_flattened());
    }
    let args = DepthwiseArgs::of_layer(layer)?;
    let kernel = id::DEPTHWISE_S8_DSP + u16::from(rounding);
    let packed = Packed::new(kernel, args.to_bytes()).with_blob(&packed).with_blob(&blocks);
    Some(Packed { scratch: *in_channels, ..packed })
}
