//! From accumulators to output codes in two or three instructions for four of them.
//!
//! With `n = -shift` (`mote_runtime::kernels::requantize`), `n >= 1`, a code is
//! ```text
//! single   SQDMULH   high = floor(acc * multiplier / 2^31)         SRSHL by n
//! double   SQRDMULH  high = floor(acc * multiplier / 2^31 + 1/2)   SRSHL by n
//! ```
//! `SRSHL` rounds half up. So does the single rounding, of which `SQDMULH` drops only bits that cannot matter. The second
//! one of the double rounding goes away from zero at ties: one is taken from a negative `high` first (`SSRA`), unless
//! negative results are clamped anyway. Then 32 bits are narrowed to 16 and to 8 with saturation, between which the zero
//! point is added: nothing that saturates would not be clamped.

pub use mote_runtime::kernels::requantize::{DOUBLE, DOUBLE_CLAMPED, SINGLE};
use mote_runtime::kernels::s8::is_clamp;

/// Start of the sums, multipliers and shifts (negative: to the right) of `N` channels.
pub type Scales<const N: usize> = [[i32; N]; 3];

/// What the outputs of a layer share.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    pub zero_point: i32,
    pub min: i8,
    pub max: i8,
    /// [`SINGLE`], [`DOUBLE`] or [`DOUBLE_CLAMPED`].
    pub rounding: u8,
}

impl Stage {
    /// Whether these make sense.
    pub const fn is_sound(zero_point: i32, min: i8, max: i8, rounding: u8) -> bool {
        let clamped = rounding != DOUBLE_CLAMPED || zero_point <= min as i32;
        is_clamp(zero_point, min, max) && rounding <= DOUBLE_CLAMPED && clamped
    }

    /// What the instructions compute.
    #[cfg_attr(target_arch = "aarch64", allow(dead_code))]
    pub fn code(&self, acc: i32, multiplier: i32, shift: i32) -> i8 {
        let code = rescaled(acc, multiplier, shift, self.rounding).wrapping_add(self.zero_point);
        code.max(self.min.into()).min(self.max.into()) as i8
    }

    /// The codes of `N` channels.
    #[cfg_attr(target_arch = "aarch64", allow(dead_code))]
    pub fn codes<const N: usize>(&self, sums: [i32; N], scales: &Scales<N>) -> [i8; N] {
        let [start, multiplier, shift] = scales;
        let mut codes = [0; N];
        for ((((code, sum), start), multiplier), shift) in
            codes.iter_mut().zip(sums).zip(start).zip(multiplier).zip(shift)
        {
            *code = self.code(sum.wrapping_add(*start), *multiplier, *shift);
        }
        codes
    }
}

/// The high half of the doubled product, shifted to the right by `-shift`.
#[cfg_attr(target_arch = "aarch64", allow(dead_code))]
pub fn rescaled(acc: i32, multiplier: i32, shift: i32, rounding: u8) -> i32 {
    let product = i64::from(acc) * i64::from(multiplier);
    let nudge = if rounding == SINGLE { 0 } else { 1 << 30 };
    let high = ((product + nudge) >> 31) as i32;
    let high = if rounding == DOUBLE { high.wrapping_add(high >> 31) } else { high };
    let right = shift.wrapping_neg() as u32 & 31;
    ((i64::from(high) + ((1i64 << right) >> 1)) >> right) as i32
}

/// The same in instructions.
#[cfg(target_arch = "aarch64")]
pub mod arm {
    use core::arch::aarch64::*;

    use super::{DOUBLE, SINGLE, Scales, Stage};

    /// Four numbers rescaled.
    #[inline(always)]
    pub fn rescaled<const ROUNDING: u8>(
        acc: int32x4_t,
        multiplier: int32x4_t,
        shift: int32x4_t,
    ) -> int32x4_t {
        // SAFETY: every core of this architecture has these instructions.
        unsafe {
            let high = match ROUNDING {
                SINGLE => vqdmulhq_s32(acc, multiplier),
                _ => vqrdmulhq_s32(acc, multiplier),
            };
            let high = if ROUNDING == DOUBLE { vsraq_n_s32::<31>(high, high) } else { high };
            vrshlq_s32(high, shift)
        }
    }

    /// What turns rescaled numbers into codes, in registers.
    #[derive(Clone, Copy)]
    pub struct Narrow {
        zero_point: int16x8_t,
        min: int8x16_t,
        max: int8x16_t,
    }

    impl Narrow {
        #[inline(always)]
        pub fn new(stage: &Stage) -> Self {
            // SAFETY: as above.
            unsafe {
                Self {
                    zero_point: vdupq_n_s16(stage.zero_point as i16),
                    min: vdupq_n_s8(stage.min),
                    max: vdupq_n_s8(stage.max),
                }
            }
        }

        /// Eight codes.
        #[inline(always)]
        pub fn eight(&self, [a, b]: [int32x4_t; 2]) -> int8x8_t {
            // SAFETY: as above.
            unsafe {
                let codes = vqmovn_s16(self.halves([a, b]));
                vmin_s8(vmax_s8(codes, vget_low_s8(self.min)), vget_low_s8(self.max))
            }
        }

        /// Eight codes of each.
        #[inline(always)]
        pub fn sixteen_halved(&self, [a, b]: [int32x4_t; 2], [c, d]: [int32x4_t; 2]) -> [int8x8_t; 2] {
            let codes = self.sixteen([a, b, c, d]);
            // SAFETY: as above.
            unsafe { [vget_low_s8(codes), vget_high_s8(codes)] }
        }

