//! The fixed-point arithmetic that defines the softmax (gemmlowp's, which TFLite's reference uses): numbers are
//! `raw * 2^(bits - 31)` with `bits` integer bits.

/// Product of two numbers; the integer bits add up. Rounds half up; saturates the one product that does not fit.
#[inline]
pub(super) const fn high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent`, rounded to nearest, ties away from zero.
#[inline]
pub(super) const fn divide_by_power(x: i32, exponent: i32) -> i32 {
    let exponent = exponent as u32 & 31;
    let mask = (1i32 << exponent).wrapping_sub(1);
    let threshold = (mask >> 1) + (x < 0) as i32;
    (x >> exponent) + ((x & mask) > threshold) as i32
}

/// `x * 2^exponent`, saturated.
const fn multiply_by_power(x: i32, exponent: u32) -> i32 {
    let product = (x as i64) << exponent;
    if product > i32::MAX as i64 {
        i32::MAX
    } else if product < i32::MIN as i64 {
        i32::MIN
    } else {
        product as i32
    }
}

/// `1 / x` for `x >= 1` with `bits` integer bits, as a number without integer bits and the power of two that it has to
/// be divided by.
pub(super) fn reciprocal(x: i32, bits: i32) -> (i32, i32) {
    let headroom = (x as u32).leading_zeros();
    let fraction = (x as u32).wrapping_shl(headroom).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(fraction), bits - headroom as i32)
}

/// Product of the kind that [`high_mul`] gives, called: a reciprocal is taken once for each vector.
#[inline(never)]
fn product(a: i32, b: i32) -> i32 {
    high_mul(a, b)
}

/// `1 / (1 + a)` for `a` in `[0, 1)`: three steps of Newton and Raphson on half the denominator.
fn one_over_one_plus(a: i32) -> i32 {
    const ONE_Q29: i32 = 1 << 29;
    const FORTY_EIGHT_17THS_Q29: i32 = 1515870810;
    const NEG_THIRTY_TWO_17THS_Q29: i32 = -1010580540;
    let sum = i64::from(a) + i64::from(i32::MAX);
    let half_denominator = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut x = FORTY_EIGHT_17THS_Q29.wrapping_add(product(half_denominator, NEG_THIRTY_TWO_17THS_Q29));
    for _ in 0..3 {
        let error = ONE_Q29.wrapping_sub(product(half_denominator, x));
        x = x.wrapping_add(multiply_by_power(product(x, error), 2));
    }
    multiply_by_power(x, 1)
}

/// `exp(a)` for negative `a` with 5 integer bits.
#[cfg(any(feature = "pack", test))]
pub(super) fn exp_on_negative_values(a: i32) -> i32 {
    const QUARTER: i32 = 1 << 24;
    /// `exp(-2^k)` for k = -2, -1, .. 4.
    const POWERS: [i32; 7] = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242];
    if a == 0 {
        return i32::MAX;
    }
    let within_quarter = (a & (QUARTER - 1)) - QUARTER;
    let mut result = exp_within_quarter(multiply_by_power(within_quarter, 5));
    let remainder = within_quarter.wrapping_sub(a);
    for (k, power) in POWERS.iter().enumerate() {
        if remainder & (QUARTER << k) != 0 {
            result = high_mul(result, *power);
        }
    }
    result
}

/// `exp(a)` for `a` in `[-1/4, 0)`: a Taylor series around -1/8.
#[cfg(any(feature = "pack", test))]
fn exp_within_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1895147668;
    const THIRD: i32 = 715827883;
    let x = a.wrapping_add(1 << 28);
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let tail = high_mul(divide_by_power(x4, 2).wrapping_add(x3), THIRD).wrapping_add(x2);
    EXP_MINUS_EIGHTH.wrapping_add(high_mul(EXP_MINUS_EIGHTH, x.wrapping_add(divide_by_power(tail, 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close() {
        for a in (0..32 << 10).map(|i| -(i << 16)) {
            let real = libm::exp(f64::from(a) / (1 << 26) as f64);
            let fixed = f64::from(exp_on_negative_values(a)) / (1u32 << 31) as f64;
            assert!((real - fixed).abs() < 1e-6, "{a}: {real} {fixed}");
        }
    }

    #[test]
    fn reciprocal_is_close() {
        for x in (0..1000).map(|i| (1 << 19) + i * 2_000_003) {
            let (scale, over) = reciprocal(x, 12);
            let real = (1 << 19) as f64 / f64::from(x);
            let fixed = f64::from(scale) / (1u64 << 31) as f64 / libm::exp2(over.into());
            assert!((real - fixed).abs() < 1e-6, "{x}: {real} {fixed}");
        }
    }
}
