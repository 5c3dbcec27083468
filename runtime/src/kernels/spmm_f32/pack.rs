//! Packing of `spmm_f32` and `spmm_f32_w16`.

use super::SpmmF32Args;
use crate::kernels::pack::{Packed, bias_or_zeros};
use crate::kernels::portable::id;
use crate::kernels::sparse::{Block, entries};
use alloc::vec::Vec;

/// A 1x1 convolution with few weights other than zero.
#[derive(Clone, Copy, Debug)]
pub struct SpmmF32<'a> {
    /// `[out][in]`.
    pub weights: &'a [f32],
    /// Store the weights in half precision.
    pub half: bool,
    /// One per output channel, or empty.
    pub bias: &'a [f32],
    pub out_channels: usize,
    /// Along the row.
    pub stride: usize,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

impl SpmmF32<'_> {
    /// Kernel, arguments and constants; with room for `strip` positions, a multiple of [`LEAST`](crate::kernels::sparse::LEAST).
    pub fn pack(&self, block: Block, strip: usize) -> Packed {
        let in_channels = self.weights.len() / self.out_channels.max(1);
        let args = SpmmF32Args {
            in_channels: in_channels as u32,
            out_channels: self.out_channels as u32,
            stride: self.stride as u16,
            strip: strip as u16,
            block_outputs: block.outputs as u8,
            block_inputs: block.inputs as u8,
            reserved: 0,
            min: self.min,
            max: self.max,
        };
        let blocks = entries(self.weights, self.out_channels, block);
        let weights: Vec<f32> = blocks.iter().flatten().flat_map(|entry| entry.weights.clone()).collect();
        let steps: Vec<u8> = blocks.iter().flatten().map(|entry| entry.step).collect();
        let counts: Vec<u16> = blocks.iter().map(|entries| entries.len() as u16).collect();
        let mut bias = bias_or_zeros(self.bias, self.out_channels);
        bias.resize(self.out_channels.next_multiple_of(block.outputs), 0.0);
        let kernel = if self.half { id::SPMM_F32_W16 } else { id::SPMM_F32 };
        let mut packed = Packed::new(kernel, args.to_bytes())
            .with_reals(&weights, self.half)
            .with_blob(&steps)
            .with_blob(&bias)
            .with_blob(&counts);
        packed.scratch = in_channels.next_multiple_of(block.inputs) * strip * 4;
        packed
    }
}
