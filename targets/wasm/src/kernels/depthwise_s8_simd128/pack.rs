//! Packing of `depthwise_s8_simd128`.

use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::Packed;

use super::{DepthwiseArgs, TAPS};
use crate::kernels::id;
use crate::kernels::stage::blocks;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &DepthwiseS8<'_>) -> Option<Packed> {
    let DepthwiseS8 { in_channels: channels, input_zero_point, requant, .. } = layer;
    let (channels, taps) = (*channels, layer.kernel_rows * layer.kernel_width);
    if layer.multiplier != 1 || taps > TAPS {
        return None;
    }
    let blocks = blocks(layer.weights, layer.bias, channels, *input_zero_point, requant)?;
    let args = DepthwiseArgs {
        channels: channels as u32,
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
    let packed = Packed::new(id::DEPTHWISE_S8_SIMD128 + u16::from(requant.rounding), args.to_bytes())
        .with_blob(&crate::kernels::gemm::weights(layer.weights, channels, taps))
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: channels, ..packed })
}
