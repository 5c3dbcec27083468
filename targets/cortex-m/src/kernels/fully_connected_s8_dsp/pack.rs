//! Packing of `fully_connected_s8_dsp`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::target_s8::DenseArgs;

use crate::kernels::conv_s8_dsp::{LIMITS, blocks, settle, weights};
use crate::kernels::id;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { weights: plain, bias, inputs, outputs, input_zero_point, requant } = layer;
    let rounding = requant.cheapest_rounding();
    let settled = settle(plain, bias, *outputs, *input_zero_point, requant, LIMITS)?;
    let weights = weights(&settled.weights, *outputs, 1, *inputs)?;
    let blocks = blocks(&settled.channels);
    let args = DenseArgs::of_layer(layer)?;
    Some(
        Packed::new(id::FULLY_CONNECTED_S8_DSP + u16::from(rounding), args.to_bytes())
            .with_blob(&weights)
            .with_blob(&blocks),
    )
}
