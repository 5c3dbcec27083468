//! All channels of one output column.

use mote_runtime::engine::Mismatch;

use super::Position;
use crate::kernels::mve::stage::Stage;

/// Channels of a block.
pub const LANES: usize = 16;

/// Weights of a pair of taps.
pub type Weights = [[i8; LANES]; 2];

/// Start, multiplier and shift of a block's channels, in the order of [`channel`].
pub type Scales = [[i32; LANES]; 3];

/// The channel whose start is number `i`.
#[cfg_attr(mote_mve, allow(dead_code))]
pub const fn channel(i: usize) -> usize {
    i % 4 * 4 + [0, 2, 1, 3][i / 4 % 4]
}

/// What the output columns of a layer share.
pub struct Channels<'a> {
    pub count: usize,
    pub taps: usize,
    /// Room for two addresses of each pair.
    pub table: &'a mut [u32],
    pub weights: &'a [Weights],
    pub scales: &'a [Scales],
    pub stage: Stage,
}

/// One output column. Codes are saturated to their type, and not yet clamped.
pub trait Compute<const ROUNDING: u8> {
    fn codes(&mut self, position: &Position<'_>, to: &mut [i8]) -> Result<(), Mismatch>;
}

impl Channels<'_> {
    /// Computes one output column.
    #[inline(always)]
    pub fn compute<const ROUNDING: u8>(
        &mut self,
        position: &Position<'_>,
        to: &mut [i8],
    ) -> Result<(), Mismatch>
    where
        Self: Compute<ROUNDING>,
    {
        let (pairs, blocks) = (self.table.len() / 2, self.count.div_ceil(LANES));
        let complete = pairs > 0
            && blocks > 0
            && (self.taps.div_ceil(2) == pairs || self.taps == pairs)
            && self.weights.len() >= blocks * pairs
            && self.scales.len() >= blocks
            && to.len() >= self.count;
        if !complete {
            return Err(Mismatch);
        }
        self.codes(position, to)
    }
}

#[cfg(not(mote_mve))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Channels<'_> {
    fn codes(&mut self, position: &Position<'_>, to: &mut [i8]) -> Result<(), Mismatch> {
        let pairs = self.table.len() / 2;
        // The second tap of each pair is empty if there are as many pairs as taps.
        let step = if pairs == self.taps { 2 } else { 1 };
        let blocks = self.weights.chunks_exact(pairs.max(1)).zip(self.scales);
        for (block, (to, (weights, [start, multiplier, shift]))) in
            to.chunks_mut(LANES).zip(blocks).enumerate()
        {
            let mut sums = [0i32; LANES];
            let mut taps = weights.as_flattened().iter().step_by(step);
            position.each(|start| {
                // SAFETY: the channels of a tap, all of which are there.
                let pixel = unsafe { core::slice::from_raw_parts(start.cast::<i8>(), self.count) };
                let pixel = pixel.get(block * LANES..).unwrap_or_default();
                let weights = taps.next().copied().unwrap_or_default();
                for ((sum, &x), w) in sums.iter_mut().zip(pixel).zip(weights) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            });
            for (i, ((&start, &multiplier), &shift)) in start.iter().zip(multiplier).zip(shift).enumerate() {
                let (Some(to), Some(&sum)) = (to.get_mut(channel(i)), sums.get(channel(i))) else { continue };
                *to = self.stage.code::<ROUNDING>(sum.wrapping_add(start), multiplier, shift);
            }
        }
        Ok(())
    }
}

#[cfg(mote_mve)]
mod arm;
