//! Packing of `fully_connected_s8_simd128`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;

use super::{DenseArgs, scratch};
use crate::kernels::gemm::weights;
use crate::kernels::id;
use crate::kernels::stage::blocks;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { inputs, outputs, input_zero_point, requant, .. } = layer;
    let blocks = blocks(layer.weights, layer.bias, *outputs, *input_zero_point, requant)?;
    let args = DenseArgs {
        inputs: *inputs as u32,
        outputs: *outputs as u32,
        input_zero_point: *input_zero_point,
        zero_point: requant.zero_point,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        reserved: 0,
    };
    let packed = Packed::new(id::FULLY_CONNECTED_S8_SIMD128 + u16::from(requant.rounding), args.to_bytes())
        .with_blob(&weights(layer.weights, *outputs, *inputs))
        .with_blob(bytemuck::cast_slice::<_, i32>(&blocks));
    Some(Packed { scratch: scratch(*inputs), ..packed })
}
