//! Packing of `depthwise_square_s8_simd128`.

use alloc::vec::Vec;

use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::target_s8::DepthwiseArgs;

use crate::kernels::id;
use crate::kernels::stage::blocks;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &DepthwiseS8<'_>) -> Option<Packed> {
    let DepthwiseS8 { in_channels: channels, kernel_width: size, input_zero_point, requant, .. } = layer;
    let (channels, size) = (*channels, *size);
    let square = layer.kernel_rows == size && (size == 3 || size == 5);
    if !square || layer.multiplier != 1 || channels < 8 || layer.stride > 2 || layer.dilation != 1 {
        return None;
    }
    // Channels of the blocks, the last of which begins before the one before ends where there is no eighth one.
    let order: Vec<usize> =
        (0..channels.div_ceil(8)).flat_map(|b| (0..8).map(move |i| (8 * b).min(channels - 8) + i)).collect();
    let taps = size * size;
    let weights: Vec<i8> =
        order.iter().flat_map(|c| &layer.weights[c * taps..(c + 1) * taps]).copied().collect();
    let bias: Vec<i32> = order.iter().filter_map(|&c| layer.bias.get(c).copied()).collect();
    let factors = match requant.factors[..] {
        [one] => Vec::from([one]),
        _ => order.iter().map(|&c| requant.factors[c]).collect(),
    };
    let requant = Requant { factors, ..requant.clone() };
    let blocks = blocks(&weights, &bias, order.len(), *input_zero_point, &requant)?;
    let mut packed = Vec::new();
    for eight in weights.chunks_exact(8 * taps) {
        let tap = |channel: usize, row: usize, column: usize| {
            if row < size && column < size { eight[channel * taps + row * size + column] } else { 0 }
        };
        for column in 0..size {
            packed.extend((0..32).map(|i| tap(i / 4, i % 4, column)));
        }
        for column in (0..size).filter(|_| size > 4) {
            packed.extend((0..32).map(|i| if i % 4 == 0 { tap(i / 4, 4, column) } else { 0 }));
        }
    }
    let args = DepthwiseArgs::of_layer(layer)?;
    let packed = Packed::new(id::DEPTHWISE_SQUARE_S8_SIMD128, args.to_bytes())
        .with_blob(&packed)
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: 8, ..packed })
}
