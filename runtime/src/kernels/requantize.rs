//! From an accumulator to an output code.
//!
//! `M = s_in * s_w / s_out` is stored as `multiplier` (31 fractional bits, in `[2^30, 2^31)`) and `shift`:
//! `M = multiplier * 2^(shift - 31)`.

/// How a step rounds; a byte of its arguments.
pub const SINGLE: u8 = 0;
/// See [`double`].
pub const DOUBLE: u8 = 1;
/// [`double`] where negative results are clamped anyway: a kernel may round these as it likes. Only kernels of targets know
/// it.
pub const DOUBLE_CLAMPED: u8 = 2;

/// One rounding, half up: `(acc * multiplier + (1 << (30 - shift))) >> (31 - shift)` in 64 bits.
/// (LiteRT's `MultiplyByQuantizedMultiplier` with single rounding.)
#[inline]
pub const fn single(acc: i32, multiplier: i32, shift: i32) -> i32 {
    let product = acc as i64 * multiplier as i64;
    if shift <= -2 {
        // The same with the upper half alone: the bit below the result's last one decides.
        let doubled = (product >> 32) as i32 >> (shift.wrapping_add(2).wrapping_neg() as u32 & 31);
        return doubled.wrapping_add(1) >> 1;
    }
    let total = 31i32.wrapping_sub(shift) as u32 & 63;
    ((product + ((1i64 << total) >> 1)) >> total) as i32
}

/// Two roundings, as gemmlowp does: a doubling high multiply, half up, then a rounding right shift, half away from
/// zero.
///
/// (gemmlowp adds `2^30`, or `1 - 2^30` to a negative product, and divides by `2^31` towards zero: the same. Its
/// saturation is only for a multiplier of `-2^31`, which does not occur.)
#[inline]
pub const fn double(acc: i32, multiplier: i32, shift: i32) -> i32 {
    if shift >= 0 {
        return high_multiply(acc.wrapping_shl(shift as u32), multiplier);
    }
    let high = high_multiply(acc, multiplier);
    // Half up after one less from negative numbers is half away from zero; as above, one bit more than needed.
    let doubled = high.wrapping_add(high >> 31) >> (shift.wrapping_add(1).wrapping_neg() as u32 & 31);
    doubled.wrapping_add(1) >> 1
}

/// `acc * multiplier / 2^31`, half up.
#[inline]
const fn high_multiply(acc: i32, multiplier: i32) -> i32 {
    ((acc as i64 * multiplier as i64 + (1 << 30)) >> 31) as i32
}

/// Requantizes with the given rounding ([`SINGLE`] or [`DOUBLE`]).
#[inline]
pub const fn requantize(acc: i32, multiplier: i32, shift: i32, rounding: u8) -> i32 {
    if rounding == SINGLE { single(acc, multiplier, shift) } else { double(acc, multiplier, shift) }
}

/// Added to a float of a magnitude below 2^22, leaves the nearest whole number, halves to even, in the low bits.
pub const WHOLE: f32 = 12_582_912.0;

/// Whether [`single`] gives the same results between `first` and `last`, and other ones beyond, if it multiplies in floats:
/// `acc as f32 * factor + WHOLE`, as long as that is below `1.5 * WHOLE`. Neither way ever falls where accumulators grow, so
/// they agree everywhere if they do on both sides of each step from one result to the next.
#[cfg(feature = "pack")]
pub fn rounds_in_floats(multiplier: i32, shift: i32, [first, last]: [i32; 2]) -> bool {
    let factor = real(multiplier, shift) as f32;
    let in_floats =
        |acc: i64| ((acc as f32 * factor + WHOLE).to_bits() as i32).wrapping_sub(WHOLE.to_bits() as i32);
    let (multiplier, bits) = (i128::from(multiplier), 31 - shift);
    multiplier == 0
        || (1..100).contains(&bits)
            && (first..=last.saturating_add(1)).all(|result| {
                // The least accumulator with this result, if it is one.
                let half = (i128::from(result) << bits) - (1i128 << (bits - 1));
                let least = half.div_euclid(multiplier) + i128::from(half.rem_euclid(multiplier) != 0);
                match i32::try_from(least) {
                    Ok(least) => {
                        in_floats(i64::from(least)) >= result && in_floats(i64::from(least) - 1) < result
                    }
                    Err(_) => true,
                }
            })
}

