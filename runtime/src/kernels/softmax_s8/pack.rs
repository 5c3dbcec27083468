//! Packing of the softmax.

use alloc::vec::Vec;

use super::SoftmaxArgs;
use super::fixed::{exp_on_negative_values, high_mul};
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// Softmax of int8 codes.
#[derive(Clone, Debug)]
pub struct SoftmaxS8 {
    /// Elements of a vector.
    pub depth: usize,
    pub input_scale: f64,
    /// Factor before the exponential.
    pub beta: f64,
}

impl SoftmaxS8 {
    /// Integer bits of the exponential's argument.
    const ARGUMENT_BITS: u32 = 5;

    /// `softmax_s8`: output with scale 1/256 and zero point -128.
    pub fn pack(&self) -> Packed {
        self.packed(id::SOFTMAX_S8)
    }

    /// `softmax_s8_s16`: output with scale 1/65536 and zero point -32768.
    pub fn pack_s16(&self) -> Packed {
        self.packed(id::SOFTMAX_S8_S16)
    }

    fn packed(&self, kernel: u16) -> Packed {
        let args = SoftmaxArgs { depth: self.depth as u32 };
        Packed::new(kernel, args.to_bytes()).with_blob(&self.table())
    }

    fn table(&self) -> Vec<i32> {
        let unit = (1u32 << (31 - Self::ARGUMENT_BITS)) as f64;
        let factor = (self.beta * self.input_scale * unit).min((1u32 << 31) as f64 - 1.0);
        let (multiplier, shift) = quantize_multiplier(factor);
        let shift = shift.clamp(0, 31) as u32;
        // Larger distances would leave the argument's range.
        let longest = ((1u64 << Self::ARGUMENT_BITS) - 1) << (31 - Self::ARGUMENT_BITS) >> shift;
        let exponential = |distance: i32| {
            let argument = high_mul((-distance).wrapping_shl(shift), multiplier);
            exp_on_negative_values(argument)
        };
        let mut table: Vec<i32> = (0..=longest.min(255) as i32).map(exponential).collect();
        while table.len() > 1 && table.last() == Some(&0) {
            table.pop();
        }
        table
    }
}
