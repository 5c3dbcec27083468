//! Packing of `spmm_s8_dsp`.

use alloc::vec::Vec;

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_s8::SpmmS8;

use super::{Channel, is_served};
use crate::kernels::conv_s8_dsp::settle;
use crate::kernels::id;

/// What doubled accumulators leave of 32 bits.
const LIMIT: i64 = 1 << 30;

/// The kernel, fed; `None` if it does not compute this layer exactly, or has no loop for such blocks.
pub fn pack(layer: &SpmmS8<'_>, block: Block, strip: usize) -> Option<Packed> {
    let SpmmS8 { weights, bias, out_channels, input_zero_point, requant, .. } = *layer;
    if !is_served(block, out_channels) {
        return None;
    }
    let settled = settle(weights, bias, out_channels, input_zero_point, requant, [LIMIT; 2])?;
    let layer = SpmmS8 { weights: &settled.weights, ..layer.clone() };
    let (stream, counts) = layer.stream(block);
    let mut channels: Vec<Channel> = settled
        .channels
        .iter()
        .map(|&[start, multiplier, scale]| [2 * start, 0, multiplier, scale])
        .collect();
    for (count, channels) in counts.iter().zip(channels.chunks_exact_mut(block.outputs)) {
        channels[0][1] = *count;
    }
    let kernel = id::SPMM_S8_DSP + u16::from(requant.cheapest_rounding());
    Some(layer.packed(kernel, block, strip, &stream, &channels))
}
