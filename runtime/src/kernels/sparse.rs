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
use crate::kernels::StepView;
use crate::kernels::s8::require;
use crate::plan::Fault;
use core::ops::Range;

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

/// How many units of `side` channels, which is one of a block, hold so many channels; without a way to divide by 0.
const fn units(channels: usize, side: usize) -> usize {
    match side {
        2 => channels.div_ceil(2),
        4 => channels.div_ceil(4),
        _ => channels,
    }
}

/// What the arguments of all sparse kernels tell of a layer.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Along the row.
    pub stride: usize,
    /// Positions that the scratch has room for.
    pub strip: usize,
    pub block: Block,
}

impl Geometry {
    /// Groups of input channels.
    pub const fn groups(&self) -> usize {
        units(self.in_channels, self.block.inputs)
    }

    /// Output channels, filled up to whole blocks.
    pub const fn filled_outputs(&self) -> usize {
        self.blocks() * self.block.outputs
    }

    /// Blocks of output channels.
    pub const fn blocks(&self) -> usize {
        units(self.out_channels, self.block.outputs)
    }

    /// Accepts a step with such rows and scratch for strips of elements of `size` bytes; fewer than `most` channels.
    pub const fn check(&self, step: &StepView<'_>, most: usize, size: usize) -> Result<(), Fault> {
        let Self { in_channels: inputs, out_channels: outputs, stride, strip, block } = *self;
        require!(block.is_known() && stride > 0, Arguments);
        require!(is_strip(strip), Arguments);
        require!(inputs > 0 && outputs > 0 && inputs < most && outputs < most, Arguments);
        require!(step.row_len(0).is_multiple_of(inputs) && step.row_len(1).is_multiple_of(outputs), Shape);
        let (width, columns) = (step.row_len(0) / inputs, step.row_len(1) / outputs);
        require!(columns > 0 && width.div_ceil(stride) >= columns, Shape);
        require!(step.window(0) == 1 && step.within(0), Shape);
        let positions = (self.groups() * block.inputs) as u64 * strip as u64;
        require!(step.has_scratch(positions * size as u64, size), Shape);
        Ok(())
    }
}

/// Positions that a portable kernel takes at a time on this machine: `vectors` fill its vector registers, `words` the others.
/// Microcontrollers have registers of words; in WebAssembly, which has kernels of its own for what is to be fast, nine kilobytes
/// of every download are worth more.
pub(crate) const fn wide(vectors: [usize; 3], words: [usize; 3]) -> [usize; 3] {
    if cfg!(any(target_arch = "arm", target_arch = "wasm32")) { words } else { vectors }
}

/// Positions for which a plan should have room where its machine has `vectors` for blocks of 1, 2 and 4 output channels.
#[cfg(feature = "pack")]
pub(crate) fn longest([one, two, four]: [usize; 3], block: Block) -> usize {
    match block.outputs {
        1 => one,
        2 => two,
        _ => four,
    }
}

/// Where the records are that tell how many entries each block of output channels has.
#[derive(Clone, Copy)]
pub struct Counts<'a> {
    pub records: &'a [u8],
    /// Bytes of a block's record, and of what stands in it before the count.
    pub record: usize,
    pub before: usize,
    /// The count has 32 bits, otherwise 16.
    pub is_word: bool,
}

impl Geometry {
    /// Whether `stream` has all entries that are told, and no more, and none leads beyond the last input channel. An entry
    /// is `entry` bytes long and starts with its step.
    pub const fn check_entries(&self, stream: &[u8], entry: usize, counts: Counts<'_>) -> Result<(), Fault> {
        match entry {
            1 => entries_fit::<1>(stream, counts, self.groups()),
            2 => entries_fit::<2>(stream, counts, self.groups()),
            3 => entries_fit::<3>(stream, counts, self.groups()),
            5 => entries_fit::<5>(stream, counts, self.groups()),
            _ => Err(Fault::Arguments),
        }
    }
}

/// [`Geometry::check_entries`] for entries of `E` bytes. Start-up with a plan at run time spends most of a sparse layer's
/// time here; a kernel whose loops go where entries lead them asks again.
pub const fn entries_fit<const E: usize>(
    stream: &[u8],
    counts: Counts<'_>,
    groups: usize,
) -> Result<(), Fault> {
    let Counts { mut records, record, before, is_word } = counts;
    let (mut entries, cut) = stream.as_chunks::<E>();
    while let Some((first, rest)) = records.split_at_checked(record) {
        let Some((_, count)) = first.split_at_checked(before) else { return Err(Fault::Shape) };
        let count = match (is_word, count.first_chunk(), count.first_chunk()) {
            (true, Some(word), _) => u32::from_le_bytes(*word) as usize,
            (false, _, Some(half)) => u16::from_le_bytes(*half) as usize,
            _ => return Err(Fault::Shape),
        };
        let Some((own, behind)) = entries.split_at_checked(count) else { return Err(Fault::Range) };
        require!(reach(own) < groups, Range);
        (entries, records) = (behind, rest);
    }
    require!(records.is_empty() && entries.is_empty() && cut.is_empty(), Shape);
    Ok(())
}

/// The sum of all steps.
const fn reach<const E: usize>(mut entries: &[[u8; E]]) -> usize {
    let mut reached = 0;
    while let Some((entry, rest)) = entries.split_first() {
        reached += entry[0] as usize;
        entries = rest;
    }
    reached
}

/// Hands out the `columns` of a row in strips of `P`, or, where a plan has no room for them or most of one would be empty, of
/// [`LEAST`].
#[inline(always)]
pub(crate) fn in_strips<const P: usize>(
    columns: usize,
    room: usize,
    mut strip: impl FnMut(Range<usize>, bool) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    // What an emulated plan for a small machine has no room for here is done in short strips.
    let wide = P <= LEAST || room >= P;
    let mut first = 0;
    while first < columns {
        // Half-filled strips of all positions cost more than short ones.
        let long = wide && (P <= LEAST || columns - first > P / 2);
        let end = first + if long { P } else { LEAST };
        strip(first..columns.min(end), long)?;
        first = end;
    }
    Ok(())
}

/// `strips[c][p] = row[(first + p) * stride][c]`, for all channels and up to `P` positions; zeros for those that the row
/// does not have, and for the channels that fill up the last group.
#[inline(always)]
pub(crate) fn turn<T: Copy, S: Copy + Default, const P: usize>(
    strips: &mut [[S; P]],
    row: &[T],
    channels: usize,
    pixels: core::iter::StepBy<Range<usize>>,
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
