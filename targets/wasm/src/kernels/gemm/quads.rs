//! Products of four inputs at a time, by a dot product of weights with numbers from 0 to 255, which inputs plus 128 are.
//!
//! `sum(w * x) = sum(w * (x + 128)) - 128 * sum(w)`: the last term belongs to a channel, and is in what its sums start with
//! ([`Four::raised`]). A group is `[fours of inputs][4 positions][4 inputs]`, half of what widened pairs need. Two pairs of
//! weights, zipped, are fours.
//!
//! Feature `dot`: one instruction makes four products and adds them, for all weights. Else one makes the sums of two
//! products, limited to 16 bits, and a second one adds these to each other: for weights of which no two neighbours can leave
//! 16 bits ([`fits`]). Where not even four can ([`together`]), which is nearly always where weights have seven bits, sums of
//! two are added before: five instructions for 32 products instead of six.
//!
//! [`Four::raised`]: super::super::stage::Four::raised

use super::{Block, GROUP, Pair, Pairs, pairs};
use crate::vector::{I8x16, I16x8, I32x4};

/// Four inputs of each position of a group.
type Quads = [i8; 16];

/// Fours of inputs that are put side by side at a time.
const STEP: usize = 4;

/// Puts the inputs of four positions, which have as many, side by side.
#[inline(always)]
pub fn beside(x: [&[i8]; GROUP], group: &mut [Pairs]) {
    let Ok(group) = bytemuck::try_cast_slice_mut::<Pairs, Quads>(group) else { return };
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = x.map(<[i8]>::as_chunks::<16>);
    let put = |x: [I8x16; GROUP], to: &mut [Quads; STEP]| {
        let rows = I8x16::transposed(x);
        rows.into_iter().zip(to).for_each(|(row, to)| row.raised().store(to));
    };
    let (steps, _) = group.as_chunks_mut::<STEP>();
    let mut steps = steps.iter_mut();
    for ((((a, b), c), d), to) in a.iter().zip(b).zip(c).zip(d).zip(&mut steps) {
        put([a, b, c, d].map(I8x16::load), to);
    }
    if let (false, Some(to)) = (a_rest.is_empty(), steps.next()) {
        put([a_rest, b_rest, c_rest, d_rest].map(I8x16::filled_up), to);
    }
}

/// The sums of a group with one block; `ones` are [`I16x8::ones`].
#[inline(always)]
pub fn four(
    group: &[Pairs],
    weights: &[Pair],
    [first, last]: &Block,
    together: &[u32],
    ones: I16x8,
) -> [[I32x4; 2]; GROUP] {
    let mut sums = [[first.raised(), last.raised()]; GROUP];
    let (weights, odd) = weights.as_chunks::<2>();
    let group: &[Quads] = bytemuck::must_cast_slice(group);
    let (eights, _) = if cfg!(feature = "dot") { Default::default() } else { weights.as_chunks::<2>() };
    for ((eights, x), mut together) in
        eights.chunks(WORD).zip(group.chunks(2 * WORD)).zip(together.iter().copied())
    {
        let (x, _) = x.as_chunks::<2>();
        for ([w, v], [x, y]) in eights.iter().zip(x) {
            let (w, v) = (zipped(w), zipped(v));
            if together & 1 != 0 {
                each(&mut sums, x, y, |x, y, sums, half| {
                    w[half].plus_narrow_dots([x, y], v[half], sums, ones)
                });
            } else {
                each(&mut sums, x, y, |x, y, sums, half| {
                    v[half].plus_narrow_dot(y, w[half].plus_narrow_dot(x, sums, ones), ones)
                });
            }
            together >>= 1;
        }
    }
    let done = 2 * eights.len();
    let odd = odd.iter().map(|pair| [*pair, [[0; 8]; 2]]);
    let rest = weights.get(done..).unwrap_or_default().iter().copied().chain(odd);
    for (w, x) in rest.zip(group.get(done..).unwrap_or_default()) {
        let w = zipped(&w);
        each(&mut sums, x, x, |x, _, sums, half| {
            if cfg!(feature = "dot") {
                w[half].plus_dot(x, sums)
            } else {
                w[half].plus_narrow_dot(x, sums, ones)
            }
        });
    }
    sums
}

/// Eights of inputs whose sums' ways are told by a word.
const WORD: usize = 32;

/// Words for all inputs.
pub const fn words(inputs: usize) -> usize {
    (pairs(inputs) / 4).div_ceil(WORD)
}

/// The new sums of each position: of its inputs, four channels (half 0) or four more, and their sums.
#[inline(always)]
fn each(
    sums: &mut [[I32x4; 2]; GROUP],
    x: &Quads,
    y: &Quads,
    f: impl Fn(I8x16, I8x16, I32x4, usize) -> I32x4,
) {
    let (x, y): (&[[i8; 4]; GROUP], &[[i8; 4]; GROUP]) =
        (bytemuck::must_cast_ref(x), bytemuck::must_cast_ref(y));
    for (([low, high], x), y) in sums.iter_mut().zip(x).zip(y) {
        let (x, y) = (I8x16::repeated(x), I8x16::repeated(y));
        (*low, *high) = (f(x, y, *low, 0), f(x, y, *high, 1));
    }
}

