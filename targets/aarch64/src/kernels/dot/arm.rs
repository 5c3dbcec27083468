//! The loops in NEON instructions. The functions that take pointers trust them; [`codes`] is called with lengths that
//! `Layer::positions` has compared.

// An index names registers of several arrays.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;

use super::{Block, CHANNELS, Layer, STEP};
use crate::kernels::instructions::{opaque, sdot, smmla};
use crate::kernels::level::Level;
use crate::kernels::stage::arm::{Narrow, four, rescaled};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// Fills `to` with the codes of positions.
pub fn codes(layer: &Layer<'_>, x: &[i8], distance: usize, to: &mut [i8]) {
    let level = Level::of_this_core();
    // SAFETY: the core has the level's instructions, and the caller has compared lengths.
    unsafe {
        match (level, layer.stage.rounding) {
            (Level::Neon, SINGLE) => all::<Neon, SINGLE>(layer, x, distance, to),
            (Level::Neon, DOUBLE) => all::<Neon, DOUBLE>(layer, x, distance, to),
            (Level::Neon, _) => all::<Neon, DOUBLE_CLAMPED>(layer, x, distance, to),
            (Level::DotProduct, SINGLE) => all::<Dot, SINGLE>(layer, x, distance, to),
            (Level::DotProduct, DOUBLE) => all::<Dot, DOUBLE>(layer, x, distance, to),
            (Level::DotProduct, _) => all::<Dot, DOUBLE_CLAMPED>(layer, x, distance, to),
            (Level::MatrixMultiply, SINGLE) => all::<Matrix, SINGLE>(layer, x, distance, to),
            (Level::MatrixMultiply, DOUBLE) => all::<Matrix, DOUBLE>(layer, x, distance, to),
            (Level::MatrixMultiply, _) => all::<Matrix, DOUBLE_CLAMPED>(layer, x, distance, to),
        }
    }
}

/// Sums of eight channels.
type Sums = [int32x4_t; 2];

/// How sums of products are made.
trait Products {
    /// Positions that are computed at once: as many as the registers have sums for.
    const POSITIONS: usize;

    /// The sums of a block for `P` positions, `P <= POSITIONS`, which begin with `start`.
    ///
    /// # Safety
    /// The core has the instructions; there are `8 * steps` inputs of each position and `64 * steps` weights.
    unsafe fn sums<const P: usize>(
        x: [*const i8; P],
        w: *const i8,
        steps: usize,
        start: &[i32; CHANNELS],
        narrow: bool,
    ) -> [Sums; P];
}

/// All positions: as many at once as there can be, then the rest.
#[inline(never)]
unsafe fn all<L: Products, const ROUNDING: u8>(layer: &Layer<'_>, x: &[i8], distance: usize, to: &mut [i8]) {
    let count = to.len() / layer.out_channels;
    let (mut x, mut to, mut left) = (x.as_ptr(), to.as_mut_ptr(), count);
    macro_rules! tiles {
        ($($p:literal),*) => {$(
            while L::POSITIONS >= $p && left >= $p {
                // SAFETY: the caller's; `left` positions are there.
                unsafe { tile::<L, ROUNDING, $p>(layer, x, distance, to) };
                x = x.wrapping_add($p * distance);
                to = to.wrapping_add($p * layer.out_channels);
                left -= $p;
            }
        )*};
    }
    tiles!(8, 4, 2, 1);
}

/// `P` positions, all channels.
#[inline(never)]
unsafe fn tile<L: Products, const ROUNDING: u8, const P: usize>(
    layer: &Layer<'_>,
    x: *const i8,
    distance: usize,
    to: *mut i8,
) {
    let mut inputs = [x; P];
    for (p, input) in inputs.iter_mut().enumerate() {
        *input = opaque(x.wrapping_add(p * distance));
    }
    let narrow = Narrow::new(&layer.stage);
    let mut w = layer.weights.as_ptr().cast::<i8>();
    let (mut to, mut left) = (to, layer.out_channels);
    for block in layer.blocks {
        if left == 0 {
            break;
        }
        // SAFETY: the caller's: `left` codes of each position belong to its slice.
        unsafe {
            let sums = L::sums::<P>(inputs, w, layer.steps, &block[0], layer.narrow);
            let scaled = Scaled::<ROUNDING>::new(block);
            macro_rules! stored {
                ($($p:literal),*) => {$(
                    if P > $p + 1 {
                        let [a, b] = narrow.sixteen_halved(scaled.of(sums[$p]), scaled.of(sums[($p + 1) % P]));
                        store(to.wrapping_add($p * layer.out_channels), a, left);
                        store(to.wrapping_add(($p + 1) * layer.out_channels), b, left);
                    }
                )*};
            }
            if P == 1 {
                store(to, narrow.eight(scaled.of(sums[0])), left);
            }
            stored!(0, 2, 4, 6);
        }
        w = w.wrapping_add(layer.steps * CHANNELS * STEP);
        to = to.wrapping_add(CHANNELS);
        left = left.saturating_sub(CHANNELS);
    }
}

