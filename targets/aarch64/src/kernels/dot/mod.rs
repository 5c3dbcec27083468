//! The inner loops of convolutions and fully connected layers: positions times output channels, from inputs to codes.
//!
//! **Inputs** of a position are bytes side by side, in steps of eight, the last one filled up with anything.
//!
//! **Weights** come in blocks of eight output channels, a step of which is 64 bytes: eight weights of channel 0, eight of
//! channel 1, and so on; zeros behind the last input and in missing channels. A register holds two channels. So it is an
//! operand of `SMMLA` as it is; of `SDOT` beside eight inputs twice, which gives two sums for each channel; and of
//! `SMULL` and `SMULL2`, whose products `SADALP` adds up in pairs. One layout serves all levels, and all give the same
//! sums, since sums of 32 bits may wrap in any order.
//!
//! The products of two steps are added in 16 bits before `SADALP`, which no weight of -128 allows: layers that have one
//! (`narrow` is false) take the products of each step alone there.

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{is_narrow, weights};

use mote_runtime::engine::Mismatch;

use super::stage::{Scales, Stage};

/// Inputs of a step.
pub const STEP: usize = 8;

/// Output channels of a block.
pub const CHANNELS: usize = 8;

/// A step of a block.
pub type Weights = [i8; CHANNELS * STEP];

/// What belongs to a block's channels.
pub type Block = Scales<CHANNELS>;

/// Most positions that are computed at once, for which it is best to have inputs ready.
pub const POSITIONS: usize = 8;

/// Steps of a position with this many inputs.
pub const fn steps(inputs: usize) -> usize {
    inputs.div_ceil(STEP)
}

/// The parts of a layer that its positions share.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// As many for each block as a position has steps.
    pub weights: &'a [Weights],
    pub blocks: &'a [Block],
    pub steps: usize,
    pub out_channels: usize,
    /// Whether no weight is -128.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub narrow: bool,
    pub stage: Stage,
}

impl Layer<'_> {
    /// Fills `to` with the codes of positions, whose inputs begin `distance` bytes apart.
    #[inline]
    pub fn positions(&self, x: &[i8], distance: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let count = to.len().checked_div(self.out_channels).ok_or(Mismatch)?;
        let blocks = self.out_channels.div_ceil(CHANNELS);
        let reads = count.saturating_sub(1).saturating_mul(distance).saturating_add(self.steps * STEP);
        let complete = count > 0
            && self.steps > 0
            && count * self.out_channels == to.len()
            && reads <= x.len()
            && self.weights.len() >= blocks * self.steps
            && self.blocks.len() >= blocks;
        if !complete {
            return Err(Mismatch);
        }
        self.codes(x, distance, to);
        Ok(())
    }

    /// Positions whose inputs are all `padding`.
    #[cold]
    #[inline(never)]
    pub fn padding(&self, padding: i8, to: &mut [i8]) -> Result<(), Mismatch> {
        for to in to.chunks_exact_mut(self.out_channels.max(1)) {
            let blocks = self.weights.chunks_exact(self.steps.max(1)).zip(self.blocks);
            for (to, (weights, block)) in to.chunks_mut(CHANNELS).zip(blocks) {
                let mut sums = [0i32; CHANNELS];
                for step in weights {
                    for (sum, w) in sums.iter_mut().zip(sums_of(step)) {
                        *sum = sum.wrapping_add(w.wrapping_mul(padding.into()));
                    }
                }
                to.iter_mut().zip(self.stage.codes(sums, block)).for_each(|(to, code)| *to = code);
            }
        }
        Ok(())
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn codes(&self, x: &[i8], distance: usize, to: &mut [i8]) {
        arm::codes(self, x, distance, to);
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn codes(&self, x: &[i8], distance: usize, to: &mut [i8]) {
        for (p, to) in to.chunks_exact_mut(self.out_channels).enumerate() {
            let x = x.get(p * distance..).and_then(|x| x.get(..self.steps * STEP)).unwrap_or_default();
            let blocks = self.weights.chunks_exact(self.steps).zip(self.blocks);
            for (to, (weights, block)) in to.chunks_mut(CHANNELS).zip(blocks) {
                let mut sums = [0i32; CHANNELS];
                for (x, weights) in x.chunks_exact(STEP).zip(weights) {
                    for (sum, w) in sums.iter_mut().zip(weights.chunks_exact(STEP)) {
                        let products = x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w));
                        *sum = sum.wrapping_add(products.sum());
                    }
                }
                to.iter_mut().zip(self.stage.codes(sums, block)).for_each(|(to, code)| *to = code);
            }
        }
    }
}

/// The sum of each channel's weights of a step.
fn sums_of(step: &Weights) -> [i32; CHANNELS] {
    let mut sums = [0; CHANNELS];
    for (sum, weights) in sums.iter_mut().zip(step.as_chunks::<STEP>().0) {
        *sum = weights.iter().map(|&w| i32::from(w)).sum();
    }
    sums
}
