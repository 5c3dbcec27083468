//! Packing of `depthwise_s8_simd128`.

use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DepthwiseArgs;

use super::TAPS;
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
    let args = DepthwiseArgs::of_layer(layer)?;
    let packed = Packed::new(id::DEPTHWISE_S8_SIMD128, args.to_bytes())
        .with_blob(&crate::kernels::gemm::weights(layer.weights, channels, taps))
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: channels, ..packed })
}