/// Multipliers and shifts of a block, in registers.
struct Scaled<const ROUNDING: u8> {
    multipliers: Sums,
    shifts: Sums,
}

impl<const ROUNDING: u8> Scaled<ROUNDING> {
    #[inline(always)]
    fn new([_, multiplier, shift]: &Block) -> Self {
        Self {
            multipliers: [four(multiplier, 0), four(multiplier, 1)],
            shifts: [four(shift, 0), four(shift, 1)],
        }
    }

    #[inline(always)]
    fn of(&self, [a, b]: Sums) -> Sums {
        let ([m, n], [s, t]) = (self.multipliers, self.shifts);
        [rescaled::<ROUNDING>(a, m, s), rescaled::<ROUNDING>(b, n, t)]
    }
}

/// Writes eight codes, or the first `left` of them.
#[inline(always)]
unsafe fn store(to: *mut i8, codes: int8x8_t, left: usize) {
    // SAFETY: the caller's.
    unsafe { if left >= CHANNELS { vst1_s8(to, codes) } else { store_some(to, codes, left) } }
}

/// The first `count` of eight codes.
#[cold]
#[inline(never)]
unsafe fn store_some(to: *mut i8, codes: int8x8_t, count: usize) {
    // SAFETY: the caller's.
    unsafe {
        let mut codes = vreinterpret_u64_s8(codes);
        let mut to = to;
        if count & 4 != 0 {
            vst1_lane_u32::<0>(to.cast(), vreinterpret_u32_u64(codes));
            codes = vshr_n_u64::<32>(codes);
            to = to.add(4);
        }
        if count & 2 != 0 {
            vst1_lane_u16::<0>(to.cast(), vreinterpret_u16_u64(codes));
            codes = vshr_n_u64::<16>(codes);
            to = to.add(2);
        }
        if count & 1 != 0 {
            vst1_lane_u8::<0>(to.cast(), vreinterpret_u8_u64(codes));
        }
    }
}

/// Products of 16 bits.
struct Neon;

impl Products for Neon {
    const POSITIONS: usize = 2;

    #[inline(always)]
    unsafe fn sums<const P: usize>(
        x: [*const i8; P],
        w: *const i8,
        steps: usize,
        start: &[i32; CHANNELS],
        narrow: bool,
    ) -> [Sums; P] {
        // SAFETY: the caller's.
        unsafe {
            let (mut x, mut w, mut sums) = (x, w, [[vdupq_n_s32(0); 8]; P]);
            let pairs = if narrow { steps / 2 } else { 0 };
            for _ in 0..pairs {
                let inputs = [twice(&mut x), twice(&mut x)];
                for pair in 0..4 {
                    let (w0, w1) = (vld1q_s8(w.add(16 * pair)), vld1q_s8(w.add(64 + 16 * pair)));
                    for p in 0..P {
                        let [x0, x1] = [inputs[0][p], inputs[1][p]];
                        let even = vmull_s8(vget_low_s8(x0), vget_low_s8(w0));
                        let even = vmlal_s8(even, vget_low_s8(x1), vget_low_s8(w1));
                        let odd = vmlal_high_s8(vmull_high_s8(x0, w0), x1, w1);
                        sums[p][2 * pair] = vpadalq_s16(sums[p][2 * pair], even);
                        sums[p][2 * pair + 1] = vpadalq_s16(sums[p][2 * pair + 1], odd);
                    }
                }
                w = w.add(128);
            }
            for _ in 2 * pairs..steps {
                let inputs = twice(&mut x);
                for pair in 0..4 {
                    let w0 = vld1q_s8(w.add(16 * pair));
                    for p in 0..P {
                        let even = vmull_s8(vget_low_s8(inputs[p]), vget_low_s8(w0));
                        let odd = vmull_high_s8(inputs[p], w0);
                        sums[p][2 * pair] = vpadalq_s16(sums[p][2 * pair], even);
                        sums[p][2 * pair + 1] = vpadalq_s16(sums[p][2 * pair + 1], odd);
                    }
                }
                w = w.add(64);
            }
            let mut folded = [[vdupq_n_s32(0); 2]; P];
            for p in 0..P {
                let [a, b, c, d, e, f, g, h] = sums[p];
                folded[p] = [
                    vaddq_s32(vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)), four(start, 0)),
                    vaddq_s32(vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h)), four(start, 1)),
                ];
            }
            folded
        }
    }
}

/// Dot products of four bytes.
struct Dot;

impl Products for Dot {
    const POSITIONS: usize = 4;

