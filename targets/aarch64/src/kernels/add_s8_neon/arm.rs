//! Rows in NEON instructions, 16 elements at a time; the rest is left to the plain loop.

use core::arch::aarch64::*;

use super::{AddArgs, LEFT_SHIFT, plain};
use crate::kernels::stage::arm::{Narrow, rescaled};
use crate::kernels::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE, Stage};

/// One row; an operand that is not given lies where the sum goes, one that is given is as long.
pub fn row(args: &AddArgs, larger: Option<&[i8]>, smaller: Option<&[i8]>, to: &mut [i8]) {
    match args.rounding {
        SINGLE => rounded::<SINGLE, SINGLE>(args, larger, smaller, to),
        DOUBLE => rounded::<DOUBLE, DOUBLE>(args, larger, smaller, to),
        _ => rounded::<DOUBLE, DOUBLE_CLAMPED>(args, larger, smaller, to),
    }
}

/// `FIRST` is the rounding of the smaller operand, `ROUNDING` that of the sum.
fn rounded<const FIRST: u8, const ROUNDING: u8>(
    args: &AddArgs,
    larger: Option<&[i8]>,
    smaller: Option<&[i8]>,
    to: &mut [i8],
) {
    let whole = to.len() / 16 * 16;
    let pointer = to.as_mut_ptr();
    let of = |row: Option<&[i8]>| row.map_or(pointer.cast_const(), <[i8]>::as_ptr);
    let (from_larger, from_smaller) = (of(larger), of(smaller));
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding };
    let narrow = Narrow::new(&stage);
    // SAFETY: all operands have `whole` elements; each is read before the sum is written in its place.
    unsafe {
        let zero_larger = vdup_n_s8(args.zero_larger as i8);
        let zero_smaller = vdup_n_s8(args.zero_smaller as i8);
        // What does not fit 16 bits is left to the widening instructions.
        let smaller_bits = vdupq_n_s16((LEFT_SHIFT - WIDENING + args.bits) as i16);
        let multiplier_smaller = vdupq_n_s32(args.multiplier_smaller);
        let shift_smaller = vdupq_n_s32(args.shift_smaller);
        let (multiplier, shift) = (vdupq_n_s32(args.multiplier), vdupq_n_s32(args.shift));
        let unit = vdupq_n_s16(1 << 14);
        let mut at = 0;
        while at < whole {
            let (a, b) = (vld1q_s8(from_larger.add(at)), vld1q_s8(from_smaller.add(at)));
            let a = [vsubl_s8(vget_low_s8(a), zero_larger), vsubl_s8(vget_high_s8(a), zero_larger)];
            let b = [vsubl_s8(vget_low_s8(b), zero_smaller), vsubl_s8(vget_high_s8(b), zero_smaller)];
            let a = a.map(|a| vshlq_n_s16::<{ LEFT_SHIFT - 1 - 14 }>(a));
            let b = b.map(|b| vshlq_s16(b, smaller_bits));
            let smaller = |b| rescaled::<FIRST>(b, multiplier_smaller, shift_smaller);
            let sum = |sum| rescaled::<ROUNDING>(sum, multiplier, shift);
            let half = |a: int16x8_t, b: int16x8_t| {
                let low = smaller(vshll_n_s16::<WIDENING>(vget_low_s16(b)));
                let high = smaller(vshll_high_n_s16::<WIDENING>(b));
                let low = vmlal_s16(low, vget_low_s16(a), vget_low_s16(unit));
                [sum(low), sum(vmlal_high_s16(high, a, unit))]
            };
            let ([p, q], [r, s]) = (half(a[0], b[0]), half(a[1], b[1]));
            vst1q_s8(pointer.add(at), narrow.sixteen([p, q, r, s]));
            at += 16;
        }
    }
    plain(args, larger, smaller, to, whole);
}

/// Bits by which the smaller operand is shifted as it is widened to 32 bits.
const WIDENING: i32 = 15;
