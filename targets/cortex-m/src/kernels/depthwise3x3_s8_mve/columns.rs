//! From a strip to codes: up to eight neighbouring outputs of each channel.

use mote_runtime::engine::Mismatch;

#[cfg(not(mote_mve))]
use super::COLUMN;
use super::{LANES, OUTPUTS, WEIGHTS, scratch};
use crate::kernels::mve::stage::Stage;

/// Channels of a strip.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    pub strip: &'a [i8],
    /// A vector in front, then one for each channel.
    pub weights: &'a [[i8; WEIGHTS]],
    /// Start, multiplier and shift of each channel.
    pub scales: &'a [[i32; 3]],
    /// From output column to output column.
    pub distance: usize,
    pub stride: usize,
    pub stage: Stage,
}

/// Computes `outputs` output columns, of which the first one begins at the start of `to`.
#[inline(always)]
pub fn compute<const ROUNDING: u8>(
    channels: &Channels<'_>,
    outputs: usize,
    to: &mut [i8],
) -> Result<(), Mismatch>
where
    for<'a> Channels<'a>: Compute<ROUNDING>,
{
    let lanes = channels.scales.len();
    let written = (outputs.max(1) - 1) * channels.distance + lanes;
    let complete = (1..=OUTPUTS).contains(&outputs)
        && (1..=LANES).contains(&lanes)
        && channels.weights.len() > lanes
        && channels.strip.len() + LANES >= scratch(outputs, channels.stride)
        && to.len() >= written
        && channels.distance * OUTPUTS < 1 << 16;
    if !complete {
        return Err(Mismatch);
    }
    match (channels.stride, outputs > OUTPUTS / 2) {
        (1, true) => channels.eight(outputs, to),
        (1, false) => channels.four(outputs, to),
        (_, true) => channels.eight_apart(outputs, to),
        (_, false) => channels.four_apart(outputs, to),
    }
    Ok(())
}

/// Up to eight or up to four outputs, at stride 1 or (apart) 2. All that is read and written is there.
pub trait Compute<const ROUNDING: u8> {
    fn eight(&self, outputs: usize, to: &mut [i8]);
    fn four(&self, outputs: usize, to: &mut [i8]);
    fn eight_apart(&self, outputs: usize, to: &mut [i8]);
    fn four_apart(&self, outputs: usize, to: &mut [i8]);
}

#[cfg(not(mote_mve))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Channels<'_> {
    fn eight(&self, outputs: usize, to: &mut [i8]) {
        let weights = self.weights.iter().skip(1);
        for (c, (weights, &[start, multiplier, shift])) in weights.zip(self.scales).enumerate() {
            for (j, to) in to.iter_mut().skip(c).step_by(self.distance.max(1)).take(outputs).enumerate() {
                let columns = self.strip.chunks_exact(COLUMN).skip(j * self.stride);
                let mut sum = start;
                for (column, weights) in columns.zip(weights.as_chunks::<4>().0) {
                    let word = column.get(4 * c..).unwrap_or_default();
                    let products = word.iter().zip(weights).map(|(&x, &w)| i32::from(x) * i32::from(w));
                    sum = sum.wrapping_add(products.sum());
                }
                *to = self.stage.code::<ROUNDING>(sum, multiplier, shift);
            }
        }
    }

    fn four(&self, outputs: usize, to: &mut [i8]) {
        Compute::<ROUNDING>::eight(self, outputs, to);
    }

    fn eight_apart(&self, outputs: usize, to: &mut [i8]) {
        Compute::<ROUNDING>::eight(self, outputs, to);
    }

    fn four_apart(&self, outputs: usize, to: &mut [i8]) {
        Compute::<ROUNDING>::eight(self, outputs, to);
    }
}

#[cfg(mote_mve)]
mod arm;