    #[inline(always)]
    unsafe fn sums<const P: usize>(
        x: [*const i8; P],
        w: *const i8,
        steps: usize,
        start: &[i32; CHANNELS],
        _: bool,
    ) -> [Sums; P] {
        // SAFETY: the caller's.
        unsafe {
            let (mut x, mut w) = (x, w);
            // Of the two sums of a channel the first one begins with the channel's start.
            let mut sums = [[vdupq_n_s32(0); 4]; P];
            for p in 0..P {
                for half in 0..2 {
                    sums[p][2 * half] = vzip1q_s32(four(start, half), vdupq_n_s32(0));
                    sums[p][2 * half + 1] = vzip2q_s32(four(start, half), vdupq_n_s32(0));
                }
            }
            // A single position has few products to a step, so a loop of few steps would be much of the work.
            let unrolled = if P == 1 { 4 } else { 2 };
            for _ in 0..steps / unrolled {
                for part in 0..unrolled {
                    dots(&mut sums, twice(&mut x), w.add(64 * part));
                }
                w = w.add(64 * unrolled);
            }
            for _ in 0..steps % unrolled {
                dots(&mut sums, twice(&mut x), w);
                w = w.add(64);
            }
            let mut folded = [[vdupq_n_s32(0); 2]; P];
            for p in 0..P {
                let [a, b, c, d] = sums[p];
                folded[p] = [vpaddq_s32(a, b), vpaddq_s32(c, d)];
            }
            folded
        }
    }
}

/// A step's products with its 64 weights, added to the sums of each position.
#[inline(always)]
unsafe fn dots<const P: usize>(sums: &mut [[int32x4_t; 4]; P], inputs: [int8x16_t; P], w: *const i8) {
    // SAFETY: the caller's.
    unsafe {
        for pair in 0..4 {
            let weights = vld1q_s8(w.add(16 * pair));
            for p in 0..P {
                sums[p][pair] = sdot(sums[p][pair], weights, inputs[p]);
            }
        }
    }
}

/// The next eight inputs of each position, twice in a register.
#[inline(always)]
unsafe fn twice<const P: usize>(x: &mut [*const i8; P]) -> [int8x16_t; P] {
    // SAFETY: the caller's.
    unsafe {
        let mut inputs = [vdupq_n_s8(0); P];
        for p in 0..P {
            inputs[p] = vreinterpretq_s8_s64(vld1q_dup_s64(x[p].cast()));
            x[p] = opaque(x[p].add(STEP));
        }
        inputs
    }
}

/// Products of matrices: two positions times two channels. A single position takes dot products.
struct Matrix;

impl Products for Matrix {
    const POSITIONS: usize = 8;

    #[inline(always)]
    unsafe fn sums<const P: usize>(
        x: [*const i8; P],
        w: *const i8,
        steps: usize,
        start: &[i32; CHANNELS],
        narrow: bool,
    ) -> [Sums; P] {
        // SAFETY: the caller's.
        unsafe {
            if P == 1 {
                return Dot::sums::<P>(x, w, steps, start, narrow);
            }
            let (mut x, mut w) = (x, w);
            // Of pairs of positions: the second half stays empty.
            let mut sums = [[vdupq_n_s32(0); 4]; P];
            for pair in 0..4 {
                let start = vreinterpretq_s32_s64(vld1q_dup_s64(start.as_ptr().add(2 * pair).cast()));
                for p in 0..P / 2 {
                    sums[p][pair] = start;
                }
            }
            for _ in 0..steps / 2 {
                let mut inputs = [[vdupq_n_s8(0); 2]; P];
                for p in 0..P / 2 {
                    let (a, b) = (vld1q_s8(x[2 * p]), vld1q_s8(x[2 * p + 1]));
                    let (a, b) = (vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b));
                    inputs[p] =
                        [vreinterpretq_s8_s64(vzip1q_s64(a, b)), vreinterpretq_s8_s64(vzip2q_s64(a, b))];
                    x[2 * p] = x[2 * p].add(2 * STEP);
                    x[2 * p + 1] = x[2 * p + 1].add(2 * STEP);
                }
                for half in 0..2 {
                    for pair in 0..4 {
                        let weights = vld1q_s8(w.add(64 * half + 16 * pair));
                        for p in 0..P / 2 {
                            sums[p][pair] = smmla(sums[p][pair], inputs[p][half], weights);
                        }
                    }
                }
                w = w.add(128);
            }
            if steps & 1 != 0 {
                let mut inputs = [vdupq_n_s8(0); P];
                for p in 0..P / 2 {
                    inputs[p] = vcombine_s8(vld1_s8(x[2 * p]), vld1_s8(x[2 * p + 1]));
                }
                for pair in 0..4 {
                    let weights = vld1q_s8(w.add(16 * pair));
                    for p in 0..P / 2 {
                        sums[p][pair] = smmla(sums[p][pair], inputs[p], weights);
                    }
                }
            }
            let mut folded = [[vdupq_n_s32(0); 2]; P];
            for p in 0..P / 2 {
                let [a, b, c, d] = sums[p].map(|sums| vreinterpretq_s64_s32(sums));
                folded[2 * p] =
                    [vreinterpretq_s32_s64(vzip1q_s64(a, b)), vreinterpretq_s32_s64(vzip1q_s64(c, d))];
                folded[2 * p + 1] =
                    [vreinterpretq_s32_s64(vzip2q_s64(a, b)), vreinterpretq_s32_s64(vzip2q_s64(c, d))];
            }
            folded
        }
    }
}
