//! Packing of `prelu_s8`.

use super::PreluArgs;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// Leaky rectifier with a slope per channel.
#[derive(Clone, Debug)]
pub struct PreluS8<'a> {
    /// One per channel, or one per element of the row.
    pub slopes: &'a [i8],
    pub slope_zero_point: i32,
    pub input_zero_point: i32,
    /// Two factors: `s_in / s_out` and `s_in * s_slope / s_out`.
    pub requant: Requant,
}

impl PreluS8<'_> {
    /// Kernel, arguments and constants.
    pub fn pack(&self) -> Packed {
        let (positive_multiplier, positive_shift) = quantize_multiplier(self.requant.factors[0]);
        let (negative_multiplier, negative_shift) = quantize_multiplier(self.requant.factors[1]);
        let args = PreluArgs {
            input_zero_point: self.input_zero_point,
            slope_zero_point: self.slope_zero_point,
            positive_multiplier,
            positive_shift,
            negative_multiplier,
            negative_shift,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            rounding: self.requant.rounding,
            reserved: 0,
        };
        Packed::new(id::PRELU_S8, args.to_bytes()).with_blob(self.slopes)
    }
}
