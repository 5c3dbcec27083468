//! The loops in NEON instructions. The functions that take pointers trust them; [`codes`] is called with lengths that
//! `Layer::columns` has compared.

use core::arch::aarch64::*;

use super::{GROUP, LANES, Layer, Scales, Weights, blocks, first, lanes};
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

/// All blocks of all columns.
#[inline(never)]
unsafe fn all<const ROUNDING: u8>(layer: &Layer<'_>, slots: &[&[i8]], advance: usize, to: &mut [i8]) {
    let channels = layer.channels;
    let mut count = to.len() / channels;
    let groups = slots.len() / GROUP;
    let blocks = layer.weights.chunks_exact(groups).zip(layer.scales).take(blocks(channels));
    let narrow = Narrow::new(&layer.stage);
    let level = Level::of_this_core();
    for (block, (weights, scales)) in blocks.enumerate() {
        let from = first(channels, block);
        let mut strip =
            Strip { slots, weights, scales, narrow: &narrow, from, advance, step: channels, count };
        let mut to = to.as_mut_ptr().wrapping_add(from);
        // SAFETY: the caller's; two pixels of eight channels are as one of 16.
        unsafe {
            if lanes(channels) == LANES {
                strip.codes::<ROUNDING, 2>(layer, level, to);
                continue;
            }
            if channels == LANES / 2 && advance == channels && count > 1 {
                strip.count = count / 2;
                strip.advance = 2 * advance;
                strip.step = 2 * channels;
                strip.codes::<ROUNDING, 2>(layer, level, to);
                strip.from += strip.count * strip.advance;
                to = to.wrapping_add(strip.count * strip.step);
                count %= 2;
                strip.count = count;
                strip.step = channels;
            }
            if count > 0 {
                strip.codes::<ROUNDING, 1>(layer, level, to);
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
    unsafe fn codes<const ROUNDING: u8, const HALVES: usize>(
        &self,
        layer: &Layer<'_>,
        level: Level,
        to: *mut i8,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let three = layer.kernel.by_columns();
            if level >= Level::DotProduct && HALVES == 2 {
                if layer.is_rolling() && self.count > 1 {
                    match self.advance / layer.channels {
                        1 => return self.rolling::<ROUNDING, 1>(layer.channels, to),
                        2 => return self.rolling::<ROUNDING, 2>(layer.channels, to),
                        _ => {}
                    }
                }
                return self.dots::<ROUNDING>(to);
            }
            if three && layer.narrow {
                return self.three::<ROUNDING, HALVES>(to);
            }
            self.any::<ROUNDING, HALVES>(layer.narrow, to);
        }
    }

    /// The pixel of a slot.
    #[inline(always)]
    fn pixel(&self, slot: usize) -> *const i8 {
        self.slots[slot].as_ptr().wrapping_add(self.from)
    }

    /// Writes the codes of a column.
    #[inline(always)]
    unsafe fn store<const ROUNDING: u8, const HALVES: usize>(&self, sums: [int32x4_t; 4], to: *mut i8) {
        let sums = [0, 1, 2, 3].map(|quarter| (sums[quarter], quarter));
        let [a, b, c, d] = sums;
        let code = |(sums, quarter)| scaled::<ROUNDING, LANES>(sums, self.scales, quarter);
        // SAFETY: the caller's.
        unsafe {
            if HALVES == 2 {
                vst1q_s8(to, self.narrow.sixteen([code(a), code(b), code(c), code(d)]));
            } else {
                vst1_s8(to, self.narrow.eight([code(a), code(b)]));
            }
        }
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
                self.store::<ROUNDING, HALVES>(sums, to);
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
                self.store::<ROUNDING, HALVES>(sums, to);
                at += self.advance;
                to = to.add(self.step);
            }
        }
    }

    /// Any kernel, with dot products.
    #[inline(never)]
    unsafe fn dots<const ROUNDING: u8>(&self, to: *mut i8) {
        let (mut at, mut to) = (0, to);
        for _ in 0..self.count {
            // SAFETY: the caller's.
            unsafe {
                let mut sums = [vdupq_n_s32(0); 4];
                for (slots, weights) in self.slots.as_chunks::<GROUP>().0.iter().zip(self.weights) {
                    let x = slots.map(|slot| vld1q_s8(slot.as_ptr().add(self.from + at)));
                    add_dots(&mut sums, interleaved(x), &quarters(weights));
                }
                self.store::<ROUNDING, 2>(sums, to);
                at += self.advance;
                to = to.add(self.step);
            }
        }
    }

    /// A kernel of 3 x 3 over several columns, with dot products: what is interleaved of a column of pixels serves all
    /// output columns that read it, which are `STRIDE` apart.
    #[inline(never)]
    unsafe fn rolling<const ROUNDING: u8, const STRIDE: usize>(&self, pixel: usize, to: *mut i8) {
        // SAFETY: the caller's: between the first and the last slot's pixel all pixels of a row are there.
        unsafe {
            let [v, w, x] = [0, 1, 2].map(|column| quarters(&self.weights[column]));
            let rows = [0, 1, 2].map(|row| self.pixel(row));
            let mut at = 0;
            let mut next = || {
                let x = rows.map(|row| vld1q_s8(row.wrapping_add(at)));
                at += pixel;
                interleaved([x[0], x[1], x[2], x[2]])
            };
            let mut to = to;
            let mut code = |a: &[int8x16_t; 4], b: &[int8x16_t; 4], c: &[int8x16_t; 4]| {
                let mut sums = [vdupq_n_s32(0); 4];
                add_dots(&mut sums, *a, &v);
                add_dots(&mut sums, *b, &w);
                add_dots(&mut sums, *c, &x);
                self.store::<ROUNDING, 2>(sums, to);
                to = to.wrapping_add(self.step);
            };
            let mut left = self.count;
            let (mut a, mut b) = (next(), next());
            if STRIDE == 1 {
                loop {
                    let c = next();
                    code(&a, &b, &c);
                    if left == 1 {
                        return;
                    }
                    a = next();
                    code(&b, &c, &a);
                    if left == 2 {
                        return;
                    }
                    b = next();
                    code(&c, &a, &b);
                    left -= 3;
                    if left == 0 {
                        return;
                    }
                }
            }
            loop {
                let c = next();
                code(&a, &b, &c);
                if left == 1 {
                    return;
                }
                b = next();
                a = next();
                code(&c, &b, &a);
                left -= 2;
                if left == 0 {
                    return;
                }
                b = next();
            }
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
unsafe fn add_dots(sums: &mut [int32x4_t; 4], x: [int8x16_t; 4], w: &[int8x16_t; 4]) {
    for quarter in 0..4 {
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
fn interleaved([a, b, c, d]: [int8x16_t; 4]) -> [int8x16_t; 4] {
    // SAFETY: every core of this architecture has these instructions.
    unsafe {
        let (ab, cd) = ([vzip1q_s8(a, b), vzip2q_s8(a, b)], [vzip1q_s8(c, d), vzip2q_s8(c, d)]);
        let (ab, cd) = (ab.map(|x| vreinterpretq_s16_s8(x)), cd.map(|x| vreinterpretq_s16_s8(x)));
        [
            vzip1q_s16(ab[0], cd[0]),
            vzip2q_s16(ab[0], cd[0]),
            vzip1q_s16(ab[1], cd[1]),
            vzip2q_s16(ab[1], cd[1]),
        ]
        .map(|x| vreinterpretq_s8_s16(x))
    }
}
