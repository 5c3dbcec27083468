//! Float convolutions for the compiler.

use super::ConvF32Args;
use crate::kernels::block;
use crate::kernels::pack::{Packed, bias_or_zeros};
use crate::kernels::portable::id;
use alloc::vec::Vec;

/// A convolution with float activations. Operand 0: the input, with a window of `kernel_rows` rows.
#[derive(Clone, Copy, Debug)]
pub struct ConvF32<'a> {
    /// `[out_channels][kernel_rows][kernel_width][in_channels / groups]`.
    pub weights: &'a [f32],
    /// Store the weights in half precision.
    pub half: bool,
    /// One per output channel, or empty.
    pub bias: &'a [f32],
    pub in_channels: usize,
    pub out_channels: usize,
    /// Rows of the window: kernel slices times kernel rows.
    pub kernel_rows: usize,
    pub kernel_width: usize,
    /// Along the row.
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    pub groups: usize,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

impl ConvF32<'_> {
    pub fn pack(&self) -> Packed {
        let args = ConvF32Args {
            in_channels: self.in_channels as u32,
            out_channels: self.out_channels as u32,
            groups: self.groups as u32,
            kernel_rows: self.kernel_rows as u16,
            kernel_width: self.kernel_width as u16,
            stride: self.stride as u16,
            dilation: self.dilation as u16,
            pad_left: self.pad_left as i16,
            reserved: 0,
            min: self.min,
            max: self.max,
        };
        let inputs = self.kernel_rows * self.kernel_width * self.in_channels / self.groups;
        let channels = self.out_channels / self.groups;
        let mut weights = Vec::new();
        for group in self.weights.chunks_exact(inputs * channels) {
            weights.extend(block::pack(group, channels, inputs));
        }
        let kernel = if self.half { id::CONV2D_F32_W16 } else { id::CONV2D_F32 };
        Packed::new(kernel, args.to_bytes())
            .with_reals(&weights, self.half)
            .with_blob(&bias_or_zeros(self.bias, self.out_channels))
    }
}
