//! What the sparse kernels share: how the non-zero weights of a 1x1 convolution are stored, the check of such a
//! stream, and the strips of positions that it is multiplied with.
//!
//! After Elsen, Dukhan, Gale, Simonyan: Fast Sparse ConvNets (2019), section 3: a strip of positions stays in
//! registers while the weights of an output channel pass by, each with the step to its input channel.
//!
//! **Stream.** Weights are stored in *entries*. An entry holds a block of [`Block::outputs`] output channels times
//! [`Block::inputs`] input channels, `[output][input]`, zeros among them included, and a *step*: how many groups of
//! `inputs` input channels it lies behind the entry before, or, for the first one of its output channels, behind group 0.
//! A step is a byte; a longer way takes entries of zeros in between. The entries of the first `outputs` channels come
//! first, then those of the next, so a kernel reads the stream once, from its start to its end; how many entries belong
//! to which output channels is told beside their bias.
//!
//! Other machines' kernels read the same stream: one that multiplies pairs (Cortex-M DSP, SIMD128's
//! `i32x4_dot_i16x8`) takes blocks of 1x2, one that multiplies fours (Helium, relaxed SIMD, dot products of aarch64)
//! blocks of 1x4, one that loads an input once for several channels blocks of 2x1 and 4x1.
//!
//! **Strips.** A row has its channels side by side. The kernels turn a strip of positions around in their scratch
//! (`[input channel][position]`), so that each input channel is a vector of positions. Rows stay what they are for
//! everyone else.

use crate::engine::Mismatch;
use crate::plan::Fault;

/// The shortest strip that a plan may have room for, and the unit of longer ones.
pub const LEAST: usize = 4;

/// The longest one.
pub const MOST: usize = 64;

/// Whether a plan may have room for so many positions.
pub(crate) const fn is_strip(strip: usize) -> bool {
    strip >= LEAST && strip <= MOST && strip.is_multiple_of(LEAST)
}

/// Weights of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Output channels: 1, 2 or 4.
    pub outputs: usize,
    /// Input channels: 1, 2 or 4.
    pub inputs: usize,
}

impl Block {
    /// All that there are.
    pub const ALL: [Self; 5] =
        [Self::of(1, 1), Self::of(2, 1), Self::of(4, 1), Self::of(1, 2), Self::of(1, 4)];

    pub const fn of(outputs: usize, inputs: usize) -> Self {
        Self { outputs, inputs }
    }

    /// Whether this is one of [`Block::ALL`].
    pub const fn is_known(&self) -> bool {
        matches!((self.outputs, self.inputs), (1 | 2 | 4, 1) | (1, 2 | 4))
    }

    /// Weights.
    pub const fn len(&self) -> usize {
        self.outputs * self.inputs
    }

    /// Never: for lints.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether the entries of one block of output channels stay within `groups` groups of input channels. Each entry is
/// `entry` bytes long and starts with its step.
pub(crate) const fn stays_within(mut entries: &[u8], entry: usize, groups: usize) -> Result<(), Fault> {
    let mut reached = 0;
    while let Some((step, rest)) = entries.split_first() {
        reached += *step as usize;
        entries = match rest.split_at_checked(entry - 1) {
            Some((_, behind)) => behind,
            None => return Err(Fault::Shape),
        };
    }
    if reached < groups { Ok(()) } else { Err(Fault::Range) }
}

/// `strips[c][p] = row[(first + p) * stride][c]`, for all channels and up to `P` positions; zeros for those that the row
/// does not have, and for the channels that fill up the last group.
#[inline(always)]
pub(crate) fn turn<T: Copy, S: Copy + Default, const P: usize>(
    strips: &mut [[S; P]],
    row: &[T],
    channels: usize,
    pixels: core::iter::StepBy<core::ops::Range<usize>>,
    as_stored: impl Fn(T) -> S,
) -> Result<(), Mismatch> {
    let mut sources = [[].as_slice(); P];
    let mut held = 0;
    for (source, pixel) in sources.iter_mut().zip(pixels) {
        *source = row.get(pixel * channels..).and_then(|rest| rest.get(..channels)).ok_or(Mismatch)?;
        held += 1;
    }
    let (filled, rest) = strips.split_at_mut_checked(channels).ok_or(Mismatch)?;
    rest.fill([S::default(); P]);
    if held == P {
        for (c, strip) in filled.iter_mut().enumerate() {
            for (to, source) in strip.iter_mut().zip(&sources) {
                *to = as_stored(*source.get(c).ok_or(Mismatch)?);
            }
        }
        return Ok(());
    }
    for (c, strip) in filled.iter_mut().enumerate() {
        for (to, source) in strip.iter_mut().zip(&sources) {
            *to = source.get(c).map_or(S::default(), |x| as_stored(*x));
        }
    }
    Ok(())
}

#[cfg(feature = "pack")]
pub use host::{Entry, density, entries};

#[cfg(feature = "pack")]
mod host {
    use super::Block;
    use alloc::vec::Vec;

