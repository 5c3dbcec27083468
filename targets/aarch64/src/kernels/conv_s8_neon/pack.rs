//! Packing of `conv_s8_neon`.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed};
use mote_runtime::kernels::target_s8::ConvArgs;

use super::{CHANNELS, lies_ready, scratch};
use crate::kernels::dot::{is_narrow, weights};
use crate::kernels::id;
use crate::kernels::stage::{blocks, scaled};

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &ConvS8<'_>, geometry: Geometry) -> Option<Packed> {
    let ConvS8 { out_channels, in_channels, input_zero_point, requant, .. } = layer;
    let inputs = layer.kernel_rows * layer.kernel_width * in_channels;
    if layer.groups != 1 || inputs >= 1 << 24 {
        return None;
    }
    let channels = scaled(layer.weights, layer.bias, *out_channels, *input_zero_point, requant)?;
    let args = ConvArgs {
        form: is_narrow(layer.weights).into(),
        rounding: requant.cheapest_rounding(),
        ..ConvArgs::of_layer(layer)?
    };
    let ready = lies_ready(&args, geometry.width, geometry.columns);
    let packed = Packed::new(id::CONV_S8_NEON, args.to_bytes())
        .with_blob(&weights(layer.weights, *out_channels, inputs))
        .with_blob(&blocks::<CHANNELS>(&channels, out_channels.div_ceil(CHANNELS), |b| b * CHANNELS));
    Some(Packed { scratch: if ready { 0 } else { scratch(inputs) }, ..packed })
}
