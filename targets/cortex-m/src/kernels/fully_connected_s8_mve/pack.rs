//! Packing of `fully_connected_s8_mve`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;

use super::{DenseArgs, scratch};
use crate::kernels::id;
use crate::kernels::mve::dot;
use crate::kernels::mve::stage::{rounding, scaled};

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let FullyConnectedS8 { weights, bias, inputs, outputs, input_zero_point, requant } = layer;
    let channels = scaled(weights, bias, *outputs, *input_zero_point, requant)?;
    let args = DenseArgs {
        inputs: *inputs as u32,
        outputs: *outputs as u32,
        input_zero_point: *input_zero_point,
        zero_point: requant.zero_point,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        reserved: 0,
    };
    let packed = Packed::new(id::FULLY_CONNECTED_S8_MVE + u16::from(rounding(requant)), args.to_bytes())
        .with_blob(&dot::weights(weights, *outputs, *inputs))
        .with_blob(&dot::blocks(&channels));
    Some(Packed { scratch: scratch(*inputs), ..packed })
}
