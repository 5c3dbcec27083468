//! Packing of `conv_s8_dsp`.

use alloc::vec::Vec;

use mote_runtime::kernels::conv2d_s8::{ConvS8, channels};
use mote_runtime::kernels::pack::{Geometry, Packed, Requant};

use super::{ConvArgs, scratch};
use crate::kernels::expand::order;
use crate::kernels::id;
use crate::kernels::stage::{Stage, fits, scales};

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &ConvS8<'_>, geometry: Geometry) -> Option<Packed> {
    let stage = Stage::of(&layer.requant)?;
    if layer.groups != 1 {
        return None;
    }
    let run = layer.kernel_width * layer.in_channels;
    let weights = weights(layer.weights, layer.out_channels, layer.kernel_rows, run)?;
    let ConvS8 { weights: plain, bias, out_channels, input_zero_point, requant, .. } = layer;
    let blocks = blocks(plain, bias, *out_channels, *input_zero_point, requant)?;
    let args = ConvArgs {
        in_channels: layer.in_channels as u32,
        out_channels: layer.out_channels as u32,
        kernel_rows: layer.kernel_rows as u16,
        kernel_width: layer.kernel_width as u16,
        stride: layer.stride as u16,
        dilation: layer.dilation as u16,
        pad_left: layer.pad_left as i16,
        rounding: stage.rounding,
        reserved: 0,
        input_zero_point: layer.input_zero_point,
        zero_point: stage.zero_point,
        min: stage.min,
        max: stage.max,
        reserved2: 0,
    };
    let positions = if geometry.columns >= 3 && geometry.columns % 2 == 1 { 3 } else { 2 };
    let packed = Packed::new(id::CONV_S8_DSP, args.to_bytes()).with_blob(&weights).with_blob(&blocks);
    Some(Packed { scratch: scratch(positions, layer.kernel_rows, run), ..packed })
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

/// Start and scales of each four output channels; `None` if an accumulator may not fit.
pub(in crate::kernels) fn blocks(
    weights: &[i8],
    bias: &[i32],
    outputs: usize,
    input_zero_point: i32,
    requant: &Requant,
) -> Option<Vec<i32>> {
    let scales = scales(requant, outputs)?;
    let channels = channels(weights, bias, outputs, input_zero_point, requant);
    let per_output = weights.len() / outputs;
    for (output, (weights, [start, ..])) in weights.chunks(per_output).zip(&channels).enumerate() {
        if !fits(*start, weights, if output % 2 == 0 { 1 << 23 } else { 1 << 30 }) {
            return None;
        }
    }
    let mut packed = Vec::new();
    for block in (0..outputs).step_by(4) {
        let start = |output: usize| channels.get(output).map_or(0, |[start, ..]| *start);
        for pair in [block, block + 2] {
            let (first, second) = (start(pair), start(pair + 1));
            packed.extend([first.wrapping_mul(256).wrapping_add(second), second]);
        }
        packed.extend((block..block + 4).flat_map(|output| scales.get(output).copied().unwrap_or([0, 0])));
    }
    Some(packed)
}
