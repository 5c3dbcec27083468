//! Packing of `conv_s8_simd128`.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed};

use super::{ConvArgs, GROUP, copies, group};
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
    let groups = (CACHE / group(inputs)).clamp(1, 8).min(geometry.columns.div_ceil(GROUP));
    let packed = Packed::new(id::CONV_S8_SIMD128 + u16::from(requant.rounding), args.to_bytes())
        .with_blob(&weights(layer.weights, *out_channels, inputs))
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: copies(inputs) + groups * group(inputs), ..packed })
}
