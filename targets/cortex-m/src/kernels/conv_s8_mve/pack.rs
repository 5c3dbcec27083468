//! Packing of `conv_s8_mve`.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed};
use mote_runtime::kernels::target_s8::ConvArgs;

use super::{STEP, scratch, steps};
use crate::kernels::id;
use crate::kernels::mve::dot::{blocks, weights};
use crate::kernels::mve::gather::ROWS;
use crate::kernels::mve::stage::scaled;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &ConvS8<'_>, geometry: Geometry) -> Option<Packed> {
    let ConvS8 { out_channels, in_channels, input_zero_point, requant, .. } = layer;
    if layer.groups != 1 || layer.kernel_rows > ROWS {
        return None;
    }
    let channels = scaled(layer.weights, layer.bias, *out_channels, *input_zero_point, requant)?;
    let taps = layer.kernel_rows * layer.kernel_width;
    let inputs = taps * in_channels;
    let args = ConvArgs::of_layer(layer)?;
    let last = (geometry.columns as isize - 1) * layer.stride as isize - layer.pad_left;
    let there = layer.pad_left <= 0 && last < geometry.width as isize;
    let scratch = if there { scratch(inputs, taps) } else { 2 * STEP * steps(inputs) };
    let packed = Packed::new(id::CONV_S8_MVE + u16::from(requant.cheapest_rounding()), args.to_bytes())
        .with_blob(&weights(layer.weights, *out_channels, inputs))
        .with_blob(&blocks(&channels));
    Some(Packed { scratch, ..packed })
}
