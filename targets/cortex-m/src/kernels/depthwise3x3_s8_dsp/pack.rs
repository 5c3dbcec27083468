//! Packing of `depthwise3x3_s8_dsp`.

use alloc::vec::Vec;

use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::conv2d_s8::channels;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Geometry, Packed};

use super::piece::{Channel, Record};
use super::{Depthwise3x3Args, SHORTEST, is_tight};
use crate::kernels::id;
use crate::kernels::stage::{Stage, fits, scales};

/// Records of the longest piece: a row of 48 columns.
const LONGEST: usize = 25;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &DepthwiseS8<'_>, geometry: Geometry) -> Option<Packed> {
    let DepthwiseS8 { weights, bias, in_channels, input_zero_point, requant, .. } = layer;
    let shape = (layer.kernel_rows, layer.kernel_width, layer.multiplier, layer.dilation);
    if shape != (3, 3, 1, 1) || !in_channels.is_multiple_of(4) || !(1..=2).contains(&layer.stride) {
        return None;
    }
    let columns = Columns { kernel_width: 3, stride: layer.stride, dilation: 1, pad_left: layer.pad_left };
    if !is_tight(&columns, geometry.columns, geometry.width) {
        return None;
    }
    let (stage, rounding) = Stage::of(requant)?;
    let scales = scales(requant, *in_channels)?;
    let channels = channels(weights, bias, *in_channels, *input_zero_point, requant);
    let mut constants: Vec<i32> = Vec::new();
    for ((w, [start, ..]), scale) in weights.as_chunks::<9>().0.iter().zip(channels).zip(scales) {
        if !fits(start, w, 1 << 30) {
            return None;
        }
        let pair = |low: usize, high: usize| {
            let [low, high] = [low, high].map(|tap| (2 * i32::from(w[tap])) as u16 as u32);
            (low | high << 16) as i32
        };
        let channel: Channel =
            [pair(0, 3), pair(1, 4), pair(2, 5), pair(6, 7), pair(7, 8), 2 * start, scale[0], scale[1]];
        constants.extend(channel);
    }
    let args = Depthwise3x3Args {
        channels: *in_channels as u32,
        stride: layer.stride as u16,
        pad_left: layer.pad_left as i16,
        input_zero_point: *input_zero_point,
        zero_point: stage.zero_point,
        min: stage.min,
        max: stage.max,
        reserved: 0,
    };
    let turns = geometry.columns.div_ceil(3 - layer.stride);
    let records = (turns + 1).clamp(SHORTEST, LONGEST);
    let packed =
        Packed::new(id::DEPTHWISE3X3_S8_DSP + u16::from(rounding), args.to_bytes()).with_blob(&constants);
    Some(Packed { scratch: records * size_of::<Record>(), ..packed })
}
