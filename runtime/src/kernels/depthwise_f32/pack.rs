//! Float depthwise convolutions for the compiler.

use super::DepthwiseF32Args;
use crate::kernels::pack::{Packed, bias_or_zeros};
use crate::kernels::portable::id;

/// A depthwise convolution with float activations. Operand 0: the input, with a window of `kernel_rows` rows.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseF32<'a> {
    /// `[out_channels][kernel_rows][kernel_width]` with `out_channels = in_channels * multiplier`.
    pub weights: &'a [f32],
    /// Store the weights in half precision.
    pub half: bool,
    /// One per output channel, or empty.
    pub bias: &'a [f32],
    pub in_channels: usize,
    /// Output channels per input channel; output channel `c` reads input channel `c / multiplier`.
    pub multiplier: usize,
    /// Rows of the window: kernel slices times kernel rows.
    pub kernel_rows: usize,
    pub kernel_width: usize,
    /// Along the row.
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

impl DepthwiseF32<'_> {
    pub fn pack(&self) -> Packed {
        let args = DepthwiseF32Args {
            in_channels: self.in_channels as u32,
            multiplier: self.multiplier as u16,
            kernel_rows: self.kernel_rows as u16,
            kernel_width: self.kernel_width as u16,
            stride: self.stride as u16,
            dilation: self.dilation as u16,
            pad_left: self.pad_left as i16,
            min: self.min,
            max: self.max,
        };
        let channels = self.in_channels * self.multiplier;
        let taps = self.kernel_rows * self.kernel_width;
        let weights: alloc::vec::Vec<f32> =
            (0..taps).flat_map(|tap| self.weights.iter().skip(tap).step_by(taps).copied()).collect();
        let kernel = if self.half { id::DEPTHWISE_F32_W16 } else { id::DEPTHWISE_F32 };
        Packed::new(kernel, args.to_bytes())
            .with_reals(&weights, self.half)
            .with_blob(&bias_or_zeros(self.bias, channels))
    }
}
