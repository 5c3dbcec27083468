//! Packing of the reductions.

use super::{MAX, ReduceArgs, SUM};
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// Mean (or sum) over rows and columns, per channel.
#[derive(Clone, Debug)]
pub struct MeanS8 {
    pub channels: usize,
    /// Elements that are reduced to one: rows times columns.
    pub count: usize,
    pub input_zero_point: i32,
    /// One factor, of a single element: `s_in / s_out`.
    pub requant: Requant,
}

/// Reduction over the last axis.
#[derive(Clone, Debug)]
pub struct ReduceS8 {
    /// Length of the axis.
    pub depth: usize,
    pub input_zero_point: i32,
    /// One factor, of a single element: `s_in / s_out`. The maximum keeps the quantization and uses the clamp only.
    pub requant: Requant,
}

impl MeanS8 {
    /// `mean_s8`.
    pub fn pack(&self) -> Packed {
        self.with(Factor::Mean)
    }

    /// `mean_s8` that sums.
    pub fn pack_sum(&self) -> Packed {
        self.with(Factor::Sum)
    }

    fn with(&self, factor: Factor) -> Packed {
        let args = args(self.channels, self.count, self.input_zero_point, &self.requant, factor);
        Packed::new(id::MEAN_S8, args.to_bytes())
    }
}

impl ReduceS8 {
    /// `reduce_s8` for the mean.
    pub fn pack_mean(&self) -> Packed {
        self.with(Factor::Mean, SUM)
    }

    /// `reduce_s8` for the sum.
    pub fn pack_sum(&self) -> Packed {
        self.with(Factor::Sum, SUM)
    }

    /// `reduce_s8` for the maximum.
    pub fn pack_max(&self) -> Packed {
        self.with(Factor::Sum, MAX)
    }

    fn with(&self, factor: Factor, operation: u8) -> Packed {
        let args = args(self.depth, self.depth, self.input_zero_point, &self.requant, factor);
        Packed::new(id::REDUCE_S8, ReduceArgs { operation, ..args }.to_bytes())
    }
}

#[derive(Clone, Copy)]
enum Factor {
    Sum,
    Mean,
}

fn args(len: usize, count: usize, input_zero_point: i32, requant: &Requant, factor: Factor) -> ReduceArgs {
    let (mut multiplier, mut shift) = quantize_multiplier(requant.factors[0]);
    if let Factor::Mean = factor {
        (multiplier, shift) = divided(multiplier, shift, count);
    }
    ReduceArgs {
        len: len as u32,
        start: (count as i64 * -i64::from(input_zero_point)) as i32,
        multiplier,
        shift,
        zero_point: requant.zero_point,
        min: requant.min as i8,
        max: requant.max as i8,
        rounding: requant.rounding,
        operation: SUM,
    }
}

/// Divides a quantized factor by `count`, in integers, as TFLite does.
fn divided(multiplier: i32, shift: i32, count: usize) -> (i32, i32) {
    let count = count.max(1) as u64;
    let bits = (63 - count.leading_zeros() as i32).min(32).min(31 + shift).max(0);
    ((((i64::from(multiplier)) << bits) / count as i64) as i32, shift - bits)
}
