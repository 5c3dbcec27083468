//! Dot products of positions with output channels: what convolutions and fully connected layers are made of.
//!
//! A position is `steps` times 16 input bytes. Weights come in blocks of four output channels: for each step the 16
//! bytes of channel 0, of channel 1, 2 and 3, with zeros where a layer has fewer inputs or channels. So a block is one
//! stream of loads, and one `VMLADAVA` adds 16 products to one of eight accumulators: two positions times four channels.

use mote_runtime::engine::Mismatch;

use super::stage::{Block, Stage};

/// Bytes of a vector.
pub const STEP: usize = 16;

/// A step of a block: 16 weights of each of four output channels.
pub type Weights = [[i8; STEP]; 4];

/// Steps of this many inputs.
pub const fn steps(inputs: usize) -> usize {
    inputs.div_ceil(STEP)
}

/// The parts of a layer that its positions share.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// `steps` of them for each block.
    pub weights: &'a [Weights],
    pub blocks: &'a [Block],
    /// Steps of a position.
    pub steps: usize,
    pub out_channels: usize,
    pub stage: Stage,
}

impl Layer<'_> {
    /// Computes all output channels of the positions of `to`. Position `p` is `x[p * stride ..]`. Codes are saturated to
    /// their type; the caller clamps whole rows ([`Stage::clamp`]).
    #[inline]
    pub fn positions<const ROUNDING: u8>(
        &self,
        x: &[i8],
        stride: usize,
        to: &mut [i8],
    ) -> Result<(), Mismatch>
    where
        Self: Loops<ROUNDING>,
    {
        let count = to.len().checked_div(self.out_channels).ok_or(Mismatch)?;
        if count == 0 {
            return Ok(());
        }
        let needed = (count - 1).checked_mul(stride).and_then(|n| n.checked_add(self.steps * STEP));
        let (whole, part) = self.blocks_of_outputs().ok_or(Mismatch)?;
        if needed.is_none_or(|needed| needed > x.len()) {
            return Err(Mismatch);
        }
        if whole > 0 {
            if count > 1 {
                self.pairs(whole, x, stride, to, count / 2);
            }
            if count % 2 == 1 {
                let x = x.get((count - 1) * stride..).ok_or(Mismatch)?;
                let to = to.get_mut((count - 1) * self.out_channels..).ok_or(Mismatch)?;
                self.single(0, whole, x, to);
            }
        }
        if part > 0 {
            self.rest(whole, x, stride, to)?;
        }
        Ok(())
    }

    /// As [`Self::positions`], of two positions that need not be neighbours: output channels of `x[p]` go to `to[p]`.
    #[inline]
    pub fn two<const ROUNDING: u8>(&self, x: [&[i8]; 2], to: [&mut [i8]; 2]) -> Result<(), Mismatch>
    where
        Self: Loops<ROUNDING>,
    {
        let (whole, part) = self.blocks_of_outputs().ok_or(Mismatch)?;
        if x.iter().any(|x| x.len() < self.steps * STEP) || to.iter().any(|to| to.len() != self.out_channels)
        {
            return Err(Mismatch);
        }
        let [first, second] = to;
        if whole > 0 {
            Loops::<ROUNDING>::two(self, whole, x, [&mut *first, &mut *second]);
        }
        if part > 0 {
            self.rest(whole, x[0], 0, first)?;
            self.rest(whole, x[1], 0, second)?;
        }
        Ok(())
    }

    /// Whole blocks, and channels behind them; `None` if not all constants are there.
    #[inline(always)]
    fn blocks_of_outputs(&self) -> Option<(usize, usize)> {
        let (whole, part) = (self.out_channels / 4, self.out_channels % 4);
        let blocks = whole + usize::from(part > 0);
        let complete = self.steps > 0
            && self.steps.checked_mul(blocks)? <= self.weights.len()
            && blocks <= self.blocks.len();
        complete.then_some((whole, part))
    }

    /// Positions whose inputs are all `padding`.
    #[cold]
    #[inline(never)]
    pub fn padding<const ROUNDING: u8>(&self, padding: i8, to: &mut [i8]) -> Result<(), Mismatch> {
        for to in to.chunks_exact_mut(self.out_channels.max(1)) {
            let blocks = self.weights.chunks_exact(self.steps.max(1)).zip(self.blocks);
            for (to, (weights, block)) in to.chunks_mut(4).zip(blocks) {
                let mut sums = [0i32; 4];
                for step in weights {
                    for (sum, weights) in sums.iter_mut().zip(step) {
                        let weights = weights.iter().map(|&w| i32::from(w)).sum::<i32>();
                        *sum = sum.wrapping_add(weights.wrapping_mul(padding.into()));
                    }
                }
                let codes = self.stage.codes::<ROUNDING>(sums, block);
                to.iter_mut().zip(codes).for_each(|(to, code)| *to = code);
            }
        }
        Ok(())
    }

    /// The last output channels, if they are no multiple of four.
    #[inline(never)]
    fn rest<const ROUNDING: u8>(
        &self,
        whole: usize,
        x: &[i8],
        stride: usize,
        to: &mut [i8],
    ) -> Result<(), Mismatch>
    where
        Self: Loops<ROUNDING>,
    {
        let mut at = 0;
        for to in to.chunks_exact_mut(self.out_channels.max(1)) {
            let mut codes = [0; 4];
            self.single(whole, 1, x.get(at..).ok_or(Mismatch)?, &mut codes);
            to.iter_mut().skip(4 * whole).zip(codes).for_each(|(to, code)| *to = code);
            at += stride;
        }
        Ok(())
    }
}

