//! Packing of `fully_connected_s8_neon`.

use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packed;

use super::{DenseArgs, scratch};
use crate::kernels::dot::{CHANNELS, is_narrow, weights};
use crate::kernels::id;
use crate::kernels::stage::{blocks, rounding, scaled};

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &FullyConnectedS8<'_>) -> Option<Packed> {
    let &FullyConnectedS8 { inputs, outputs, input_zero_point, ref requant, .. } = layer;
    if inputs >= 1 << 24 {
        return None;
    }
    let channels = scaled(layer.weights, layer.bias, outputs, input_zero_point, requant)?;
    let args = DenseArgs {
        inputs: inputs as u32,
        outputs: outputs as u32,
        input_zero_point,
        zero_point: requant.zero_point,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        rounding: rounding(requant),
        narrow: is_narrow(layer.weights).into(),
    };
    let packed = Packed::new(id::FULLY_CONNECTED_S8_NEON, args.to_bytes())
        .with_blob(&weights(layer.weights, outputs, inputs))
        .with_blob(&blocks::<CHANNELS>(&channels, outputs.div_ceil(CHANNELS), |b| b * CHANNELS));
    Some(Packed { scratch: scratch(inputs), ..packed })
}