    /// A block of weights and the step to it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Entry<T> {
        pub step: u8,
        /// `[output][input]`.
        pub weights: Vec<T>,
    }

    /// Share of weights that are not zero.
    pub fn density<T: Copy + Default + PartialEq>(weights: &[T]) -> f64 {
        let used = weights.iter().filter(|w| **w != T::default()).count();
        used as f64 / weights.len().max(1) as f64
    }

    /// The entries of each block of output channels; `weights` are `[out][in]`. Output channels beyond the last and
    /// input channels beyond the last have weights of zero.
    pub fn entries<T: Copy + Default + PartialEq>(
        weights: &[T],
        outputs: usize,
        block: Block,
    ) -> Vec<Vec<Entry<T>>> {
        let inputs = weights.len() / outputs.max(1);
        let at = |o: usize, i: usize| {
            if o < outputs && i < inputs { weights[o * inputs + i] } else { T::default() }
        };
        let groups = inputs.div_ceil(block.inputs);
        let of_block = |first: usize| {
            let mut entries = Vec::new();
            let mut reached = 0;
            for group in 0..groups {
                let lanes = (first..first + block.outputs)
                    .flat_map(|o| (0..block.inputs).map(move |i| (o, group * block.inputs + i)));
                let weights: Vec<T> = lanes.map(|(o, i)| at(o, i)).collect();
                if weights.iter().all(|w| *w == T::default()) {
                    continue;
                }
                while group - reached > 255 {
                    entries.push(Entry { step: 255, weights: alloc::vec![T::default(); block.len()] });
                    reached += 255;
                }
                entries.push(Entry { step: (group - reached) as u8, weights });
                reached = group;
            }
            entries
        };
        (0..outputs).step_by(block.outputs).map(of_block).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn entries_hold_all_weights_at_their_places() {
            let (outputs, inputs) = (6, 601);
            let weights: Vec<i8> =
                (0..outputs * inputs).map(|i| if i * 7919 % 613 < 5 { (i % 250) as i8 } else { 0 }).collect();
            for block in Block::ALL {
                let mut found = alloc::vec![0i8; weights.len()];
                for (number, entries) in super::entries(&weights, outputs, block).iter().enumerate() {
                    let mut group = 0;
                    for entry in entries {
                        group += usize::from(entry.step);
                        for (lane, w) in entry.weights.iter().enumerate() {
                            let (o, i) = (lane / block.inputs, lane % block.inputs);
                            let (o, i) = (number * block.outputs + o, group * block.inputs + i);
                            if o < outputs && i < inputs {
                                found[o * inputs + i] = *w;
                            } else {
                                assert_eq!(*w, 0);
                            }
                        }
                    }
                }
                assert_eq!(found, weights, "{block:?}");
            }
        }
    }
}
