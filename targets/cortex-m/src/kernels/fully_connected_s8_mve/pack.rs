//! Packing of `fully_connected_s8_mve`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DenseArgs;

use super::scratch;
use crate::kernels::id;
use crate::kernels::mve::dot;
use crate::kernels::mve::stage::scaled;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { weights, bias, inputs, outputs, input_zero_point, requant } = layer;
    let channels = scaled(weights, bias, *outputs, *input_zero_point, requant)?;
    let args = DenseArgs::of_layer(layer)?;
    let packed =
        Packed::new(id::FULLY_CONNECTED_S8_MVE + u16::from(requant.cheapest_rounding()), args.to_bytes())
            .with_blob(&dot::weights(weights, *outputs, *inputs))
            .with_blob(&dot::blocks(&channels));
    Some(Packed { scratch: scratch(*inputs), ..packed })
}
