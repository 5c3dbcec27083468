//! The loops in NEON instructions. The functions that take pointers trust them; [`numbers`] is called with lengths that
//! `Layer::positions` has compared.

// An index names registers of several arrays.
#![allow(clippy::needless_range_loop)]

use core::arch::aarch64::*;

use super::{CHANNELS, Layer};
use crate::kernels::instructions::opaque;

/// Fills `to` with the outputs of positions.
#[inline(never)]
pub fn numbers(layer: &Layer<'_>, x: &[f32], distance: usize, to: &mut [f32]) {
    let outputs = layer.bias.len();
    let mut left = to.len() / outputs;
    let (mut x, mut to) = (x.as_ptr(), to.as_mut_ptr());
    macro_rules! tiles {
        ($($p:literal),*) => {$(
            while left >= $p {
                // SAFETY: the caller has compared lengths; `left` positions are there.
                unsafe { tile::<$p>(layer, x, distance, to) };
                x = x.wrapping_add($p * distance);
                to = to.wrapping_add($p * outputs);
                left -= $p;
            }
        )*};
    }
    tiles!(8, 4, 2, 1);
}

/// `P` positions, all channels.
#[inline(never)]
unsafe fn tile<const P: usize>(layer: &Layer<'_>, x: *const f32, distance: usize, to: *mut f32) {
    let outputs = layer.bias.len();
    let mut w = layer.weights.as_ptr().cast::<f32>();
    let mut to = to;
    for bias in layer.bias.chunks(CHANNELS) {
        let mut start = [0.0; CHANNELS];
        start.iter_mut().zip(bias).for_each(|(start, bias)| *start = *bias);
        // SAFETY: the caller's: as many outputs of each position as there are numbers in `bias` belong to its slice.
        unsafe {
            let mut sums = [[vld1q_f32(start.as_ptr()), vld1q_f32(start.as_ptr().add(4))]; P];
            let mut inputs = [x; P];
            for p in 0..P {
                inputs[p] = opaque(x.wrapping_add(p * distance));
            }
            for _ in 0..layer.inputs / 4 {
                let mut four = [vdupq_n_f32(0.0); P];
                for p in 0..P {
                    four[p] = vld1q_f32(inputs[p]);
                    inputs[p] = inputs[p].add(4);
                }
                macro_rules! lanes {
                    ($($lane:literal),*) => {$(
                        let (a, b) = (vld1q_f32(w.add(8 * $lane)), vld1q_f32(w.add(8 * $lane + 4)));
                        for p in 0..P {
                            sums[p][0] = vfmaq_laneq_f32::<$lane>(sums[p][0], a, four[p]);
                            sums[p][1] = vfmaq_laneq_f32::<$lane>(sums[p][1], b, four[p]);
                        }
                    )*};
                }
                lanes!(0, 1, 2, 3);
                w = w.add(4 * CHANNELS);
            }
            for _ in 0..layer.inputs % 4 {
                let (a, b) = (vld1q_f32(w), vld1q_f32(w.add(4)));
                for p in 0..P {
                    let one = vld1q_dup_f32(inputs[p]);
                    inputs[p] = inputs[p].add(1);
                    sums[p] = [vfmaq_f32(sums[p][0], a, one), vfmaq_f32(sums[p][1], b, one)];
                }
                w = w.add(CHANNELS);
            }
            // A number that is none becomes `min`.
            let (min, max) = (vdupq_n_f32(layer.min), vdupq_n_f32(layer.max));
            for p in 0..P {
                let limited = sums[p].map(|sums| vminnmq_f32(vmaxnmq_f32(sums, min), max));
                let to = to.wrapping_add(p * outputs);
                if bias.len() == CHANNELS {
                    vst1q_f32(to, limited[0]);
                    vst1q_f32(to.add(4), limited[1]);
                } else {
                    store_some(to, limited, bias.len());
                }
            }
        }
        to = to.wrapping_add(CHANNELS);
    }
}

/// The first `count` of eight numbers.
#[cold]
#[inline(never)]
unsafe fn store_some(to: *mut f32, [a, b]: [float32x4_t; 2], count: usize) {
    let mut all = [0.0; CHANNELS];
    // SAFETY: the caller's.
    unsafe {
        vst1q_f32(all.as_mut_ptr(), a);
        vst1q_f32(all.as_mut_ptr().add(4), b);
        for (i, number) in all.iter().enumerate().take(count) {
            to.add(i).write(*number);
        }
    }
}
