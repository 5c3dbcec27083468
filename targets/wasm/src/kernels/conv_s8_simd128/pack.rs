//! Packing of `conv_s8_simd128`.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed};
use mote_runtime::kernels::target_s8::ConvArgs;

use super::{GROUP, copies, group};
use crate::kernels::gemm::weights;
use crate::kernels::id;
use crate::kernels::stage::blocks;

/// Bytes of widened inputs that share a first-level cache of 32 KB with a block of weights.
const CACHE: usize = 16 << 10;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &ConvS8<'_>, geometry: Geometry) -> Option<Packed> {
    let ConvS8 { out_channels, in_channels, input_zero_point, requant, .. } = layer;
    if layer.groups != 1 {
        return None;
    }
    let blocks = blocks(layer.weights, layer.bias, *out_channels, *input_zero_point, requant)?;
    let inputs = layer.kernel_rows * layer.kernel_width * in_channels;
    let args = ConvArgs::of_layer(layer)?;
    let groups = (CACHE / group(inputs)).clamp(1, 8).min(geometry.columns.div_ceil(GROUP));
    let packed = Packed::new(id::CONV_S8_SIMD128 + u16::from(requant.rounding), args.to_bytes())
        .with_blob(&weights(layer.weights, *out_channels, inputs))
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: copies(inputs) + groups * group(inputs), ..packed })
}
