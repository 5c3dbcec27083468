//! From a strip to codes: up to eight neighbouring outputs of each channel.

use mote_runtime::engine::Mismatch;

use super::strip::Strip;
#[cfg(not(mote_mve))]
use super::{COLUMN, strip::fill};
use super::{LANES, OUTPUTS, WEIGHTS, scratch};
use crate::kernels::mve::stage::Stage;

/// What all strips of a layer share.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    /// A vector in front, then one for each channel.
    pub weights: &'a [[i8; WEIGHTS]],
    /// Start, multiplier and shift of each channel.
    pub scales: &'a [[i32; 3]],
    /// From output column to output column: all channels.
    pub distance: usize,
    pub stride: usize,
    pub stage: Stage,
}

/// Computes `outputs` output columns, of which the first one begins at the start of `to`; `room` is for a strip.
#[inline(always)]
pub fn compute<const ROUNDING: u8>(
    channels: &Channels<'_>,
    strip: &Strip<'_>,
    room: &mut [i8],
    outputs: usize,
    to: &mut [i8],
) -> Result<(), Mismatch>
where
    for<'a> Channels<'a>: Compute<ROUNDING>,
{
    let count = channels.distance;
    let complete = (1..=OUTPUTS).contains(&outputs)
        && count > 0
        && count < (1 << 16) / OUTPUTS
        && channels.weights.len() > count
        && channels.scales.len() >= count
        && strip.is_complete(count)
        && room.len() >= strip.bytes()
        && room.len() + LANES >= scratch(outputs, channels.stride)
        && to.len() >= outputs * count;
    if !complete {
        return Err(Mismatch);
    }
    match (channels.stride, outputs > OUTPUTS / 2) {
        (1, true) => channels.eight(strip, room, outputs, to),
        (1, false) => channels.four(strip, room, outputs, to),
        (_, true) => channels.eight_apart(strip, room, outputs, to),
        (_, false) => channels.four_apart(strip, room, outputs, to),
    }
    Ok(())
}

/// Up to eight or up to four outputs, at stride 1 or (apart) 2, of all channels. All that is read and written is there.
pub trait Compute<const ROUNDING: u8> {
    fn eight(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]);
    fn four(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]);
    fn eight_apart(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]);
    fn four_apart(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]);
}

#[cfg(not(mote_mve))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Channels<'_> {
    fn eight(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
        let weights = self.weights.get(1..).unwrap_or_default().chunks(LANES);
        for (block, (weights, scales)) in weights.zip(self.scales.chunks(LANES)).enumerate() {
            let first = block * LANES;
            fill(room, strip, first, scales.len());
            for (c, (weights, &[start, multiplier, shift])) in weights.iter().zip(scales).enumerate() {
                let outputs = to.iter_mut().skip(first + c).step_by(self.distance.max(1)).take(outputs);
                for (j, to) in outputs.enumerate() {
                    let columns = room.chunks_exact(COLUMN).skip(j * self.stride);
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
    }

    fn four(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
        Compute::<ROUNDING>::eight(self, strip, room, outputs, to);
    }

    fn eight_apart(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
        Compute::<ROUNDING>::eight(self, strip, room, outputs, to);
    }

    fn four_apart(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
        Compute::<ROUNDING>::eight(self, strip, room, outputs, to);
    }
}

#[cfg(mote_mve)]
mod arm;
