//! The loops in NEON instructions. The functions that take pointers trust them; [`codes`] is called with lengths that
//! `Layer::columns` has compared.

// An index names registers of several arrays.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;

use super::{GROUP, LANES, Layer, Scales, Walk, Weights, blocks, first, lanes};
use crate::kernels::instructions::sdot;
use crate::kernels::level::Level;
use crate::kernels::stage::arm::{Narrow, scaled};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// Fills `to` with the codes of output columns.
pub fn codes(layer: &Layer<'_>, slots: &[&[i8]], advance: usize, to: &mut [i8]) {
    // SAFETY: the caller has compared lengths.
    unsafe {
        match layer.stage.rounding {
            SINGLE => all::<SINGLE>(layer, slots, advance, to),
            DOUBLE => all::<DOUBLE>(layer, slots, advance, to),
            _ => all::<DOUBLE_CLAMPED>(layer, slots, advance, to),
        }
    }
}

/// Fills `to` with the codes of an output row.
pub fn row(layer: &Layer<'_>, rows: [&[i8]; 3], walk: &Walk, padding: i8, to: &mut [i8]) {
    // SAFETY: the caller has compared lengths, and the core has dot products.
    unsafe {
        match (layer.stage.rounding, lanes(layer.channels)) {
            (SINGLE, LANES) => whole::<SINGLE, 2>(layer, rows, walk, padding, to),
            (DOUBLE, LANES) => whole::<DOUBLE, 2>(layer, rows, walk, padding, to),
            (_, LANES) => whole::<DOUBLE_CLAMPED, 2>(layer, rows, walk, padding, to),
            (SINGLE, _) => whole::<SINGLE, 1>(layer, rows, walk, padding, to),
            (DOUBLE, _) => whole::<DOUBLE, 1>(layer, rows, walk, padding, to),
            _ => whole::<DOUBLE_CLAMPED, 1>(layer, rows, walk, padding, to),
        }
    }
}

/// All blocks of some columns.
#[inline(never)]
unsafe fn all<const ROUNDING: u8>(layer: &Layer<'_>, slots: &[&[i8]], advance: usize, to: &mut [i8]) {
    let channels = layer.channels;
    let count = to.len() / channels;
    let groups = slots.len() / GROUP;
    let blocks = layer.weights.chunks_exact(groups).zip(layer.scales).take(blocks(channels));
    let narrow = Narrow::new(&layer.stage);
    for (block, (weights, scales)) in blocks.enumerate() {
        let from = first(channels, block);
        let strip = Strip { slots, weights, scales, narrow: &narrow, from, advance, step: channels, count };
        let to = to.as_mut_ptr().wrapping_add(from);
        // SAFETY: the caller's.
        unsafe {
            match lanes(channels) {
                LANES => strip.codes::<ROUNDING, 2>(layer, to),
                _ => strip.codes::<ROUNDING, 1>(layer, to),
            }
        }
    }
}

/// All blocks of a row of a kernel of 3 x 3, with dot products: a column of pixels is interleaved once for all output
/// columns that read it.
#[inline(never)]
unsafe fn whole<const ROUNDING: u8, const HALVES: usize>(
    layer: &Layer<'_>,
    rows: [&[i8]; 3],
    walk: &Walk,
    padding: i8,
    to: &mut [i8],
) {
    let channels = layer.channels;
    let count = to.len() / channels;
    let narrow = Narrow::new(&layer.stage);
    // SAFETY: the caller's.
    let outside = [unsafe { vdupq_n_s8(padding) }; 4];
    let blocks = layer.weights.as_chunks::<3>().0.iter().zip(layer.scales).take(blocks(channels));
    for (block, (weights, scales)) in blocks.enumerate() {
        let from = first(channels, block);
        let rows = rows.map(|row| row.as_ptr().wrapping_add(from));
        let mut to = to.as_mut_ptr().wrapping_add(from);
        let [u, v, w] = [0, 1, 2].map(|column| quarters(&weights[column]));
        let mut column = walk.pad_left.wrapping_neg();
        let mut at = column.wrapping_mul(channels as isize);
        let mut next = || {
            let inside = (column as usize) < walk.width;
            // SAFETY: the pixel is inside of the rows.
            let pixels = if inside {
                let x = rows.map(|row| unsafe { load::<HALVES>(row.offset(at)) });
                interleaved::<HALVES>([x[0], x[1], x[2], x[2]])
            } else {
                outside
            };
            column += 1;
            at = at.wrapping_add(channels as isize);
            pixels
        };
        let mut code = |a: &[int8x16_t; 4], b: &[int8x16_t; 4], c: &[int8x16_t; 4]| {
            // SAFETY: the caller's; there are as many pixels in `to` as are coded.
            unsafe {
                let mut sums = [vdupq_n_s32(0); 4];
                add_dots::<HALVES>(&mut sums, *a, &u);
                add_dots::<HALVES>(&mut sums, *b, &v);
                add_dots::<HALVES>(&mut sums, *c, &w);
                store::<ROUNDING, HALVES>(sums, scales, &narrow, to);
            }
            to = to.wrapping_add(channels);
        };
        let mut left = count;
        let (mut a, mut b) = (next(), next());
        if walk.stride == 1 {
            loop {
                let c = next();
                code(&a, &b, &c);
                if left == 1 {
                    break;
                }
                a = next();
                code(&b, &c, &a);
                if left == 2 {
                    break;
                }
                b = next();
                code(&c, &a, &b);
                left -= 3;
                if left == 0 {
                    break;
                }
            }
        } else {
            loop {
                let c = next();
                code(&a, &b, &c);
                if left == 1 {
                    break;
                }
                b = next();
                a = next();
                code(&c, &b, &a);
                left -= 2;
                if left == 0 {
                    break;
                }
                b = next();
            }
        }
    }
}