/// The loops. `x` holds what the positions read, `weights` and `blocks` of the layer what the blocks read, `to` what is
/// written; there is at least one block and one step. Codes are saturated to their type, and not yet clamped.
pub trait Loops<const ROUNDING: u8> {
    /// `pairs` pairs of neighbouring positions, times the first `blocks` blocks.
    fn pairs(&self, blocks: usize, x: &[i8], stride: usize, to: &mut [i8], pairs: usize);

    /// Two positions that may lie anywhere, times the first `blocks` blocks.
    fn two(&self, blocks: usize, x: [&[i8]; 2], to: [&mut [i8]; 2]);

    /// One position, times `blocks` blocks from block `first` on, whose codes go to the start of `to`.
    fn single(&self, first: usize, blocks: usize, x: &[i8], to: &mut [i8]);
}

#[cfg(not(mote_mve))]
impl<const ROUNDING: u8> Loops<ROUNDING> for Layer<'_> {
    fn pairs(&self, blocks: usize, x: &[i8], stride: usize, to: &mut [i8], pairs: usize) {
        for (p, to) in to.chunks_exact_mut(self.out_channels.max(1)).take(2 * pairs).enumerate() {
            Loops::<ROUNDING>::single(self, 0, blocks, x.get(p * stride..).unwrap_or_default(), to);
        }
    }

    fn two(&self, blocks: usize, x: [&[i8]; 2], to: [&mut [i8]; 2]) {
        for (x, to) in x.into_iter().zip(to) {
            Loops::<ROUNDING>::single(self, 0, blocks, x, to);
        }
    }

    fn single(&self, first: usize, blocks: usize, x: &[i8], to: &mut [i8]) {
        let weights = self.weights.chunks_exact(self.steps.max(1)).skip(first);
        let x = x.as_chunks::<STEP>().0;
        for ((to, weights), block) in
            to.as_chunks_mut().0.iter_mut().zip(weights).zip(self.blocks.iter().skip(first)).take(blocks)
        {
            let mut sums = [0i32; 4];
            for (x, weights) in x.iter().zip(weights) {
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    let products = x.iter().zip(weights).map(|(&x, &w)| i32::from(x) * i32::from(w));
                    *sum = sum.wrapping_add(products.sum());
                }
            }
            *to = self.stage.codes::<ROUNDING>(sums, block);
        }
    }
}

#[cfg(feature = "pack")]
mod host {
    use super::*;
    use alloc::vec::Vec;

    /// `[out][inputs]` weights in blocks.
    pub fn weights(weights: &[i8], outputs: usize, inputs: usize) -> Vec<i8> {
        let mut packed = Vec::new();
        for block in (0..outputs).step_by(4) {
            for step in 0..steps(inputs) {
                for (channel, byte) in (block..block + 4).flat_map(|c| (0..STEP).map(move |b| (c, b))) {
                    let input = step * STEP + byte;
                    let there = channel < outputs && input < inputs;
                    packed.push(if there { weights[channel * inputs + input] } else { 0 });
                }
            }
        }
        packed
    }

    /// Start, multiplier and shift of each output channel in blocks.
    pub fn blocks(channels: &[[i32; 3]]) -> Vec<i32> {
        let mut packed = Vec::new();
        for block in channels.chunks(4) {
            for part in 0..3 {
                packed.extend((0..4).map(|c| block.get(c).map_or(0, |channel| channel[part])));
            }
        }
        packed
    }
}
#[cfg(feature = "pack")]
pub use host::{blocks, weights};