/// The factor next to `factor`, not further from it than its 2^16th part, of which [`rounds_in_floats`] holds; `factor` itself
/// if there is none.
#[cfg(feature = "pack")]
pub fn steady(factor: f64, results: [i32; 2]) -> f64 {
    let nearest = (factor as f32).to_bits();
    // Itself, the next larger one, the next smaller one, and so on.
    let steps = (0..255u32).map(|i| match i % 2 {
        0 => nearest.wrapping_sub(i / 2),
        _ => nearest.wrapping_add(i.div_ceil(2)),
    });
    let mut near = steps.map(|bits| f64::from(f32::from_bits(bits)));
    let holds = |near: &f64| {
        let (multiplier, shift) = quantize_multiplier(*near);
        (near - factor).abs() * 65536.0 <= factor && rounds_in_floats(multiplier, shift, results)
    };
    near.find(holds).unwrap_or(factor)
}

/// `multiplier * 2^(shift - 31)`.
#[cfg(feature = "pack")]
fn real(multiplier: i32, shift: i32) -> f64 {
    libm::ldexp(multiplier.into(), shift - 31)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that try every rounding: around powers of two, and scattered.
    fn numbers() -> impl Iterator<Item = i32> {
        let powers = (0..32).flat_map(|k| (-2..=2).map(move |d| (1i32 << k).wrapping_add(d)));
        let scattered = (0..2000u32).map(|i| i.wrapping_mul(2654435761) as i32);
        powers.chain(scattered).flat_map(|n| [n, n.wrapping_neg()])
    }

    const MULTIPLIERS: [i32; 6] = [1 << 30, i32::MAX, 1518500250, 1073741825, 2000000011, 0];

    #[test]
    fn single_is_its_definition() {
        for (acc, multiplier) in numbers().flat_map(|n| MULTIPLIERS.map(|m| (n, m))) {
            for shift in -31..=20 {
                let total = 31 - shift;
                let product = i128::from(acc) * i128::from(multiplier);
                let want = (product + (1i128 << (total - 1))) >> total;
                assert_eq!(single(acc, multiplier, shift), want as i32, "{acc} {multiplier} {shift}");
            }
        }
    }

    /// Around each step and at scattered accumulators; near, and for most factors of networks' layers.
    #[test]
    fn steady_factors_round_in_floats() {
        let factors = (1..400u32).map(|i| f64::from(i.wrapping_mul(2654435761) >> 8) / f64::from(1 << 24));
        let (mut found, mut looked) = (0, 0);
        for factor in factors.map(|f| libm::exp2(-10.0 * f - 0.1)) {
            for results in [[0, 255], [-128, 127], [-255, 0]] {
                let near = steady(factor, results);
                assert!((near / factor - 1.0).abs() < 1.0 / 60_000.0, "{factor} {near}");
                let (multiplier, shift) = quantize_multiplier(near);
                looked += 1;
                if !rounds_in_floats(multiplier, shift, results) {
                    assert_eq!(near, factor);
                    continue;
                }
                found += 1;
                let scale = near as f32;
                assert_eq!(f64::from(scale), near);
                let steps = (results[0]..=results[1]).flat_map(|r| {
                    let at = ((f64::from(r) - 0.5) / near) as i32;
                    (-2..=2).map(move |d| at + d)
                });
                for acc in steps.chain(numbers().map(|n| n >> 12)) {
                    let exact = single(acc, multiplier, shift).clamp(results[0] - 1, results[1] + 1);
                    let quick = (acc as f32 * scale + WHOLE).to_bits() as i32 - WHOLE.to_bits() as i32;
                    assert_eq!(quick.clamp(results[0] - 1, results[1] + 1), exact, "{acc} {near}");
                }
            }
        }
        assert!(found * 100 >= looked * 95, "{found} of {looked}");
    }

    #[test]
    fn double_is_gemmlowp() {
        for (acc, multiplier) in numbers().flat_map(|n| MULTIPLIERS.map(|m| (n, m))) {
            for shift in -31..=20i32 {
                let product = i64::from(acc.wrapping_shl(shift.max(0) as u32)) * i64::from(multiplier);
                let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
                let high = ((product + nudge) / (1 << 31)) as i32;
                let right = (-shift).max(0) as u32;
                let mask = ((1i64 << right) - 1) as i32;
                let threshold = (mask >> 1) + i32::from(high < 0);
                let want = (high >> right) + i32::from((high & mask) > threshold);
                assert_eq!(double(acc, multiplier, shift), want, "{acc} {multiplier} {shift}");
            }
        }
    }
}
