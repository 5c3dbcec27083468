//! Packing of `fully_connected_s8_neon`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DenseArgs;

use super::scratch;
use crate::kernels::dot::{CHANNELS, is_narrow, weights};
use crate::kernels::id;
use crate::kernels::stage::{blocks, scaled};

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let &FullyConnectedS8 { inputs, outputs, input_zero_point, ref requant, .. } = layer;
    if inputs >= 1 << 24 {
        return None;
    }
    let channels = scaled(layer.weights, layer.bias, outputs, input_zero_point, requant)?;
    let args = DenseArgs {
        form: is_narrow(layer.weights).into(),
        rounding: requant.cheapest_rounding(),
        ..DenseArgs::of_layer(layer)?
    };
    let packed = Packed::new(id::FULLY_CONNECTED_S8_NEON, args.to_bytes())
        .with_blob(&weights(layer.weights, outputs, inputs))
        .with_blob(&blocks::<CHANNELS>(&channels, outputs.div_ceil(CHANNELS), |b| b * CHANNELS));
    Some(Packed { scratch: scratch(inputs), ..packed })
}
