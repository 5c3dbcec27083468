//! Packing of `attention_s8`.

use alloc::vec::Vec;

use super::AttentionS8Args;
use super::softmax::FRACTION;
use crate::kernels::attention::AttentionShape;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// Attention of several heads.
#[derive(Clone, Debug)]
pub struct AttentionS8<'a> {
    pub shape: AttentionShape,
    /// Real value of one unit of the scores: `scale * s_query * s_key`.
    pub unit: f64,
    pub zero_query: i32,
    pub zero_value: i32,
    /// Real numbers, `[heads, queries, keys]`, or empty.
    pub bias: &'a [f32],
    /// One factor: `s_value / s_out`.
    pub requant: Requant,
}

/// Largest bias: leaves room for the products.
const LARGEST_BIAS: f64 = (1u32 << 29) as f64;

impl AttentionS8<'_> {
    pub fn pack(&self) -> Packed {
        let keys = u64::from(self.shape.keys).next_power_of_two();
        let bits = 15.min(23u32.saturating_sub(keys.trailing_zeros()));
        let factor = self.unit * core::f64::consts::LOG2_E * f64::from(1u32 << FRACTION);
        let (fraction, exponent) = libm::frexp(factor);
        let (left, right) = if exponent > 0 { (exponent, 0) } else { (0, -exponent) };
        let (left, right) = (left.min(31) as u8, right.min(31) as u8);
        let far = libm::ceil(f64::from((bits + 2) << FRACTION) / factor);
        let limit = f64::from(u32::MAX >> left).min(f64::from(i32::MAX));
        let (multiplier, shift) = quantize_multiplier(self.requant.factors[0]);
        let args = AttentionS8Args {
            zero_query: self.zero_query,
            zero_value: self.zero_value,
            distance_multiplier: libm::round(fraction * 4294967296.0).min(f64::from(u32::MAX)) as u32,
            far: if far < limit { far as u32 } else { limit as u32 },
            left,
            right,
            bits: bits as u8,
            rounding: self.requant.rounding,
            multiplier,
            shift,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            reserved: 0,
        };
        let mut bytes = self.shape.to_bytes();
        bytes.extend(args.to_bytes());
        let mut packed = Packed::new(id::ATTENTION_S8, bytes);
        packed.scratch = 4 * (self.shape.scores() + self.shape.output_length()) as usize;
        if self.bias.is_empty() {
            return packed;
        }
        let code = |x: &f32| libm::round(f64::from(*x) / self.unit).clamp(-LARGEST_BIAS, LARGEST_BIAS) as i32;
        let codes: Vec<i32> = self.shape.bias_by_query(self.bias).iter().map(code).collect();
        packed.with_blob(&codes)
    }
}
