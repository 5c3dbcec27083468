//! From accumulators to output codes in three to five instructions.
//!
//! With `n = -shift >= 2`, requantization (`mote_runtime::kernels::requantize`) is
//! ```text
//! high = floor(2 * acc * multiplier / 2^32 (+ 1/2 if rounded twice))        SMMUL, SMMULR
//! code = zero_point + floor(high * 2^(32 - n) / 2^32 + 1/2)                 SMMLAR
//! ```
//! where the second rounding of the double one goes away from zero at ties, so one is taken from a negative `high`
//! first. That is left out where negative results are clamped anyway.
//!
//! The rounding is a const parameter of each kernel, which comes with three identifiers.

pub use mote_runtime::kernels::requantize::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

use super::instructions::{smmlar, smmul, smmulr, ssat8};

/// A channel's factor: multiplier, and `2^(32 + shift)`.
pub type Scale = [i32; 2];

/// The code of an accumulator, given twice its value, saturated to 8 bits.
#[inline(always)]
pub fn code<const ROUNDING: u8>(twice: i32, [multiplier, scale]: Scale, zero_point: i32) -> i8 {
    let high = match ROUNDING {
        SINGLE => smmul(twice, multiplier),
        DOUBLE => {
            let high = smmulr(twice, multiplier);
            high.wrapping_add(high >> 31)
        }
        _ => smmulr(twice, multiplier),
    };
    ssat8(smmlar(high, scale, zero_point)) as i8
}

/// The zero point and the clamp of a layer. Codes are saturated to the range of their type where they are made, so most
/// layers need no more.
#[derive(Clone, Copy)]
pub struct Stage {
    pub zero_point: i32,
    pub min: i8,
    pub max: i8,
}

impl Stage {
    /// Clamps the codes of a row.
    #[inline(always)]
    pub fn clamp(&self, codes: &mut [i8]) {
        if self.min != i8::MIN || self.max != i8::MAX {
            clamp(codes, self.min, self.max);
        }
    }
}

#[inline(never)]
fn clamp(codes: &mut [i8], min: i8, max: i8) {
    #[cfg(not(mote_dsp))]
    for code in codes {
        *code = (*code).max(min).min(max);
    }
    #[cfg(mote_dsp)]
    if !codes.is_empty() {
        // SAFETY: reads and writes the codes, of which there is one. (A fifth of what the compiler makes of the loop.)
        unsafe {
            core::arch::asm!(
                "2:",
                "ldrsb {code}, [{at}]",
                "cmp {code}, {min}",
                "it lt",
                "movlt {code}, {min}",
                "cmp {code}, {max}",
                "it gt",
                "movgt {code}, {max}",
                "strb {code}, [{at}], #1",
                "cmp {at}, {end}",
                "bne 2b",
                code = out(reg) _,
                at = inout(reg) codes.as_mut_ptr() => _,
                end = in(reg) codes.as_ptr_range().end,
                min = in(reg) i32::from(min),
                max = in(reg) i32::from(max),
                options(nostack),
            );
        }
    }
}

#[cfg(feature = "pack")]
mod host {
    use super::*;
    use alloc::vec::Vec;
    use mote_runtime::kernels::pack::Requant;
    use mote_runtime::kernels::s8::multipliers;

    impl Stage {
        /// The stage that does the same, and its rounding.
        pub fn of(requant: &Requant) -> Option<(Self, u8)> {
            let (min, max) = requant.clamp()?;
            Some((Self { zero_point: requant.zero_point, min, max }, requant.cheapest_rounding()))
        }
    }

    /// The least and the largest accumulator of a channel with these weights. What is padding has the zero point as its
    /// value, so it is a code like others.
    pub fn range(start: i32, weights: &[i8]) -> (i64, i64) {
        let sum = |low: i64, high: i64| -> i64 {
            let products = weights.iter().map(|&w| i64::from(w) * if w < 0 { low } else { high });
            i64::from(start) + products.sum::<i64>()
        };
        (sum(127, -128), sum(-128, 127))
    }

    /// Whether accumulators of a channel lie in `-limit .. limit`.
    pub fn fits(start: i32, weights: &[i8], limit: i64) -> bool {
        let (low, high) = range(start, weights);
        low >= -limit && high < limit
    }

    /// The factor of a channel; `None` if it is 1/4 or more.
    pub fn scale(multiplier: i32, shift: i32) -> Option<Scale> {
        match (multiplier, shift) {
            (0, _) => Some([0, 0]),
            (_, -31..=-2) => Some([multiplier, 1 << (32 + shift)]),
            _ => None,
        }
    }

    /// The factors of all channels; `None` if one is 1/4 or more.
    pub fn scales(requant: &Requant, channels: usize) -> Option<Vec<Scale>> {
        multipliers(&requant.factors, channels).into_iter().map(|(m, shift)| scale(m, shift)).collect()
    }
}
#[cfg(feature = "pack")]
pub use host::{fits, range, scale, scales};

#[cfg(test)]
mod tests {
    use super::*;
    use mote_runtime::kernels::requantize::{self, requantize};

    #[test]
    fn equals_the_definition() {
        let powers = (0..30).flat_map(|k| (-2..=2).map(move |d| (1i32 << k) + d));
        let scattered = (0..4000u32).map(|i| i.wrapping_mul(2654435761) as i32 >> (2 + i % 20));
        let accumulators: [i32; 10] = [0, 1, -1, 2, -2, 3, -3, 5, (1 << 30) - 1, -(1 << 30)];
        for acc in accumulators.into_iter().chain(powers).chain(scattered).flat_map(|n| [n, -n]) {
            if !(-(1 << 30)..1 << 30).contains(&acc) {
                continue;
            }
            for multiplier in [1 << 30, i32::MAX, 1518500250, 1073741825, 2000000011, 0] {
                for (shift, zero_point) in (-31..=-2).flat_map(|shift| [-128, -7, 0, 127].map(|z| (shift, z)))
                {
                    let scale = [multiplier, 1i32.wrapping_shl((32 + shift) as u32)];
                    let clamp = |code: i32, min: i8, max: i8| code.max(min.into()).min(max.into()) as i8;
                    let want =
                        |rounding| requantize(acc, multiplier, shift, rounding).wrapping_add(zero_point);
                    let tell = (acc, multiplier, shift, zero_point);

                    let single = clamp(want(requantize::SINGLE), -128, 127);
                    assert_eq!(code::<SINGLE>(2 * acc, scale, zero_point), single, "{tell:?}");
                    let double = clamp(want(requantize::DOUBLE), -128, 127);
                    assert_eq!(code::<DOUBLE>(2 * acc, scale, zero_point), double, "{tell:?}");
                    let clamped = code::<DOUBLE_CLAMPED>(2 * acc, scale, zero_point);
                    let min = zero_point as i8;
                    assert_eq!(clamped.max(min), double.max(min), "{tell:?}");
                }
            }
        }
    }
}