        /// Sixteen codes.
        #[inline(always)]
        pub fn sixteen(&self, [a, b, c, d]: [int32x4_t; 4]) -> int8x16_t {
            // SAFETY: as above.
            unsafe {
                let codes = vqmovn_high_s16(vqmovn_s16(self.halves([a, b])), self.halves([c, d]));
                vminq_s8(vmaxq_s8(codes, self.min), self.max)
            }
        }

        #[inline(always)]
        fn halves(&self, [a, b]: [int32x4_t; 2]) -> int16x8_t {
            // SAFETY: as above.
            unsafe { vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero_point) }
        }
    }

    /// A row of scales, four in a register.
    #[inline(always)]
    pub fn four<const N: usize>(row: &[i32; N], quarter: usize) -> int32x4_t {
        debug_assert!(4 * quarter + 4 <= N);
        // SAFETY: all callers name quarters that the row has.
        unsafe { vld1q_s32(row.as_ptr().add(4 * quarter)) }
    }

    /// Four sums of quarter `quarter`, rescaled.
    #[inline(always)]
    pub fn scaled<const ROUNDING: u8, const N: usize>(
        sums: int32x4_t,
        scales: &Scales<N>,
        quarter: usize,
    ) -> int32x4_t {
        let [start, multiplier, shift] = scales;
        // SAFETY: as above.
        let acc = unsafe { vaddq_s32(sums, four(start, quarter)) };
        rescaled::<ROUNDING>(acc, four(multiplier, quarter), four(shift, quarter))
    }
}

#[cfg(feature = "pack")]
mod host {
    use super::*;
    use alloc::vec::Vec;
    use mote_runtime::kernels::conv2d_s8::channels;
    use mote_runtime::kernels::pack::Requant;

    /// What `SRSHL` shifts by; `None` if the instructions cannot give the codes of this factor.
    pub fn shift(multiplier: i32, shift: i32) -> Option<i32> {
        match (multiplier, shift) {
            (0, _) => Some(-1),
            (_, -31..=-1) => Some(shift),
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
        channels(weights, bias, outputs, input_zero_point, requant)
            .into_iter()
            .map(|[start, multiplier, s]| Some([start, multiplier, shift(multiplier, s)?]))
            .collect()
    }

    /// Blocks of `N` channels, of which block `b` begins with channel `first(b)`; zeros behind the last channel.
    pub fn blocks<const N: usize>(
        channels: &[[i32; 3]],
        blocks: usize,
        first: impl Fn(usize) -> usize,
    ) -> Vec<Scales<N>> {
        let of = |block: usize, part: usize, lane: usize| match channels.get(first(block) + lane) {
            Some(channel) => channel[part],
            None => [0, 0, -1][part],
        };
        (0..blocks)
            .map(|block| core::array::from_fn(|part| core::array::from_fn(|lane| of(block, part, lane))))
            .collect()
    }
}
#[cfg(feature = "pack")]
pub use host::{blocks, scaled, shift};

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::*;
    use mote_runtime::kernels::requantize::{self, requantize};

    /// What the kernels compute, in instructions where there are such.
    fn found(acc: i32, multiplier: i32, shift: i32, stage: &Stage) -> i8 {
        #[cfg(not(target_arch = "aarch64"))]
        return stage.code(acc, multiplier, shift);
        #[cfg(target_arch = "aarch64")]
        {
            let scales = [[0; 8], [multiplier; 8], [shift; 8]];
            // SAFETY: every core of this architecture has these instructions.
            unsafe {
                use core::arch::aarch64::*;
                let acc = vdupq_n_s32(acc);
                let scaled = match stage.rounding {
                    SINGLE => arm::scaled::<SINGLE, 8>(acc, &scales, 1),
                    DOUBLE => arm::scaled::<DOUBLE, 8>(acc, &scales, 1),
                    _ => arm::scaled::<DOUBLE_CLAMPED, 8>(acc, &scales, 1),
                };
                let code = arm::Narrow::new(stage).eight([scaled; 2]);
                assert_eq!(vget_lane_s8::<3>(code), stage.code(vgetq_lane_s32::<0>(acc), multiplier, shift));
                vget_lane_s8::<3>(code)
            }
        }
    }

    #[test]
    fn equals_the_definition() {
        let powers = (0..31).flat_map(|k| (-2..=2).map(move |d| (1i32 << k).wrapping_add(d)));
        let scattered = (0..4000u32).map(|i| i.wrapping_mul(2654435761) as i32 >> (i % 20));
        let accumulators = powers.chain(scattered).chain(0..6).flat_map(|n| [n, n.wrapping_neg()]);
        for acc in accumulators.chain([i32::MIN, i32::MAX]) {
            for multiplier in [1 << 30, i32::MAX, 1518500250, 1073741825, 2000000011, 0] {
                for (n, zero_point) in (1..=31).flat_map(|n| [-128, -7, 0, 127].map(|z| (n, z))) {
                    let Some(shift) = shift(multiplier, -n) else { panic!("{multiplier} {n} is refused") };
                    for (rounding, definition, min) in [
                        (SINGLE, requantize::SINGLE, -128),
                        (DOUBLE, requantize::DOUBLE, -128),
                        (DOUBLE_CLAMPED, requantize::DOUBLE, zero_point),
                    ] {
                        let stage = Stage { zero_point, min: min as i8, max: 127, rounding };
                        let want = requantize(acc, multiplier, -n, definition).wrapping_add(zero_point);
                        let found = found(acc, multiplier, shift, &stage);
                        assert_eq!(found, want.max(min).min(127) as i8, "{acc} {multiplier} {n} {stage:?}");
                    }
                }
            }
        }
    }
}
