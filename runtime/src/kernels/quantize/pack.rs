//! Quantization steps for the compiler.

use super::{DequantizeArgs, QuantizeArgs, RequantizeArgs};
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// `clamp(round(x / scale) + zero_point)`, floats to codes; the output tensor is `i8` or `u8`.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeF32S8 {
    pub scale: f32,
    pub zero_point: i32,
    /// -128 and 127 for `i8`, 0 and 255 for `u8`.
    pub min: i32,
    pub max: i32,
    /// Round halves to even (ONNX) instead of away from zero (TFLite).
    pub half_even: bool,
}

/// `scale * (code - zero_point)`.
#[derive(Clone, Copy, Debug)]
pub struct DequantizeS8F32 {
    pub scale: f32,
    pub zero_point: i32,
    /// The input tensor is `u8`, not `i8`.
    pub unsigned: bool,
}

/// Codes to codes of another scale, zero point or signedness.
#[derive(Clone, Copy, Debug)]
pub struct RequantizeS8<'a> {
    pub in_zero_point: i32,
    /// The input tensor is `u8`, not `i8`.
    pub in_unsigned: bool,
    /// One factor, `s_in / s_out`; clamp as for the output's type. TFLite's reference rounds twice (`DOUBLE`).
    pub requant: &'a Requant,
}

impl QuantizeF32S8 {
    pub fn pack(&self) -> Packed {
        let args = QuantizeArgs {
            scale: self.scale,
            zero_point: self.zero_point,
            min: self.min as i16,
            max: self.max as i16,
            half_even: self.half_even.into(),
        };
        Packed::new(id::QUANTIZE_F32_S8, args.to_bytes())
    }
}

impl DequantizeS8F32 {
    pub fn pack(&self) -> Packed {
        let args =
            DequantizeArgs { scale: self.scale, zero_point: self.zero_point, unsigned: self.unsigned.into() };
        Packed::new(id::DEQUANTIZE_S8_F32, args.to_bytes())
    }
}

impl RequantizeS8<'_> {
    pub fn pack(&self) -> Packed {
        let (multiplier, shift) = quantize_multiplier(self.requant.factors.first().copied().unwrap_or(0.0));
        let args = RequantizeArgs {
            in_zero_point: self.in_zero_point,
            zero_point: self.requant.zero_point,
            multiplier,
            shift: shift as i8,
            rounding: self.requant.rounding,
            in_unsigned: self.in_unsigned.into(),
            reserved: 0,
            min: self.requant.min as i16,
            max: self.requant.max as i16,
        };
        Packed::new(id::REQUANTIZE_S8, args.to_bytes())
    }
}
