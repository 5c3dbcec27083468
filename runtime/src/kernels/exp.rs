//! An exponential without branches, so that loops over it vectorise.

use super::requantize::WHOLE;

/// `e^x` within two units in the last place for `x` in `-87 ..= 88`; beyond, that of the limit.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // ln 2 in two parts, the first of few bits: its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * core::f32::consts::LOG2_E + WHOLE;
    let n = shifted - WHOLE;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    // Minimax polynomial of Cephes.
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let fraction = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    fraction * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn exponential_is_accurate_over_its_range() {
        for i in -87_000..=88_000 {
            let x = i as f32 / 1000.0;
            let want = libm::exp(x.into());
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 2e-7, "{x}: {} instead of {want}", exp(x));
        }
        assert!(exp(-1000.0) < 1e-37 && exp(1000.0) > 1e38 && exp(f32::NAN).is_nan());
    }
}
