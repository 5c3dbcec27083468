//! Packing of `fully_connected_s8_simd128`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DenseArgs;

use super::scratch;
use crate::kernels::gemm::{form, packed};
use crate::kernels::id;

/// The kernel, fed; `None` if it does not compute this layer.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { inputs, outputs, input_zero_point, requant, .. } = layer;
    let form = form(layer.weights, *inputs);
    let args = DenseArgs { form, ..DenseArgs::of_layer(layer)? };
    let step = Packed::new(id::FULLY_CONNECTED_S8_SIMD128, args.to_bytes());
    let weights = (layer.weights, *outputs, *inputs);
    let packed = packed(step, form, weights, layer.bias, *input_zero_point, requant)?;
    Some(Packed { scratch: scratch(*inputs), ..packed })
}
