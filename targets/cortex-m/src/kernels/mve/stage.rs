//! From accumulators to output codes in two to four instructions for four of them.
//!
//! With `n = -shift` (`mote_runtime::kernels::requantize`) a code is
//! ```text
//! single   VMULH     high = floor(acc * multiplier / 2^32)         VRSHL by n - 1, n >= 2
//! double   VQRDMULH  high = floor(acc * multiplier / 2^31 + 1/2)   VRSHL by n,     n >= 1
//! ```
//! `VRSHL` rounds half up. So does the single rounding, of which `VMULH` drops only bits that cannot matter. The second
//! one of the double rounding goes away from zero at ties: one is taken from a negative `high` first, unless negative
//! results are clamped anyway.

pub use mote_runtime::kernels::requantize::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// Four output channels: where their sums start, their multipliers, and what `VRSHL` shifts by (negative: to the
/// right).
pub type Block = [[i32; 4]; 3];

/// The zero point and the clamp of a layer.
#[derive(Clone, Copy)]
pub struct Stage {
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

impl Stage {
    pub const fn new(zero_point: i32, min: i8, max: i8) -> Self {
        Self { zero_point, min: min as i32, max: max as i32 }
    }

    /// Clamps codes that were saturated to their type where they were made; most layers need no more than that.
    #[inline(always)]
    pub fn clamp(&self, codes: &mut [i8]) {
        if self.min > i8::MIN.into() || self.max < i8::MAX.into() {
            clamp(codes, self.min, self.max);
        }
    }

    /// What the instructions compute.
    #[cfg_attr(mote_mve, allow(dead_code))]
    pub fn code<const ROUNDING: u8>(&self, acc: i32, multiplier: i32, shift: i32) -> i8 {
        let code = rescaled::<ROUNDING>(acc, multiplier, shift);
        code.wrapping_add(self.zero_point).max(self.min).min(self.max) as i8
    }

    /// Four of them.
    #[cfg_attr(mote_mve, allow(dead_code))]
    pub fn codes<const ROUNDING: u8>(&self, sums: [i32; 4], block: &Block) -> [i8; 4] {
        let [start, multiplier, shift] = block;
        let mut codes = [0; 4];
        for ((((code, sum), start), multiplier), shift) in
            codes.iter_mut().zip(sums).zip(start).zip(multiplier).zip(shift)
        {
            *code = self.code::<ROUNDING>(sum.wrapping_add(*start), *multiplier, *shift);
        }
        codes
    }
}

#[inline(never)]
fn clamp(codes: &mut [i8], min: i32, max: i32) {
    #[cfg(not(mote_mve))]
    for code in codes {
        *code = i32::from(*code).max(min).min(max) as i8;
    }
    #[cfg(mote_mve)]
    // SAFETY: reads and writes as many codes as there are. Nobody's predicate is changed.
    unsafe {
        core::arch::asm!(
            "vdup.8 q1, {min}",
            "vdup.8 q2, {max}",
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [{at}]",
            "vmax.s8 q0, q0, q1",
            "vmin.s8 q0, q0, q2",
            "vstrb.8 q0, [{at}], #16",
            "letp lr, 2b",
            "3:",
            min = in(reg) min,
            max = in(reg) max,
            count = in(reg) codes.len(),
            at = inout(reg) codes.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            options(nostack),
        );
    }
}

/// The high half of the product, shifted.
#[cfg_attr(mote_mve, allow(dead_code))]
pub fn rescaled<const ROUNDING: u8>(acc: i32, multiplier: i32, shift: i32) -> i32 {
    let product = i64::from(acc) * i64::from(multiplier);
    let high = match ROUNDING {
        SINGLE => (product >> 32) as i32,
        _ => ((product + (1 << 30)) >> 31) as i32,
    };
    let high = if ROUNDING == DOUBLE { high.wrapping_add(high >> 31) } else { high };
    let right = shift.wrapping_neg() as u32 & 31;
    ((i64::from(high) + ((1i64 << right) >> 1)) >> right) as i32
}

#[cfg(feature = "pack")]
mod host {
    use super::*;
    use alloc::vec::Vec;
    use mote_runtime::kernels::conv2d_s8::channels;
    use mote_runtime::kernels::pack::Requant;

    /// What `VRSHL` shifts by; `None` if the instructions cannot give the codes of this factor.
    pub fn shift(multiplier: i32, shift: i32, rounding: u8) -> Option<i32> {
        match (rounding, multiplier, shift) {
            (_, 0, _) => Some(-1),
            (SINGLE, _, -31..=-2) => Some(shift + 1),
            (DOUBLE | DOUBLE_CLAMPED, _, -31..=-1) => Some(shift),
            _ => None,
        }
    }

    /// Start, multiplier and shift of each output channel; `weights` has the output channel as its first axis.
    pub fn scaled(
        weights: &[i8],
        bias: &[i32],
        outputs: usize,
        input_zero_point: i32,
        requant: &Requant,
    ) -> Option<Vec<[i32; 3]>> {
        let rounding = requant.cheapest_rounding();
        channels(weights, bias, outputs, input_zero_point, requant)
            .into_iter()
            .map(|[start, multiplier, s]| Some([start, multiplier, shift(multiplier, s, rounding)?]))
            .collect()
    }
}
#[cfg(feature = "pack")]
pub use host::{scaled, shift};

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::*;
    use mote_runtime::kernels::requantize::{self, requantize};

    #[test]
    fn equals_the_definition() {
        let powers = (0..31).flat_map(|k| (-2..=2).map(move |d| (1i32 << k).wrapping_add(d)));
        let scattered = (0..4000u32).map(|i| i.wrapping_mul(2654435761) as i32 >> (i % 20));
        let accumulators = powers.chain(scattered).chain(0..6).flat_map(|n| [n, n.wrapping_neg()]);
        for acc in accumulators.chain([i32::MIN, i32::MAX]) {
            for multiplier in [1 << 30, i32::MAX, 1518500250, 1073741825, 2000000011, 0] {
                for (n, zero_point) in (1..=31).flat_map(|n| [-128, -7, 0, 127].map(|z| (n, z))) {
                    let want = |rounding, min: i32| {
                        let code = requantize(acc, multiplier, -n, rounding).wrapping_add(zero_point);
                        code.max(min).min(127) as i8
                    };
                    let found = |rounding, min: i32| {
                        let stage = Stage { zero_point, min, max: 127 };
                        let shift = shift(multiplier, -n, rounding)?;
                        Some(match rounding {
                            SINGLE => stage.code::<SINGLE>(acc, multiplier, shift),
                            DOUBLE => stage.code::<DOUBLE>(acc, multiplier, shift),
                            _ => stage.code::<DOUBLE_CLAMPED>(acc, multiplier, shift),
                        })
                    };
                    let tell = (acc, multiplier, n, zero_point);
                    assert_eq!(found(DOUBLE, -128), Some(want(requantize::DOUBLE, -128)), "{tell:?}");
                    let clamped = Some(want(requantize::DOUBLE, zero_point));
                    assert_eq!(found(DOUBLE_CLAMPED, zero_point), clamped, "{tell:?}");
                    let single = found(SINGLE, -128);
                    assert_eq!(single.is_none(), n == 1 && multiplier != 0, "{tell:?}");
                    if single.is_some() {
                        assert_eq!(single, Some(want(requantize::SINGLE, -128)), "{tell:?}");
                    }
                }
            }
        }
    }
}