/// One block of some columns.
struct Strip<'a> {
    slots: &'a [&'a [i8]],
    weights: &'a [Weights],
    scales: &'a Scales,
    narrow: &'a Narrow,
    /// Where the first pixel begins in each slot.
    from: usize,
    /// From column to column in each slot.
    advance: usize,
    /// From column to column in the output.
    step: usize,
    count: usize,
}

impl Strip<'_> {
    /// `HALVES` times eight lanes.
    #[inline(always)]
    unsafe fn codes<const ROUNDING: u8, const HALVES: usize>(&self, layer: &Layer<'_>, to: *mut i8) {
        // SAFETY: the caller's.
        unsafe {
            if layer.level >= Level::DotProduct {
                self.dots::<ROUNDING, HALVES>(to);
            } else if layer.kernel.by_columns() && layer.narrow {
                self.three::<ROUNDING, HALVES>(to);
            } else {
                self.any::<ROUNDING, HALVES>(layer.narrow, to);
            }
        }
    }

    /// The pixel of a slot.
    #[inline(always)]
    fn pixel(&self, slot: usize) -> *const i8 {
        self.slots[slot].as_ptr().wrapping_add(self.from)
    }

    /// A kernel of 3 x 3, whose weights stay in registers.
    #[inline(never)]
    unsafe fn three<const ROUNDING: u8, const HALVES: usize>(&self, to: *mut i8) {
        // SAFETY: the caller's.
        unsafe {
            let mut weights = [vdupq_n_s8(0); 9];
            let mut pixels = [core::ptr::null(); 9];
            for column in 0..3 {
                let int8x16x4_t(a, b, c, _) = vld4q_s8(self.weights[column].as_ptr());
                for (row, w) in [a, b, c].into_iter().enumerate() {
                    weights[3 * column + row] = w;
                    pixels[3 * column + row] = self.pixel(GROUP * column + row);
                }
            }
            let (mut at, mut to) = (0, to);
            for _ in 0..self.count {
                let mut sums = [vdupq_n_s32(0); 4];
                for pair in 0..5 {
                    let (k, l) = (2 * pair, 2 * pair + 1);
                    if l < 9 {
                        let x = [load::<HALVES>(pixels[k].add(at)), load::<HALVES>(pixels[l].add(at))];
                        add_two::<HALVES>(&mut sums, x, [weights[k], weights[l]]);
                    } else {
                        add_one::<HALVES>(&mut sums, load::<HALVES>(pixels[k].add(at)), weights[k]);
                    }
                }
                store::<ROUNDING, HALVES>(sums, self.scales, self.narrow, to);
                at += self.advance;
                to = to.add(self.step);
            }
        }
    }

    /// Any kernel.
    #[inline(never)]
    unsafe fn any<const ROUNDING: u8, const HALVES: usize>(&self, narrow: bool, to: *mut i8) {
        let (mut at, mut to) = (0, to);
        for _ in 0..self.count {
            // SAFETY: the caller's.
            unsafe {
                let mut sums = [vdupq_n_s32(0); 4];
                for (slots, weights) in self.slots.as_chunks::<GROUP>().0.iter().zip(self.weights) {
                    let int8x16x4_t(a, b, c, d) = vld4q_s8(weights.as_ptr());
                    let x = slots.map(|slot| load::<HALVES>(slot.as_ptr().add(self.from + at)));
                    if narrow {
                        add_two::<HALVES>(&mut sums, [x[0], x[1]], [a, b]);
                        add_two::<HALVES>(&mut sums, [x[2], x[3]], [c, d]);
                    } else {
                        for (x, w) in x.into_iter().zip([a, b, c, d]) {
                            add_one::<HALVES>(&mut sums, x, w);
                        }
                    }
                }
                store::<ROUNDING, HALVES>(sums, self.scales, self.narrow, to);
                at += self.advance;
                to = to.add(self.step);
            }
        }
    }

    /// Any kernel, with dot products.
    #[inline(never)]
    unsafe fn dots<const ROUNDING: u8, const HALVES: usize>(&self, to: *mut i8) {
        let (mut at, mut to) = (0, to);
        for _ in 0..self.count {
            // SAFETY: the caller's.
            unsafe {
                let mut sums = [vdupq_n_s32(0); 4];
                for (slots, weights) in self.slots.as_chunks::<GROUP>().0.iter().zip(self.weights) {
                    let x = slots.map(|slot| load::<HALVES>(slot.as_ptr().add(self.from + at)));
                    add_dots::<HALVES>(&mut sums, interleaved::<HALVES>(x), &quarters(weights));
                }
                store::<ROUNDING, HALVES>(sums, self.scales, self.narrow, to);
                at += self.advance;
                to = to.add(self.step);
            }
        }
    }
}

