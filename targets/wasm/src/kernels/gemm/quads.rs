//! Products of four inputs at a time, by a dot product of codes with numbers from 0 to 255, which weights plus 128 are.
//!
//! `sum(x * w) = sum(x * (w + 128)) - 128 * sum(x)`: the last term is one number for each position, and stands behind its
//! inputs. A group is `[fours of inputs][4 positions][4 inputs]`, half of what widened pairs need. Two pairs of weights, zipped,
//! are fours.

use super::{Block, GROUP, Pair, Pairs};
use crate::vector::{I8x16, I32x4};

/// Four inputs of each position of a group.
type Quads = [i8; 16];

/// Fours of inputs that are put side by side at a time.
const STEP: usize = 4;

/// Puts the inputs of four positions, which have as many, side by side, and behind them what their sums are too large by.
#[inline(always)]
pub fn beside(x: [&[i8]; GROUP], group: &mut [Pairs]) {
    let Ok(group) = bytemuck::try_cast_slice_mut::<Pairs, Quads>(group) else { return };
    let quads = x.map(<[i8]>::len)[0].div_ceil(4);
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = x.map(<[i8]>::as_chunks::<16>);
    let mut sums = I32x4::splat(0);
    let mut put = |x: [&[i8; 16]; GROUP], to: &mut [Quads; STEP]| {
        let rows = I8x16::transposed(x.map(I8x16::load));
        rows.into_iter().zip(to).for_each(|(row, to)| {
            sums = row.plus_dot(I8x16::splat(1), sums);
            row.store(to);
        });
    };
    let (steps, _) = group.as_chunks_mut::<STEP>();
    let mut steps = steps.iter_mut();
    for ((((a, b), c), d), to) in a.iter().zip(b).zip(c).zip(d).zip(&mut steps) {
        put([a, b, c, d], to);
    }
    if let (false, Some(to)) = (a_rest.is_empty(), steps.next()) {
        let [a, b, c, d] = [a_rest, b_rest, c_rest, d_rest].map(filled_up);
        put([&a, &b, &c, &d], to);
    }
    // A group has room for pairs: more than for fours by at least this one.
    if let Some(to) = group.get_mut(quads) {
        let mut numbers = [0; GROUP];
        sums.shifted_left(7).store(&mut numbers);
        *to = bytemuck::cast(numbers);
    }
}

/// The sums of a group with one block.
#[inline(always)]
pub fn four(
    group: &[Pairs],
    weights: &[Pair],
    [first, last]: &Block,
    inputs: usize,
) -> Option<[[I32x4; 2]; GROUP]> {
    let group: &[Quads] = bytemuck::try_cast_slice(group).ok()?;
    let (quads, behind) = group.split_at_checked(inputs.div_ceil(4))?;
    let excess: [i32; GROUP] = bytemuck::cast(*behind.first()?);
    let start = [first.start(), last.start()];
    let [mut s0, mut s1, mut s2, mut s3] =
        excess.map(|excess| start.map(|start| start.minus(I32x4::splat(excess))));
    let mut add = |x: &Quads, pairs: [&Pair; 2]| {
        let [even, odd] = pairs.map(|pair| I8x16::load(bytemuck::cast_ref(pair)).raised());
        let w = even.zipped_pairs(odd);
        let [x0, x1, x2, x3]: &[[i8; 4]; GROUP] = bytemuck::cast_ref(x);
        plus(&mut s0, x0, w);
        plus(&mut s1, x1, w);
        plus(&mut s2, x2, w);
        plus(&mut s3, x3, w);
    };
    let (fours, odd) = weights.as_chunks::<2>();
    let mut quads = quads.iter();
    for ([even, odd], x) in fours.iter().zip(&mut quads) {
        add(x, [even, odd]);
    }
    if let (Some(x), [pair]) = (quads.next(), odd) {
        // Inputs beyond the pair are zeros, whatever they are multiplied with.
        add(x, [pair, pair]);
    }
    Some([s0, s1, s2, s3])
}

#[inline(always)]
fn plus([low, high]: &mut [I32x4; 2], x: &[i8; 4], w: [I8x16; 2]) {
    let x = I8x16::repeated(x);
    *low = x.plus_dot(w[0], *low);
    *high = x.plus_dot(w[1], *high);
}

/// Less than sixteen codes, and zeros.
#[inline(always)]
fn filled_up(codes: &[i8]) -> Quads {
    let mut all = [0; 16];
    all.iter_mut().zip(codes).for_each(|(to, from)| *to = *from);
    all
}

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::super::{memory, pairs, store, weights};
    use super::*;
    use crate::kernels::stage::Four;
    use alloc::vec;
    use alloc::vec::Vec;

    /// Codes of all sizes.
    fn codes(len: usize, seed: usize) -> Vec<i8> {
        (0..len).map(|i| ((i * 89 + seed * 57) * 31 % 256) as u8 as i8).collect()
    }

    #[test]
    fn fours_give_the_sums_of_pairs() {
        let block = [Four { start: [1, -2, 3, -4], ..bytemuck::Zeroable::zeroed() }; 2];
        for inputs in (1..=40).chain([255, 256, 257]) {
            let weights = weights(&codes(8 * inputs, 1), 8, inputs);
            let weights: &[Pair] = bytemuck::cast_slice(&weights);
            let x: Vec<_> = (0..GROUP).map(|p| codes(inputs, 2 + p)).collect();
            let x = [0, 1, 2, 3].map(|p: usize| &x[p][..]);
            let mut group = vec![[0; 8]; memory(inputs)];
            beside(x, &mut group);
            let found = four(&group, weights, &block, inputs).unwrap();
            assert_eq!(weights.len(), pairs(inputs));
            let mut widened = vec![[0; 8]; memory(inputs)];
            for (step, to) in widened.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let eight = x
                    .map(|x| super::super::filled_up(&x[(8 * step).min(inputs)..(8 * step + 8).min(inputs)]));
                store(eight.each_ref(), to);
            }
            assert_eq!(found, super::super::four(&widened, weights, &block), "{inputs} inputs");
        }
    }
}
