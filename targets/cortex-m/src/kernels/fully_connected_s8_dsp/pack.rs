//! Packing of `fully_connected_s8_dsp`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;

use super::DenseArgs;
use crate::kernels::conv_s8_dsp::{blocks, settle, weights};
use crate::kernels::id;
use crate::kernels::stage::Stage;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { weights: plain, bias, inputs, outputs, input_zero_point, requant } = layer;
    let (stage, rounding) = Stage::of(requant)?;
    let settled = settle(plain, bias, *outputs, *input_zero_point, requant)?;
    let weights = weights(&settled.weights, *outputs, 1, *inputs)?;
    let blocks = blocks(&settled.channels);
    let args = DenseArgs {
        inputs: *inputs as u32,
        outputs: *outputs as u32,
        input_zero_point: *input_zero_point,
        zero_point: stage.zero_point,
        min: stage.min,
        max: stage.max,
        reserved: 0,
    };
    Some(
        Packed::new(id::FULLY_CONNECTED_S8_DSP + u16::from(rounding), args.to_bytes())
            .with_blob(&weights)
            .with_blob(&blocks),
    )
}
