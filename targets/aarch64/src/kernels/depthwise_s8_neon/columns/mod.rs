//! The inner loop of depthwise convolutions: some output columns times all channels, from inputs to codes.
//!
//! **Blocks** have 16 lanes, each a channel. Where the channels are no multiple of 16 the last block begins as many before
//! the end; with less than 16 channels only the lower eight lanes are used.
//!
//! **Taps** come in groups of four slots: the taps of a column and an empty slot for a kernel of 3 x 3, otherwise all in
//! order, empty slots at the end. The 64 weights of a group and block are four for each lane, side by side: `SDOT`
//! multiplies them with the four pixels interleaved, `LD4` takes them apart for cores without dot products. There two
//! products are added in 16 bits, if no weight is -128 (`narrow`).

#[cfg(target_arch = "aarch64")]
mod arm;

use mote_runtime::engine::Mismatch;

use crate::kernels::level::Level;
use crate::kernels::stage::{self, Stage};

/// Lanes of a block.
pub const LANES: usize = 16;

/// Slots of a group.
pub const GROUP: usize = 4;

/// Weights of a group and a block.
pub type Weights = [i8; LANES * GROUP];

/// What belongs to a block's channels.
pub type Scales = stage::Scales<LANES>;

/// Lanes that are used.
const fn lanes(channels: usize) -> usize {
    if channels >= LANES { LANES } else { LANES / 2 }
}

/// Blocks of `channels` channels, at least eight.
pub const fn blocks(channels: usize) -> usize {
    channels.div_ceil(lanes(channels))
}

/// The first channel of a block.
const fn first(channels: usize, block: usize) -> usize {
    let (from, last) = (block * lanes(channels), channels.saturating_sub(lanes(channels)));
    if from < last { from } else { last }
}

/// The channel of a lane; `None` for one that is not used.
#[cfg(feature = "pack")]
pub fn channel(channels: usize, block: usize, lane: usize) -> Option<usize> {
    (lane < lanes(channels)).then(|| first(channels, block) + lane)
}

/// Size of a kernel, which decides where its taps stand.
#[derive(Clone, Copy)]
pub struct Kernel {
    pub rows: usize,
    pub width: usize,
}

impl Kernel {
    /// Whether each column of taps is a group.
    const fn by_columns(&self) -> bool {
        self.rows == 3 && self.width == 3
    }

    pub const fn groups(&self) -> usize {
        if self.by_columns() { 3 } else { (self.rows * self.width).div_ceil(GROUP) }
    }

    /// Row and column of the tap in a slot; those of another tap for an empty slot, which may read anything.
    pub fn tap(&self, slot: usize) -> (usize, usize) {
        if self.by_columns() {
            return ((slot % GROUP).min(2), slot / GROUP);
        }
        let tap = slot.min((self.rows * self.width).saturating_sub(1));
        let row = tap.checked_div(self.width).unwrap_or(0);
        (row, tap - row * self.width)
    }

    /// The tap in a slot, counted row by row; `None` for an empty one.
    #[cfg(feature = "pack")]
    pub fn is_tap(&self, slot: usize) -> Option<usize> {
        let (row, column) = self.tap(slot);
        let empty = if self.by_columns() { slot % GROUP == 3 } else { slot >= self.rows * self.width };
        (!empty).then_some(row * self.width + column)
    }
}

/// The way along a row.
#[cfg(target_arch = "aarch64")]
pub struct Walk {
    /// Pixels of a row.
    pub width: usize,
    pub stride: usize,
    /// Columns of padding on the left; what lies beyond the right end is padding too.
    pub pad_left: isize,
}

/// The parts of a layer that its columns share.
pub struct Layer<'a> {
    pub channels: usize,
    pub kernel: Kernel,
    /// Whether no weight is -128.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub narrow: bool,
    /// Whether neighbouring taps of a row read neighbouring pixels.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub dense: bool,
    /// What the core has.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub level: Level,
    /// As many for each block as there are groups.
    pub weights: &'a [Weights],
    pub scales: &'a [Scales],
    pub stage: Stage,
}

impl Layer<'_> {
    /// Fills `to` with the codes of output columns. `slots` tells what each tap reads: the pixels of all columns, which
    /// are `advance` bytes apart.
    #[inline]
    pub fn columns(&self, slots: &[&[i8]], advance: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let count = to.len().checked_div(self.channels).ok_or(Mismatch)?;
        let (blocks, groups) = (blocks(self.channels), slots.len() / GROUP);
        let reads = count.saturating_sub(1).saturating_mul(advance).saturating_add(self.channels);
        let complete = count > 0
            && self.channels >= LANES / 2
            && count * self.channels == to.len()
            && groups == self.kernel.groups()
            && groups * GROUP == slots.len()
            && slots.iter().all(|slot| slot.len() >= reads)
            && self.weights.len() >= blocks * groups
            && self.scales.len() >= blocks;
        if !complete {
            return Err(Mismatch);
        }
        self.codes(slots, advance, to);
        Ok(())
    }

    /// Fills `to` with the codes of an output row of a layer that [takes rows](Self::takes_rows), from the three rows that
    /// its taps read. What lies beside these is `padding`.
    #[cfg(target_arch = "aarch64")]
    pub fn row(&self, rows: [&[i8]; 3], walk: &Walk, padding: i8, to: &mut [i8]) -> Result<(), Mismatch> {
        let count = to.len().checked_div(self.channels).ok_or(Mismatch)?;
        let blocks = blocks(self.channels);
        let complete = self.takes_rows(walk.stride)
            && count > 0
            && self.channels >= LANES / 2
            && count * self.channels == to.len()
            && rows.iter().all(|row| row.len() / self.channels >= walk.width)
            && self.weights.len() >= blocks * 3
            && self.scales.len() >= blocks;
        if !complete {
            return Err(Mismatch);
        }
        arm::row(self, rows, walk, padding, to);
        Ok(())
    }

    /// Whether [`Self::row`] computes whole rows: on cores with dot products those of a kernel of 3 x 3, with strides of 1
    /// or 2.
    #[cfg(target_arch = "aarch64")]
    pub fn takes_rows(&self, stride: usize) -> bool {
        let suits = self.kernel.by_columns() && self.dense && (stride == 1 || stride == 2);
        suits && self.level >= Level::DotProduct
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn codes(&self, slots: &[&[i8]], advance: usize, to: &mut [i8]) {
        arm::codes(self, slots, advance, to);
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn codes(&self, slots: &[&[i8]], advance: usize, to: &mut [i8]) {
        let lanes = lanes(self.channels);
        for (column, to) in to.chunks_exact_mut(self.channels).enumerate() {
            let blocks = self.weights.chunks_exact(slots.len() / GROUP).zip(self.scales);
            for (block, (weights, scales)) in blocks.take(blocks_of(self)).enumerate() {
                let first = first(self.channels, block);
                let mut sums = [0i32; LANES];
                for (slot, pixels) in slots.iter().enumerate() {
                    let weights = weights.get(slot / GROUP).map_or(&[][..], |group| group);
                    let pixel = pixels.get(column * advance + first..).unwrap_or_default();
                    let lanes =
                        pixel.iter().take(lanes).zip(weights.iter().skip(slot % GROUP).step_by(GROUP));
                    for (sum, (&x, &w)) in sums.iter_mut().zip(lanes) {
                        *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                    }
                }
                let codes = self.stage.codes(sums, scales);
                let to = to.iter_mut().skip(first).take(lanes);
                to.zip(codes).for_each(|(to, code)| *to = code);
            }
        }
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn blocks_of(layer: &Layer<'_>) -> usize {
    blocks(layer.channels)
}
