//! Packing of `conv_s8_simd128`.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed};
use mote_runtime::kernels::target_s8::ConvArgs;

use super::{GROUP, copies, group};
use crate::kernels::gemm::{form, packed};
use crate::kernels::id;

/// Bytes of widened inputs that share a first-level cache of 32 KB with a block of weights.
const CACHE: usize = 16 << 10;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &ConvS8<'_>, geometry: Geometry) -> Option<Packed> {
    let ConvS8 { out_channels, in_channels, input_zero_point, requant, .. } = layer;
    if layer.groups != 1 {
        return None;
    }
    let inputs = layer.kernel_rows * layer.kernel_width * in_channels;
    let form = form(layer.weights, inputs);
    let args = ConvArgs { form, ..ConvArgs::of_layer(layer)? };
    let groups = (CACHE / group(inputs)).clamp(1, 8).min(geometry.columns.div_ceil(GROUP));
    let step = Packed::new(id::CONV_S8_SIMD128, args.to_bytes());
    let weights = (layer.weights, *out_channels, inputs);
    let packed = packed(step, form, weights, layer.bias, *input_zero_point, requant)?;
    Some(Packed { scratch: copies(inputs) + groups * group(inputs), ..packed })
}
