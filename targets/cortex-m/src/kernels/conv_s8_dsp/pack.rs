//! Packing of `conv_s8_dsp`.

use alloc::vec::Vec;

use mote_runtime::kernels::conv2d_s8::{ConvS8, channels};
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::requantize::requantize;
use mote_runtime::kernels::target_s8::ConvArgs;

use super::scratch;
use crate::kernels::expand::order;
use crate::kernels::id;
use crate::kernels::stage::{range, scale};
use crate::kernels::window::ROWS;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &ConvS8<'_>) -> Option<Packed> {
    let rounding = layer.requant.cheapest_rounding();
    if layer.groups != 1 || layer.kernel_rows > ROWS {
        return None;
    }
    let run = layer.kernel_width * layer.in_channels;
    let ConvS8 { out_channels, input_zero_point, requant, .. } = layer;
    let settled = settle(layer.weights, layer.bias, *out_channels, *input_zero_point, requant, LIMITS)?;
    let weights = weights(&settled.weights, *out_channels, layer.kernel_rows, run)?;
    let blocks = blocks(&settled.channels);
    let args = ConvArgs::of_layer(layer)?;
    let packed = Packed::new(id::CONV_S8_DSP + u16::from(rounding), args.to_bytes())
        .with_blob(&weights)
        .with_blob(&blocks);
    Some(Packed { scratch: scratch(2, layer.kernel_rows, run), ..packed })
}

/// A layer whose channels that need more bits than the kernel has, but always give the same code, are given that code
/// by a start of their own and no weights. (Batch normalisation leaves such channels where a filter has died.)
pub(in crate::kernels) struct Settled {
    pub weights: Vec<i8>,
    /// `[start, multiplier, 2^(32 + shift)]`
    pub channels: Vec<[i32; 3]>,
}

/// What the accumulators of even and of odd channels fit in, where two of them share a word.
pub(in crate::kernels) const LIMITS: [i64; 2] = [1 << 23, 1 << 30];

/// `None` if a channel does not fit: accumulators of even and odd channels lie in `-limit .. limit`. `weights` has the
/// output channel as its first axis.
pub(in crate::kernels) fn settle(
    weights: &[i8],
    bias: &[i32],
    outputs: usize,
    input_zero_point: i32,
    requant: &Requant,
    limits: [i64; 2],
) -> Option<Settled> {
    let per_output = weights.len() / outputs;
    let mut weights = weights.to_vec();
    let channels = channels(&weights, bias, outputs, input_zero_point, requant);
    let settled = channels.into_iter().zip(weights.chunks_mut(per_output)).enumerate().map(
        |(output, (channel, weights))| {
            let [start, multiplier, shift] = channel;
            let (low, high) = range(start, weights);
            let limit = limits[output % 2];
            if low >= -limit
                && high < limit
                && let Some([multiplier, scale]) = scale(multiplier, shift)
            {
                return Some([start, multiplier, scale]);
            }
            let (low, high) = (i32::try_from(low).ok()?, i32::try_from(high).ok()?);
            let code = |acc: i32| {
                let code =
                    requantize(acc, multiplier, shift, requant.rounding).wrapping_add(requant.zero_point);
                code.max(requant.min).min(requant.max)
            };
            // A larger accumulator never gives a smaller code.
            if code(low) != code(high) || shift > 0 {
                return None;
            }
            weights.fill(0);
            // A factor of 2^-4.
            Some([(code(low) - requant.zero_point) << 4, 1 << 30, 1 << 29])
        },
    );
    let channels = settled.collect::<Option<_>>()?;
    Some(Settled { weights, channels })
}

/// `[out][rows][run]` weights in blocks of four output channels; `None` if a pair does not fit 16 bits.
pub(in crate::kernels) fn weights(
    weights: &[i8],
    outputs: usize,
    kernel_rows: usize,
    run: usize,
) -> Option<Vec<i8>> {
    let weight = |output: usize, row: usize, byte: usize| match output < outputs && byte < run {
        true => i32::from(weights[(output * kernel_rows + row) * run + byte]),
        false => 0,
    };
    let mut packed = Vec::new();
    for block in (0..outputs).step_by(4) {
        for row in 0..kernel_rows {
            for bytes in order(run) {
                for pair in [block, block + 2] {
                    for byte in bytes {
                        let both = 256 * weight(pair, row, byte) + weight(pair + 1, row, byte);
                        packed.extend(i16::try_from(both).ok()?.to_le_bytes().map(|byte| byte as i8));
                    }
                }
            }
        }
    }
    Some(packed)
}

/// Start and scales of each four output channels.
pub(in crate::kernels) fn blocks(channels: &[[i32; 3]]) -> Vec<i32> {
    let mut packed = Vec::new();
    for block in channels.chunks(4) {
        let channel = |c: usize| block.get(c).copied().unwrap_or_default();
        for pair in [0, 2] {
            let ([first, m0, p0], [second, m1, p1]) = (channel(pair), channel(pair + 1));
            packed.extend([first.wrapping_mul(256).wrapping_add(second), second, m0, p0, m1, p1]);
        }
    }
    packed
}
