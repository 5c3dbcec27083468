//! `ln` and `cos` in f64 as `const fn`: tables are made while compiling, where no library can be called.

use core::f64::consts::{LN_2, PI, SQRT_2};

/// Natural logarithm of a positive normal number, to about 1e-15.
pub(crate) const fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7FF) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); |s| <= .172, so twelve terms reach the last bit.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let (square, mut power, mut sum, mut n) = (s * s, s, 0.0, 1);
    while n < 25 {
        sum += power / n as f64;
        power *= square;
        n += 2;
    }
    2.0 * sum + exponent as f64 * LN_2
}

/// cos(2 pi `turns`) for 0 <= `turns` <= 1, to about 1e-15.
pub(crate) const fn cos_turns(turns: f64) -> f64 {
    // cos is even around half a turn and odd around a quarter.
    let half = if turns > 0.5 { 1.0 - turns } else { turns };
    let (quarter, sign) = if half > 0.25 { (0.5 - half, -1.0) } else { (half, 1.0) };
    let x = 2.0 * PI * quarter;
    let (square, mut term, mut sum, mut n) = (x * x, 1.0, 0.0, 0);
    while n < 24 {
        sum += term;
        term *= -square / ((n + 1) * (n + 2)) as f64;
        n += 2;
    }
    sign * sum
}

#[cfg(test)]
mod tests {
    use super::{cos_turns, ln};

    #[test]
    fn agrees_with_libm() {
        for i in 1..20_000 {
            let x = i as f64 * 0.00731;
            assert!((ln(x) - libm::log(x)).abs() <= 4e-15 * (1.0 + libm::log(x).abs()), "ln {x}");
            let turns = i as f64 / 20_000.0;
            let want = libm::cos(2.0 * core::f64::consts::PI * turns);
            assert!((cos_turns(turns) - want).abs() < 2e-15, "cos {turns}");
        }
        assert_eq!(ln(1.0), 0.0);
        assert_eq!((cos_turns(0.0), cos_turns(0.5), cos_turns(1.0)), (1.0, -1.0, 1.0));
    }
}
