//! Packing of `depthwise_s8_mve`.

use alloc::vec::Vec;

use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DepthwiseArgs;

use super::channels::{LANES, channel};
use super::scratch;
use crate::kernels::id;
use crate::kernels::mve::stage::scaled;
use crate::kernels::window::ROWS;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &DepthwiseS8<'_>) -> Option<Packed> {
    let &DepthwiseS8 { weights, bias, in_channels, input_zero_point, ref requant, .. } = layer;
    let taps = layer.kernel_rows * layer.kernel_width;
    if layer.multiplier != 1 || layer.kernel_rows > ROWS || taps >= 1 << 12 {
        return None;
    }
    let scales = scaled(weights, bias, in_channels, input_zero_point, requant)?;
    let overflows = weights.chunks_exact(taps).any(|taps| taps.chunks(2).any(|pair| pair == [-128, -128]));
    let pair = if overflows { 1 } else { 2 };
    let pairs = taps.div_ceil(pair);
    let (mut packed, mut blocks) = (Vec::new(), Vec::new());
    for block in (0..in_channels).step_by(LANES) {
        let weight = |tap: usize, lane: usize| match (tap < taps, block + lane < in_channels) {
            (true, true) => weights[(block + lane) * taps + tap],
            _ => 0,
        };
        for first in (0..pairs).map(|i| i * pair) {
            packed.extend((0..LANES).map(|lane| weight(first, lane)));
            packed.extend((0..LANES).map(|lane| if pair == 2 { weight(first + 1, lane) } else { 0 }));
        }
        for part in 0..3 {
            let scale = |i| scales.get(block + channel(i)).map_or(0, |scale| scale[part]);
            blocks.extend((0..LANES).map(scale));
        }
    }
    let args = DepthwiseArgs { form: pair as u8, ..DepthwiseArgs::of_layer(layer)? };
    let kernel = id::DEPTHWISE_S8_MVE + u16::from(requant.cheapest_rounding());
    let packed = Packed::new(kernel, args.to_bytes()).with_blob(&packed).with_blob(&blocks);
    Some(Packed { scratch: scratch(pairs, in_channels), ..packed })
}
