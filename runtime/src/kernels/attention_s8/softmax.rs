//! From scores to probabilities, and the division by their sum.

use super::AttentionS8Args;

/// Fractional bits of the powers of two.
pub(super) const FRACTION: u32 = 8;

/// `2^(-i / 256)` with 15 fractional bits.
const POWERS: [u16; 1 << FRACTION] = powers();

const fn powers() -> [u16; 1 << FRACTION] {
    /// `2^(-1 / 256)` with 62 fractional bits.
    const STEP: u128 = 4_599_216_278_082_138_665;
    let mut powers = [0; 1 << FRACTION];
    let (mut power, mut i) = (1u128 << 62, 0);
    while i < powers.len() {
        powers[i] = ((power + (1 << 46)) >> 47) as u16;
        power = (power * STEP + (1 << 61)) >> 62;
        i += 1;
    }
    powers
}

/// Puts the probability of each score in its place, the largest being `2^bits`; gives their sum.
pub fn probabilities(scores: &mut [i32], args: &AttentionS8Args) -> i32 {
    let most = scores.iter().copied().max().unwrap_or(0);
    let mut sum = 0i32;
    for score in scores {
        *score = probability(most.wrapping_sub(*score) as u32, args);
        sum = sum.wrapping_add(*score);
    }
    sum
}

#[inline(always)]
fn probability(distance: u32, args: &AttentionS8Args) -> i32 {
    if distance >= args.far {
        return 0;
    }
    let product = u64::from(distance.wrapping_shl(args.left.into())) * u64::from(args.distance_multiplier);
    let exponent = (product >> 31 >> (args.right & 31)) as u32;
    let exponent = exponent.wrapping_add(1) >> 1;
    let power = POWERS.get((exponent & ((1 << FRACTION) - 1)) as usize).copied().unwrap_or(0);
    let down = (exponent >> FRACTION).wrapping_add(15).wrapping_sub(args.bits.into());
    match down {
        0 => power.into(),
        1..=16 => ((u32::from(power) + (1 << (down - 1))) >> down) as i32,
        _ => 0,
    }
}

/// Multiplier and shift of `multiplier * 2^(shift - 31) / sum`; zero if that is too small to matter.
pub fn over(multiplier: i32, shift: i32, sum: i32) -> (i32, i32) {
    let quotient =
        (u64::from(multiplier.unsigned_abs()) << 32).checked_div(sum.unsigned_abs().into()).unwrap_or(0);
    let bits = 64 - quotient.leading_zeros() as i32;
    let shift = shift.wrapping_add(bits).wrapping_sub(63);
    // The sum is at least one probability of 2^bits, so the quotient has more than 31 bits or is zero.
    if quotient == 0 || !(-31..=30).contains(&shift) {
        return (0, 0);
    }
    let normal = if bits > 31 { quotient >> (bits - 31) } else { quotient << (31 - bits) };
    (normal as i32, shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::requantize::quantize_multiplier;

    #[test]
    fn powers_are_rounded_to_nearest() {
        for (i, &power) in POWERS.iter().enumerate() {
            let want = libm::round(libm::exp2(15.0 - i as f64 / 256.0));
            assert_eq!(f64::from(power), want, "{i}");
        }
    }

    #[test]
    fn quotients_are_close() {
        for (i, sum) in (15..23).flat_map(|k| [(1 << k), (1 << k) + 1, (1 << k) + 12345]).enumerate() {
            let factor = 0.003 * (i * i + 1) as f64;
            let (multiplier, shift) = quantize_multiplier(factor);
            let (multiplier, shift) = over(multiplier, shift, sum);
            let quotient = f64::from(multiplier) * libm::exp2(f64::from(shift - 31));
            assert!((quotient * f64::from(sum) / factor - 1.0).abs() < 3e-9, "{factor} {sum} {quotient}");
        }
    }
}
