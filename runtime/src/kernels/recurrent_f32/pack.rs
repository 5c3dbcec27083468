//! Packing of recurrent layers.

use super::RecurrentArgs;
use crate::kernels::block;
use crate::kernels::pack::{Packed, bias_or_zeros};
use crate::kernels::portable::id;

/// A gated recurrent unit; its input holds what each frame adds to the gates (update, reset, candidate).
#[derive(Clone, Copy, Debug)]
pub struct GruF32<'a> {
    /// Numbers in the state.
    pub size: usize,
    /// `[3 * size][size]`.
    pub weights: &'a [f32],
    /// Store the weights in half precision.
    pub half: bool,
    /// `[3 * size]`.
    pub bias: &'a [f32],
    /// `[size]`.
    pub initial: &'a [f32],
    /// The reset gate comes before the recurrence of the candidate.
    pub reset_before: bool,
}

/// A long short-term memory; its input holds what each frame and all biases add to the gates (input, output, forget,
/// candidate).
#[derive(Clone, Copy, Debug)]
pub struct LstmF32<'a> {
    /// Numbers in the hidden state.
    pub size: usize,
    /// `[4 * size][size]`.
    pub weights: &'a [f32],
    /// Store the weights in half precision.
    pub half: bool,
    /// `[2 * size]`, hidden state first.
    pub initial: &'a [f32],
}

impl GruF32<'_> {
    pub fn pack(&self) -> Packed {
        let kernel = if self.half { id::GRU_F32_W16 } else { id::GRU_F32 };
        let (gates, candidate) = self.weights.split_at(2 * self.size * self.size);
        packed(kernel, self.size, self.reset_before, 4)
            .with_reals(&block::pack(gates, 2 * self.size, self.size), self.half)
            .with_reals(&block::pack(candidate, self.size, self.size), self.half)
            .with_blob(&bias_or_zeros(self.bias, 3 * self.size))
            .with_blob(self.initial)
    }
}

impl LstmF32<'_> {
    pub fn pack(&self) -> Packed {
        let kernel = if self.half { id::LSTM_F32_W16 } else { id::LSTM_F32 };
        packed(kernel, self.size, false, 6)
            .with_reals(&block::pack(self.weights, 4 * self.size, self.size), self.half)
            .with_blob(&bias_or_zeros(&[], 4 * self.size))
            .with_blob(self.initial)
    }
}

/// With scratch for so many numbers of each unit.
fn packed(kernel: u16, size: usize, reset_before: bool, numbers: usize) -> Packed {
    let args = RecurrentArgs { size: size as u32, reset_before: reset_before.into() };
    let mut packed = Packed::new(kernel, args.to_bytes());
    packed.scratch = 4 * numbers * size;
    packed
}
