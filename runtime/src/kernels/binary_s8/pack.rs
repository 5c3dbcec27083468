//! Packing of the kernels with two inputs.

use super::{ExtremeArgs, MulArgs, SumArgs};
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// Quantization of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    pub scale: f64,
    pub zero_point: i32,
}

/// `a + b` or `a - b`. `repeat` is how often each element of an operand's row is repeated in a row: 1, except where
/// the last axis is broadcast.
#[derive(Clone, Debug)]
pub struct SumS8 {
    pub a: Affine,
    pub b: Affine,
    pub output: Affine,
    pub repeat: [usize; 2],
    pub min: i32,
    pub max: i32,
    pub rounding: u8,
}

/// `a * b`.
#[derive(Clone, Debug)]
pub struct MulS8 {
    pub zero_a: i32,
    pub zero_b: i32,
    pub repeat: [usize; 2],
    /// One factor: `s_a * s_b / s_out` (TFLite multiplies and divides in single precision).
    pub requant: Requant,
}

/// `max(a, b)` or `min(a, b)`; all tensors have the same quantization.
#[derive(Clone, Debug)]
pub struct ExtremeS8 {
    pub repeat: [usize; 2],
}

impl SumS8 {
    const LEFT_SHIFT: u8 = 20;

    /// `add_s8`.
    pub fn pack_add(&self) -> Packed {
        Packed::new(id::ADD_S8, self.args().to_bytes())
    }

    /// `sub_s8`.
    pub fn pack_sub(&self) -> Packed {
        Packed::new(id::SUB_S8, self.args().to_bytes())
    }

    fn args(&self) -> SumArgs {
        let twice = 2.0 * self.a.scale.max(self.b.scale);
        let (multiplier_a, shift_a) = quantize_multiplier(self.a.scale / twice);
        let (multiplier_b, shift_b) = quantize_multiplier(self.b.scale / twice);
        let unit = (1u32 << Self::LEFT_SHIFT) as f64;
        let (multiplier, shift) = quantize_multiplier(twice / (unit * self.output.scale));
        let [repeat_a, repeat_b] = self.repeat.map(|repeat| repeat as u32);
        SumArgs {
            repeat_a,
            repeat_b,
            zero_a: self.a.zero_point,
            multiplier_a,
            shift_a,
            zero_b: self.b.zero_point,
            multiplier_b,
            shift_b,
            multiplier,
            shift,
            zero_point: self.output.zero_point,
            min: self.min as i8,
            max: self.max as i8,
            rounding: self.rounding,
            left_shift: Self::LEFT_SHIFT,
        }
    }
}

impl MulS8 {
    /// Kernel and arguments.
    pub fn pack(&self) -> Packed {
        let (multiplier, shift) = quantize_multiplier(self.requant.factors[0]);
        let [repeat_a, repeat_b] = self.repeat.map(|repeat| repeat as u32);
        let args = MulArgs {
            repeat_a,
            repeat_b,
            zero_a: self.zero_a,
            zero_b: self.zero_b,
            multiplier,
            shift,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            rounding: self.requant.rounding,
            reserved: 0,
        };
        Packed::new(id::MUL_S8, args.to_bytes())
    }
}

impl ExtremeS8 {
    /// `maximum_s8`.
    pub fn pack_maximum(&self) -> Packed {
        Packed::new(id::MAXIMUM_S8, self.args().to_bytes())
    }

    /// `minimum_s8`.
    pub fn pack_minimum(&self) -> Packed {
        Packed::new(id::MINIMUM_S8, self.args().to_bytes())
    }

    fn args(&self) -> ExtremeArgs {
        let [repeat_a, repeat_b] = self.repeat.map(|repeat| repeat as u32);
        ExtremeArgs { repeat_a, repeat_b }
    }
}
