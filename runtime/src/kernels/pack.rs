//! What every kernel's `pack` gives to the compiler, and how a target chooses among kernels (host only).

use alloc::vec::Vec;

use super::attention_s8::AttentionS8;
use super::binary_s8::{MulS8, SumS8};
use super::conv2d_f32::ConvF32;
use super::conv2d_s8::ConvS8;
use super::depthwise_f32::DepthwiseF32;
use super::depthwise_s8::DepthwiseS8;
use super::fully_connected_f32::FullyConnectedF32;
use super::fully_connected_s8::FullyConnectedS8;
use super::layer_norm_s8::LayerNormS8;
use super::lut_s8::LutS8;
use super::matmul_s8::MatmulS8;
use super::pool_s8::PoolS8;
use super::reduce_s8::MeanS8;
use super::requantize::{self, DOUBLE, DOUBLE_CLAMPED, SINGLE};
use super::running_sum::RunningSum;
use super::softmax_s8::SoftmaxS8;
use super::sparse::Block;
use super::spmm_f32::{self, SpmmF32};
use super::spmm_s8::{self, SpmmS8};
use super::unary_f32::UnaryF32;

/// A kernel chosen and fed: everything of a step but its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Identifier of the kernel.
    pub kernel: u16,
    /// Its argument record.
    pub args: Vec<u8>,
    /// Its constants, in the layout that it reads; each is stored 16-byte aligned.
    pub blobs: Vec<Vec<u8>>,
    /// Bytes of scratch.
    pub scratch: usize,
}

impl Packed {
    /// A kernel without constants and scratch.
    pub fn new(kernel: u16, args: Vec<u8>) -> Self {
        Self { kernel, args, blobs: Vec::new(), scratch: 0 }
    }

    /// Adds a constant.
    pub fn with_blob<T: bytemuck::NoUninit>(mut self, values: &[T]) -> Self {
        self.blobs.push(bytemuck::cast_slice(values).to_vec());
        self
    }

    /// Adds a constant of real numbers, in half precision if so asked (saturated to its largest number).
    pub fn with_reals(self, values: &[f32], half: bool) -> Self {
        if !half {
            return self.with_blob(values);
        }
        let values: Vec<_> = values.iter().copied().map(to_half).collect();
        self.with_blob(&values)
    }
}

/// The nearest number in half precision; the largest one for what lies beyond it.
pub fn to_half(value: f32) -> half::f16 {
    let largest = f32::from(half::f16::MAX);
    half::f16::from_f32(value.clamp(-largest, largest))
}

/// The bias as kernels read it: zeros where a layer has none.
pub fn bias_or_zeros(bias: &[f32], channels: usize) -> Vec<f32> {
    if bias.is_empty() { alloc::vec![0.0; channels] } else { bias.to_vec() }
}

/// How integer accumulators become output codes: the real factor per output channel (one, or one each), the
/// output's zero point, its clamp, and the rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct Requant {
    /// `s_in * s_w[c] / s_out`.
    pub factors: Vec<f64>,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
    /// [`SINGLE`] or [`DOUBLE`].
    pub rounding: u8,
}

impl Requant {
    /// The clamp as codes, if both ends are such.
    pub fn clamp(&self) -> Option<(i8, i8)> {
        Some((i8::try_from(self.min).ok()?, i8::try_from(self.max).ok()?))
    }

    /// The first and the last result that the clamp leaves, before the zero point is added.
    fn results(&self) -> [i32; 2] {
        [self.min, self.max].map(|code| code - self.zero_point)
    }

    /// With near factors, where there are some, of which kernels may compute the same codes in floats
    /// ([`requantize::steady`]); for results that are rounded once.
    pub fn steady(mut self) -> Self {
        let results = self.results();
        self.factors.iter_mut().for_each(|factor| *factor = requantize::steady(*factor, results));
        self
    }

    /// Whether products in floats with `multiplier * 2^(shift - 31)` give the same codes ([`requantize::rounds_in_floats`]).
    pub fn rounds_in_floats(&self, multiplier: i32, shift: i32) -> bool {
        self.rounding == SINGLE && requantize::rounds_in_floats(multiplier, shift, self.results())
    }

