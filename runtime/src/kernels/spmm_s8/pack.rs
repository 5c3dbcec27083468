//! Packing of `spmm_s8`.

use super::SpmmS8Args;
use crate::kernels::conv2d_s8::channels;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::sparse::{Block, entries};
use alloc::vec::Vec;

/// A 1x1 convolution with few weights other than zero.
#[derive(Clone, Debug)]
pub struct SpmmS8<'a> {
    /// `[out][in]`.
    pub weights: &'a [i8],
    /// One per output channel, at scale `s_in * s_w`; empty for none.
    pub bias: &'a [i32],
    pub out_channels: usize,
    /// Along the row.
    pub stride: usize,
    pub input_zero_point: i32,
    pub requant: &'a Requant,
}

impl SpmmS8<'_> {
    /// Kernel, arguments and constants; with room for `strip` positions, a multiple of [`LEAST`](crate::kernels::sparse::LEAST).
    pub fn pack(&self, block: Block, strip: usize) -> Packed {
        let mut channels = self.channels();
        channels.resize(self.out_channels.next_multiple_of(block.outputs), [0; 3]);
        channels.iter_mut().for_each(|channel| channel[2] &= 0xffff);
        let (stream, counts) = self.stream(block);
        for (count, channels) in counts.iter().zip(channels.chunks_exact_mut(block.outputs)) {
            channels[0][2] |= count << 16;
        }
        self.packed(id::SPMM_S8, block, strip, &stream, &channels)
    }

    /// Input channels.
    pub fn inputs(&self) -> usize {
        self.weights.len() / self.out_channels.max(1)
    }

    /// Per output channel start of the sums, multiplier and shift.
    pub fn channels(&self) -> Vec<[i32; 3]> {
        channels(self.weights, self.bias, self.out_channels, self.input_zero_point, self.requant)
    }

    /// The entries, and how many of them each block of output channels has.
    pub fn stream(&self, block: Block) -> (Vec<u8>, Vec<i32>) {
        let mut stream = Vec::new();
        let mut counts = Vec::new();
        for entries in entries(self.weights, self.out_channels, block) {
            counts.push(entries.len() as i32);
            for entry in entries {
                stream.push(entry.step);
                stream.extend(entry.weights.iter().map(|&w| w as u8));
            }
        }
        (stream, counts)
    }

    /// The step of a kernel with such records of output channels.
    pub fn packed<const N: usize>(
        &self,
        kernel: u16,
        block: Block,
        strip: usize,
        stream: &[u8],
        channels: &[[i32; N]],
    ) -> Packed {
        let args = SpmmS8Args {
            in_channels: self.inputs() as u32,
            out_channels: self.out_channels as u32,
            stride: self.stride as u16,
            strip: strip as u16,
            block_outputs: block.outputs as u8,
            block_inputs: block.inputs as u8,
            rounding: self.requant.rounding,
            reserved: 0,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            reserved2: 0,
        };
        let scratch = self.inputs().next_multiple_of(block.inputs) * strip * 2;
        let packed =
            Packed::new(kernel, args.to_bytes()).with_blob(stream).with_blob(channels.as_flattened());
        Packed { scratch, ..packed }
    }
}
