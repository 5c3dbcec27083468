//! Packing of `conv2d_s8`.

use alloc::vec::Vec;

use super::Conv2dArgs;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::s8::{Channel, multipliers};

/// A convolution with int8 weights.
#[derive(Clone, Debug)]
pub struct ConvS8<'a> {
    /// `[out][time * rows][columns][in / groups]`.
    pub weights: &'a [i8],
    /// One per output channel, at scale `s_in * s_w`; empty for none.
    pub bias: &'a [i32],
    pub in_channels: usize,
    pub out_channels: usize,
    /// Rows of the kernel: time times height; the window of the input lists as many.
    pub kernel_rows: usize,
    pub kernel_width: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    pub groups: usize,
    pub input_zero_point: i32,
    pub requant: Requant,
}

impl ConvS8<'_> {
    /// Kernel, arguments and constants.
    pub fn pack(&self) -> Packed {
        let channels =
            channels(self.weights, self.bias, self.out_channels, self.input_zero_point, &self.requant);
        let args = Conv2dArgs {
            in_channels: self.in_channels as u32,
            out_channels: self.out_channels as u32,
            groups: self.groups as u32,
            kernel_rows: self.kernel_rows as u16,
            kernel_width: self.kernel_width as u16,
            stride: self.stride as u16,
            dilation: self.dilation as u16,
            pad_left: self.pad_left as i16,
            rounding: self.requant.rounding,
            reserved: 0,
            input_zero_point: self.input_zero_point,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            reserved2: 0,
        };
        Packed::new(id::CONV2D_S8, args.to_bytes()).with_blob(self.weights).with_blob(&channels)
    }
}

/// `[start, multiplier, shift]` of each output channel, with the zero point folded into `start`. `weights` has the
/// output channel as its first axis.
pub fn channels(
    weights: &[i8],
    bias: &[i32],
    out_channels: usize,
    input_zero_point: i32,
    requant: &Requant,
) -> Vec<Channel> {
    let per_output = weights.len() / out_channels.max(1);
    multipliers(&requant.factors, out_channels)
        .into_iter()
        .enumerate()
        .map(|(o, (multiplier, shift))| {
            let weights = &weights[o * per_output..(o + 1) * per_output];
            let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
            let bias = i64::from(bias.get(o).copied().unwrap_or(0));
            // Accumulators wrap, so a start that wraps gives the same result.
            [(bias - i64::from(input_zero_point) * sum) as i32, multiplier, shift]
        })
        .collect()
}