/// Writes the codes of a column.
#[inline(always)]
unsafe fn store<const ROUNDING: u8, const HALVES: usize>(
    sums: [int32x4_t; 4],
    scales: &Scales,
    narrow: &Narrow,
    to: *mut i8,
) {
    let code = |quarter: usize| scaled::<ROUNDING, LANES>(sums[quarter], scales, quarter);
    // SAFETY: the caller's.
    unsafe {
        if HALVES == 2 {
            vst1q_s8(to, narrow.sixteen([code(0), code(1), code(2), code(3)]));
        } else {
            vst1_s8(to, narrow.eight([code(0), code(1)]));
        }
    }
}

/// Eight or sixteen bytes.
#[inline(always)]
unsafe fn load<const HALVES: usize>(from: *const i8) -> int8x16_t {
    // SAFETY: the caller's.
    unsafe { if HALVES == 2 { vld1q_s8(from) } else { vcombine_s8(vld1_s8(from), vdup_n_s8(0)) } }
}

/// Adds the products of two taps, which together fit 16 bits.
#[inline(always)]
unsafe fn add_two<const HALVES: usize>(sums: &mut [int32x4_t; 4], x: [int8x16_t; 2], w: [int8x16_t; 2]) {
    // SAFETY: every core of this architecture has these instructions.
    unsafe {
        let low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(w[0]));
        let low = vmlal_s8(low, vget_low_s8(x[1]), vget_low_s8(w[1]));
        widen::<0>(sums, low);
        if HALVES == 2 {
            widen::<2>(sums, vmlal_high_s8(vmull_high_s8(x[0], w[0]), x[1], w[1]));
        }
    }
}

/// Adds the products of a tap.
#[inline(always)]
unsafe fn add_one<const HALVES: usize>(sums: &mut [int32x4_t; 4], x: int8x16_t, w: int8x16_t) {
    // SAFETY: as above.
    unsafe {
        widen::<0>(sums, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
        if HALVES == 2 {
            widen::<2>(sums, vmull_high_s8(x, w));
        }
    }
}

#[inline(always)]
unsafe fn widen<const FIRST: usize>(sums: &mut [int32x4_t; 4], products: int16x8_t) {
    // SAFETY: as above.
    unsafe {
        sums[FIRST] = vaddw_s16(sums[FIRST], vget_low_s16(products));
        sums[FIRST + 1] = vaddw_high_s16(sums[FIRST + 1], products);
    }
}

/// Adds the products of four taps.
#[inline(always)]
unsafe fn add_dots<const HALVES: usize>(sums: &mut [int32x4_t; 4], x: [int8x16_t; 4], w: &[int8x16_t; 4]) {
    for quarter in 0..2 * HALVES {
        // SAFETY: the caller's: the core has dot products.
        sums[quarter] = unsafe { sdot(sums[quarter], x[quarter], w[quarter]) };
    }
}

/// The weights of a group, those of four lanes in a register.
#[inline(always)]
fn quarters(weights: &Weights) -> [int8x16_t; 4] {
    // SAFETY: there are 64 of them.
    [0, 1, 2, 3].map(|quarter| unsafe { vld1q_s8(weights.as_ptr().add(LANES * quarter)) })
}

/// Four pixels, the bytes of each lane side by side.
#[inline(always)]
fn interleaved<const HALVES: usize>([a, b, c, d]: [int8x16_t; 4]) -> [int8x16_t; 4] {
    // SAFETY: every core of this architecture has these instructions.
    unsafe {
        let (ab, cd) = (vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip1q_s8(c, d)));
        let low = [vzip1q_s16(ab, cd), vzip2q_s16(ab, cd)].map(|x| vreinterpretq_s8_s16(x));
        if HALVES == 1 {
            return [low[0], low[1], low[0], low[1]];
        }
        let (ab, cd) = (vreinterpretq_s16_s8(vzip2q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(c, d)));
        let high = [vzip1q_s16(ab, cd), vzip2q_s16(ab, cd)].map(|x| vreinterpretq_s8_s16(x));
        [low[0], low[1], high[0], high[1]]
    }
}
