//! Float fully connected layers for the compiler.

use super::FullyConnectedF32Args;
use crate::kernels::block;
use crate::kernels::pack::{Packed, bias_or_zeros};
use crate::kernels::portable::id;

/// A fully connected layer with float activations. Operand 0: either a window whose rows, one behind the other, are
/// the input vector, or a window of one row that holds several vectors (the output row then holds as many).
#[derive(Clone, Copy, Debug)]
pub struct FullyConnectedF32<'a> {
    /// `[outputs][inputs]`.
    pub weights: &'a [f32],
    /// Store the weights in half precision.
    pub half: bool,
    /// One per output, or empty.
    pub bias: &'a [f32],
    pub inputs: usize,
    pub outputs: usize,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

impl FullyConnectedF32<'_> {
    pub fn pack(&self) -> Packed {
        let args = FullyConnectedF32Args {
            inputs: self.inputs as u32,
            outputs: self.outputs as u32,
            min: self.min,
            max: self.max,
        };
        let kernel = if self.half { id::FULLY_CONNECTED_F32_W16 } else { id::FULLY_CONNECTED_F32 };
        Packed::new(kernel, args.to_bytes())
            .with_reals(&block::pack(self.weights, self.outputs, self.inputs), self.half)
            .with_blob(&bias_or_zeros(self.bias, self.outputs))
    }
}