#[inline(always)]
fn zipped([even, odd]: &[Pair; 2]) -> [I8x16; 2] {
    let [even, odd] = [even, odd].map(|pair| I8x16::load(bytemuck::must_cast_ref(pair)));
    even.zipped_pairs(odd)
}

/// Whether weights `[channels][inputs]` are small enough: sums of two products with numbers from 0 to 255 stay within 16 bits.
#[cfg(feature = "pack")]
pub fn fits(weights: &[i8], inputs: usize) -> bool {
    weights.chunks_exact(inputs.max(1)).all(|channel| channel.chunks(2).all(within))
}

#[cfg(feature = "pack")]
fn within(weights: &[i8]) -> bool {
    let sum = |sign: i32| -> i32 { weights.iter().map(|&w| (sign * i32::from(w)).max(0)).sum() };
    255 * sum(1) <= i32::from(i16::MAX) && 255 * sum(-1) <= -i32::from(i16::MIN)
}

/// For each block of eight channels, [`words`] of bits, one for each eight inputs: whether in all channels the sums of the
/// first and third two products, and those of the second and fourth, stay within 16 bits.
#[cfg(feature = "pack")]
pub fn together(weights: &[i8], inputs: usize) -> alloc::vec::Vec<u32> {
    let mut words = alloc::vec::Vec::new();
    for channels in weights.chunks(8 * inputs.max(1)) {
        let all = |eight: usize| {
            channels.chunks_exact(inputs.max(1)).all(|channel| {
                let at = |k: usize| channel.get(8 * eight + k).copied().unwrap_or(0);
                [0, 2].into_iter().all(|k| within(&[at(k), at(k + 1), at(k + 4), at(k + 5)]))
            })
        };
        let bit = |word: usize, bit: usize| u32::from(all(WORD * word + bit)) << bit;
        words.extend((0..self::words(inputs)).map(|word| (0..WORD).fold(0, |bits, i| bits | bit(word, i))));
    }
    words
}

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::super::{Inputs, memory, weights, widen};
    use super::*;
    use crate::kernels::stage::Four;
    use alloc::vec;
    use alloc::vec::Vec;
    use bytemuck::Zeroable;

    /// Codes of all sizes.
    fn codes(len: usize, seed: usize) -> Vec<i8> {
        (0..len).map(|i| ((i * 89 + seed * 57) * 31 % 256) as u8 as i8).collect()
    }

    /// What eight channels with these weights start with.
    fn block(weights: &[i8], inputs: usize) -> Block {
        let mut block = [Four::zeroed(); 2];
        for (c, weights) in weights.chunks(inputs).enumerate() {
            let start = 5 - 2 * c as i32;
            let sum: i32 = weights.iter().map(|&w| i32::from(w)).sum();
            block[c / 4].start[c % 4] = start;
            block[c / 4].raised[c % 4] = start - 128 * sum;
        }
        block
    }

    #[test]
    fn fours_give_the_sums_of_pairs() {
        for inputs in (1..=40).chain([255, 256, 257]) {
            // Without `dot`, the largest weights that fit: 64 beside 64, of either sign.
            let narrowed = |w: i8| if cfg!(feature = "dot") { w } else { (w / 2).clamp(-64, 64) };
            let of_channels: Vec<i8> = codes(8 * inputs, 1).into_iter().map(narrowed).collect();
            assert!(cfg!(feature = "dot") || fits(&of_channels, inputs));
            let block = block(&of_channels, inputs);
            let weights = weights(&of_channels, 8, inputs);
            let weights: &[Pair] = bytemuck::cast_slice(&weights);
            let x: Vec<_> = (0..GROUP).map(|p| codes(inputs, 2 + p)).collect();
            let x = [0, 1, 2, 3].map(|p: usize| &x[p][..]);
            let [mut fours, mut pairs] = [Inputs::Quads, Inputs::Pairs].map(|_| vec![[0; 8]; memory(inputs)]);
            widen(x, Inputs::Quads, &mut fours);
            widen(x, Inputs::Pairs, &mut pairs);
            let expected = super::super::four(&pairs, weights, &block);
            let together = together(&of_channels, inputs);
            let found = four(&fours, weights, &block, &together, I16x8::ones());
            assert_eq!(found, expected, "{inputs} inputs");
        }
    }

    #[test]
    fn eights_are_told_apart_by_their_largest_sums() {
        let mut weights = [0i8; 8 * 24];
        // In the second eight the first and third two of one channel; in the third the first and second two.
        weights[5 * 24 + 8..][..8].copy_from_slice(&[64, 64, 0, 0, 1, 0, 0, 0]);
        weights[6 * 24 + 16..][..8].copy_from_slice(&[64, 64, 64, 64, 0, -1, 0, -1]);
        assert_eq!(together(&weights, 24)[0] & 7, 0b101);
        assert_eq!((together(&weights[..24], 24), words(24)), (vec![!0], 1));
        assert_eq!([0, 6, 7, 256, 263].map(words), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn weights_fit_by_neighbours_of_a_channel() {
        assert!(fits(&[64, 64, -64, -64, 127, -128, -128, 0], 4));
        assert!(!fits(&[64, 65], 2) && !fits(&[-65, -64], 2));
        assert!(fits(&[127, 127], 1) && fits(&[0, 127, 127], 3) && !fits(&[0, 0, 127, 2], 4));
    }
}
