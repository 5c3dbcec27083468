//! Packing of `fully_connected_s8`.

use super::FullyConnectedArgs;
use crate::kernels::conv2d_s8::channels;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;

/// A dense layer with int8 weights.
#[derive(Clone, Debug)]
pub struct FullyConnectedS8<'a> {
    /// `[outputs][inputs]`.
    pub weights: &'a [i8],
    /// One per output, at scale `s_in * s_w`; empty for none.
    pub bias: &'a [i32],
    pub inputs: usize,
    pub outputs: usize,
    pub input_zero_point: i32,
    /// One factor, or one per output.
    pub requant: Requant,
}

impl FullyConnectedS8<'_> {
    /// Kernel, arguments and constants.
    pub fn pack(&self) -> Packed {
        let channels = channels(self.weights, self.bias, self.outputs, self.input_zero_point, &self.requant);
        let args = FullyConnectedArgs {
            inputs: self.inputs as u32,
            outputs: self.outputs as u32,
            input_zero_point: self.input_zero_point,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            rounding: self.requant.rounding,
            reserved: 0,
        };
        Packed::new(id::FULLY_CONNECTED_S8, args.to_bytes()).with_blob(self.weights).with_blob(&channels)
    }
}
