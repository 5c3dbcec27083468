//! From an accumulator to an output code.
//!
//! `M = s_in * s_w / s_out` is stored as `multiplier` (31 fractional bits, in `[2^30, 2^31)`) and `shift`:
//! `M = multiplier * 2^(shift - 31)`.

/// How a step rounds; a byte of its arguments.
pub const SINGLE: u8 = 0;
/// See [`double`].
pub const DOUBLE: u8 = 1;

/// One rounding, half up: `(acc * multiplier + (1 << (30 - shift))) >> (31 - shift)` in 64 bits.
/// (LiteRT's `MultiplyByQuantizedMultiplier` with single rounding.)
#[inline]
pub const fn single(acc: i32, multiplier: i32, shift: i32) -> i32 {
    let total = 31i32.wrapping_sub(shift) as u32 & 63;
    let product = acc as i64 * multiplier as i64;
    ((product + ((1i64 << total) >> 1)) >> total) as i32
}

/// Two roundings, as gemmlowp does: a doubling high multiply, half up, then a rounding right shift, half away from
/// zero.
///
/// (gemmlowp adds `2^30`, or `1 - 2^30` to a negative product, and divides by `2^31` towards zero: the same. Its
/// saturation is only for a multiplier of `-2^31`, which does not occur.)
#[inline]
pub const fn double(acc: i32, multiplier: i32, shift: i32) -> i32 {
    let left = if shift > 0 { shift } else { 0 } as u32;
    let right = if shift > 0 { 0 } else { shift.wrapping_neg() } as u32 & 31;
    let product = acc.wrapping_shl(left) as i64 * multiplier as i64;
    let high = ((product + (1 << 30)) >> 31) as i32;
    let mask = (1i32 << right).wrapping_sub(1);
    let remainder = high & mask;
    let threshold = (mask >> 1) + (high < 0) as i32;
    (high >> right) + (remainder > threshold) as i32
}

/// Requantizes with the given rounding ([`SINGLE`] or [`DOUBLE`]).
#[inline]
pub const fn requantize(acc: i32, multiplier: i32, shift: i32, rounding: u8) -> i32 {
    if rounding == SINGLE { single(acc, multiplier, shift) } else { double(acc, multiplier, shift) }
}

/// Multiplier and shift of a real factor (`frexp`); zero if it is too small to matter.
#[cfg(feature = "pack")]
pub fn quantize_multiplier(factor: f64) -> (i32, i32) {
    if factor == 0.0 || !factor.is_finite() {
        return (0, 0);
    }
    let (fraction, exponent) = libm::frexp(factor);
    let mut shift = exponent;
    let mut q = libm::round(fraction * (1i64 << 31) as f64) as i64;
    if q == 1 << 31 {
        q /= 2;
        shift += 1;
    }
    if shift < -31 { (0, 0) } else { (q as i32, shift) }
}
