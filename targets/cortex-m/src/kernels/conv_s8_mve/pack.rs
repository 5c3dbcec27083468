//! Packing of `conv_s8_mve`.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed};

use super::{ConvArgs, STEP, scratch, steps};
use crate::kernels::id;
use crate::kernels::mve::dot::{blocks, weights};
use crate::kernels::mve::gather::ROWS;
use crate::kernels::mve::stage::{rounding, scaled};

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &ConvS8<'_>, geometry: Geometry) -> Option<Packed> {
    let ConvS8 { out_channels, in_channels, input_zero_point, requant, .. } = layer;
    if layer.groups != 1 || layer.kernel_rows > ROWS {
        return None;
    }
    let channels = scaled(layer.weights, layer.bias, *out_channels, *input_zero_point, requant)?;
    let taps = layer.kernel_rows * layer.kernel_width;
    let inputs = taps * in_channels;
    let args = ConvArgs {
        in_channels: *in_channels as u32,
        out_channels: *out_channels as u32,
        kernel_rows: layer.kernel_rows as u16,
        kernel_width: layer.kernel_width as u16,
        stride: layer.stride as u16,
        dilation: layer.dilation as u16,
        pad_left: layer.pad_left as i16,
        reserved: 0,
        input_zero_point: *input_zero_point,
        zero_point: requant.zero_point,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        reserved2: 0,
    };
    let last = (geometry.columns as isize - 1) * layer.stride as isize - layer.pad_left;
    let there = layer.pad_left <= 0 && last < geometry.width as isize;
    let scratch = if there { scratch(inputs, taps) } else { 2 * STEP * steps(inputs) };
    let packed = Packed::new(id::CONV_S8_MVE + u16::from(rounding(requant)), args.to_bytes())
        .with_blob(&weights(layer.weights, *out_channels, inputs))
        .with_blob(&blocks(&channels));
    Some(Packed { scratch, ..packed })
}
