//! A strip of positions: unpacked and turned around, then multiplied with all output channels.
//!
//! `W` words of an input channel lie side by side, each with the doubled codes of two neighbouring positions. Where a row
//! ends before the strip does, its last position stands in for those that are missing, and their sums are dropped.

#[cfg(mote_dsp)]
mod arm;

use super::Channel;

/// Everything of a layer but its rows.
pub struct Layer<'a> {
    pub inputs: usize,
    pub outputs: usize,
    /// Along the row.
    pub stride: usize,
    pub zero_point: i32,
    /// None leads beyond the last input channel, and there are as many as the channels tell.
    pub entries: &'a [u8],
    pub channels: &'a [Channel],
}

/// Output columns.
#[derive(Clone, Copy)]
pub struct Strip {
    pub first: usize,
    /// At least one.
    pub positions: usize,
}

/// The loops over output channels. `to` starts with the first of `positions` output positions, and has all of the last
/// one.
pub trait Multiply<const ROUNDING: u8> {
    /// Four pairs of positions, one output channel after the other.
    fn eight(layer: &Layer<'_>, x: &[[u32; 4]], to: &mut [i8], positions: usize);
    /// Two pairs.
    fn four(layer: &Layer<'_>, x: &[[u32; 2]], to: &mut [i8], positions: usize);
    /// One pair, four output channels at a time.
    fn two_by_four(layer: &Layer<'_>, x: &[[u32; 1]], to: &mut [i8], positions: usize);
}

impl Layer<'_> {
    /// Computes some columns of a row, and tells how many. `W` is 4 or 2 where entries have one weight each, and 1 where
    /// they have those of four output channels.
    #[inline(always)]
    pub fn compute<const W: usize, const ROUNDING: u8>(
        &self,
        words: &mut [u32],
        from: &[u8],
        to: &mut [i8],
        strip: Strip,
    ) -> Option<usize>
    where
        (): Multiply<ROUNDING>,
    {
        let (x, to) = self.begin::<W>(words, from, to, strip)?;
        let (x, positions) = (x.as_flattened(), strip.positions);
        match W {
            4 => <()>::eight(self, x.as_chunks().0, to, positions),
            2 => <()>::four(self, x.as_chunks().0, to, positions),
            _ => <()>::two_by_four(self, x.as_chunks().0, to, positions),
        }
        Some(positions)
    }

    /// Unpacks a strip; its words, and its outputs.
    #[inline(always)]
    fn begin<'w, 't, const W: usize>(
        &self,
        words: &'w mut [u32],
        from: &[u8],
        to: &'t mut [i8],
        Strip { first, positions }: Strip,
    ) -> Option<(&'w [[u32; W]], &'t mut [i8])> {
        let x = words.as_chunks_mut::<W>().0.get_mut(..self.inputs)?;
        for pair in 0..W {
            let pixel = |p: usize| {
                let at = (first + p.min(positions - 1)) * self.stride * self.inputs;
                from.get(at..at + self.inputs)
            };
            turn(x, pair, pixel(2 * pair)?, pixel(2 * pair + 1)?);
        }
        let to = to.get_mut(first * self.outputs..(first + positions) * self.outputs)?;
        let complete =
            positions > 0 && positions <= 2 * W && self.channels.len() == self.outputs && self.outputs > 0;
        complete.then_some((x, to))
    }
}

/// `x[c][pair]` becomes twice `a[c]` and twice `b[c]`.
#[inline(never)]
fn turn<const W: usize>(x: &mut [[u32; W]], pair: usize, a: &[u8], b: &[u8]) {
    #[cfg(mote_dsp)]
    let (x, a, b) = {
        let ((fours, rest), (a, a_rest), (b, b_rest)) = (x.as_chunks_mut(), a.as_chunks(), b.as_chunks());
        arm::turn(fours, pair, a, b);
        (rest, a_rest, b_rest)
    };
    let twice = |code: u8| (2 * i32::from(code as i8)) as u32 & 0xffff;
    for ((words, &a), &b) in x.iter_mut().zip(a).zip(b) {
        if let Some(word) = words.get_mut(pair) {
            *word = twice(a) | twice(b) << 16;
        }
    }
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::{Layer, Multiply};
    use crate::kernels::stage::code;

    impl<const ROUNDING: u8> Multiply<ROUNDING> for () {
        fn eight(layer: &Layer<'_>, x: &[[u32; 4]], to: &mut [i8], positions: usize) {
            multiply::<1, 4, ROUNDING>(layer, x, to, positions);
        }

        fn four(layer: &Layer<'_>, x: &[[u32; 2]], to: &mut [i8], positions: usize) {
            multiply::<1, 2, ROUNDING>(layer, x, to, positions);
        }

        fn two_by_four(layer: &Layer<'_>, x: &[[u32; 1]], to: &mut [i8], positions: usize) {
            multiply::<4, 1, ROUNDING>(layer, x, to, positions);
        }
    }

    fn multiply<const B: usize, const W: usize, const ROUNDING: u8>(
        layer: &Layer<'_>,
        x: &[[u32; W]],
        to: &mut [i8],
        positions: usize,
    ) {
        let mut entries = layer.entries.chunks_exact(B + 1);
        for (block, channels) in layer.channels.as_chunks::<B>().0.iter().enumerate() {
            let mut sums = channels.map(|[start, ..]| [[start; 2]; W]);
            let mut at = 0;
            for entry in entries.by_ref().take(channels[0][1] as usize) {
                at += usize::from(entry[0]);
                for (sums, &weight) in sums.iter_mut().zip(&entry[1..]) {
                    for (sums, &word) in sums.iter_mut().zip(&x[at]) {
                        for (sum, x) in sums.iter_mut().zip([word as i16, (word >> 16) as i16]) {
                            *sum += i32::from(x) * i32::from(weight as i8);
                        }
                    }
                }
            }
            for (c, (sums, &[_, _, multiplier, scale])) in sums.iter().zip(channels).enumerate() {
                for (p, &sum) in sums.as_flattened().iter().enumerate().take(positions) {
                    to[p * layer.outputs + B * block + c] =
                        code::<ROUNDING>(sum, [multiplier, scale], layer.zero_point);
                }
            }
        }
    }
}