    /// The rounding, with [`DOUBLE_CLAMPED`] where that gives the same codes.
    pub fn cheapest_rounding(&self) -> u8 {
        match self.rounding {
            SINGLE => SINGLE,
            _ if self.zero_point <= self.min => DOUBLE_CLAMPED,
            _ => DOUBLE,
        }
    }
}

/// Lengths of rows, for choices that depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Columns of an input row.
    pub width: usize,
    /// Columns of an output row.
    pub columns: usize,
}

/// A target's choice of kernels: from the description of an operator to one of its kernels, fed. The only place where
/// the target decides; what a target has no kernel for goes to the portable one.
pub trait Packer: Sync {
    /// How many rows of one column its kernels like to make in one call, since they then share weights.
    fn rows_at_a_time(&self) -> usize {
        1
    }

    fn conv_s8(&self, layer: &ConvS8<'_>, geometry: Geometry) -> Packed {
        let _ = geometry;
        layer.pack()
    }

    fn depthwise_s8(&self, layer: &DepthwiseS8<'_>, geometry: Geometry) -> Packed {
        let _ = geometry;
        layer.pack()
    }

    fn fully_connected_s8(&self, layer: &FullyConnectedS8<'_>) -> Packed {
        layer.pack()
    }

    /// `alike`: both operands have rows as long as the output's.
    fn add_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let _ = alike;
        layer.pack_add()
    }

    /// `alike`: as for [`Packer::add_s8`].
    fn sub_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let _ = alike;
        layer.pack_sub()
    }

    /// `lens`: elements in a row of both operands and of the output.
    fn mul_s8(&self, layer: &MulS8, lens: [usize; 3]) -> Packed {
        let _ = lens;
        layer.pack()
    }

    fn lut_s8(&self, layer: &LutS8<'_>) -> Packed {
        layer.pack()
    }

    fn average_pool_s8(&self, layer: &PoolS8) -> Packed {
        layer.pack_average()
    }

    fn max_pool_s8(&self, layer: &PoolS8) -> Packed {
        layer.pack_max()
    }

    fn mean_s8(&self, layer: &MeanS8) -> Packed {
        layer.pack()
    }

    fn running_sum_s8(&self, layer: &RunningSum) -> Packed {
        layer.pack_s8()
    }

    /// Positions of the strip that the kernel of [`Packer::spmm_s8`] takes at a time.
    fn strip_s8(&self, block: Block) -> usize {
        spmm_s8::longest(block)
    }

    /// A 1x1 convolution with few weights other than zero, and room for so many positions.
    fn spmm_s8(&self, layer: &SpmmS8<'_>, block: Block, strip: usize) -> Packed {
        layer.pack(block, strip)
    }

    /// As [`Packer::strip_s8`] of [`Packer::spmm_f32`].
    fn strip_f32(&self, block: Block) -> usize {
        spmm_f32::longest(block)
    }

    /// As [`Packer::spmm_s8`].
    fn spmm_f32(&self, layer: &SpmmF32<'_>, block: Block, strip: usize) -> Packed {
        layer.pack(block, strip)
    }

    fn conv_f32(&self, layer: &ConvF32<'_>) -> Packed {
        layer.pack()
    }

    fn depthwise_f32(&self, layer: &DepthwiseF32<'_>) -> Packed {
        layer.pack()
    }

    fn unary_f32(&self, layer: &UnaryF32) -> Packed {
        layer.pack()
    }

    fn fully_connected_f32(&self, layer: &FullyConnectedF32<'_>) -> Packed {
        layer.pack()
    }

    fn softmax_s8(&self, layer: &SoftmaxS8) -> Packed {
        layer.pack()
    }

    fn layer_norm_s8(&self, layer: &LayerNormS8<'_>) -> Packed {
        layer.pack()
    }

    fn matmul_s8(&self, layer: &MatmulS8) -> Packed {
        layer.pack()
    }

    fn attention_s8(&self, layer: &AttentionS8<'_>) -> Packed {
        layer.pack()
    }
}

/// Chooses portable kernels only.
pub struct Portable;

impl Packer for Portable {}
