//! Packing of `fully_connected_s8_simd128`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DenseArgs;

use super::scratch;
use crate::kernels::gemm::weights;
use crate::kernels::id;
use crate::kernels::stage::blocks;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { inputs, outputs, input_zero_point, requant, .. } = layer;
    let blocks = blocks(layer.weights, layer.bias, *outputs, *input_zero_point, requant)?;
    let args = DenseArgs::of_layer(layer)?;
    let packed = Packed::new(id::FULLY_CONNECTED_S8_SIMD128 + u16::from(requant.rounding), args.to_bytes())
        .with_blob(&weights(layer.weights, *outputs, *inputs))
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: scratch(*inputs), ..packed })
}
