//! Packing of `depthwise_s8`.

use alloc::vec::Vec;

use super::DepthwiseArgs;
use crate::kernels::conv2d_s8::channels;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;

/// A depthwise convolution with int8 weights.
#[derive(Clone, Debug)]
pub struct DepthwiseS8<'a> {
    /// `[in * multiplier][time * rows][columns]`: the order of a convolution whose groups have one input channel.
    pub weights: &'a [i8],
    /// One per output channel, at scale `s_in * s_w`; empty for none.
    pub bias: &'a [i32],
    pub in_channels: usize,
    /// Output channels per input channel.
    pub multiplier: usize,
    pub kernel_rows: usize,
    pub kernel_width: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    pub input_zero_point: i32,
    pub requant: Requant,
}

impl DepthwiseS8<'_> {
    /// Kernel, arguments and constants.
    pub fn pack(&self) -> Packed {
        let outputs = self.in_channels * self.multiplier;
        let channels = channels(self.weights, self.bias, outputs, self.input_zero_point, &self.requant);
        let taps = self.kernel_rows * self.kernel_width;
        let weights: Vec<i8> =
            (0..taps * outputs).map(|i| self.weights[i % outputs * taps + i / outputs]).collect();
        let args = DepthwiseArgs {
            in_channels: self.in_channels as u32,
            multiplier: self.multiplier as u32,
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
        Packed::new(id::DEPTHWISE_S8, args.to_bytes()).with_blob(&weights).with_blob(&channels)
    }
}
