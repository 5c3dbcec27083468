//! `depthwise_square_s8_simd128`: `depthwise_s8` with kernels of 3x3 and 5x5, strides of 1 and 2, at least eight channels, and
//! one output channel per input channel.
//!
//! Constants: 0 for each eight channels the taps of each kernel column in its first four rows, a zero for a fourth of three,
//! then of a fifth row each tap with three zeros, `[groups][2][4 channels][4 taps]`; 1 per block the start of the sums and the scales
//! (`stage`). The last eight channels are a block even where some of them are in the one before. Scratch: eight zero points,
//! which stand for a tap on padding.
//!
//! Eight channels go along a row at a time: each input column is read and put side by side once, and gives what it has to give
//! to all sums that need it. So sums are kept from column to column, which are fewer than the columns of a window.

mod fours;
#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{Window, require, s8_mut};
use mote_runtime::kernels::target_s8::DepthwiseArgs;
use mote_runtime::plan::Fault;

use self::fours::{Eight, Fours, Weights};
use super::stage::{Block, Stage, factors};
use crate::vector::{I32x4, Strips};

/// Weights of eight channels and four taps.
pub type Group = [[i8; 16]; 2];

/// Groups of a block.
const fn groups(size: usize) -> usize {
    if size == 3 { 3 } else { 10 }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DepthwiseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let (channels, size) = (args.channels as usize, args.kernel_width as usize);
    require!(size == args.kernel_rows as usize && (size == 3 || size == 5), Arguments);
    require!((args.stride == 1 || args.stride == 2) && args.dilation == 1 && channels >= 8, Arguments);
    require!(step.window(0) == size && step.scratch_bytes() >= 8, Shape);
    let blocks = channels.div_ceil(8);
    require!(step.blob_is(0, blocks * groups(size) * size_of::<Group>(), 1), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let padding = s8_mut(scratch).first_chunk_mut::<8>().ok_or(Mismatch)?;
    padding.fill(args.input_zero_point as i8);
    let depthwise = Depthwise {
        channels: args.channels as usize,
        columns: args.columns(),
        padding,
        weights: bytemuck::try_cast_slice(given.blob(0)).map_err(|_| Mismatch)?,
        blocks: given.constants(1)?,
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    let row = match (args.kernel_width, args.stride) {
        (3, 1) => Depthwise::row::<3, 3, 1, 3>,
        (3, _) => Depthwise::row::<3, 3, 2, 2>,
        (_, 1) => Depthwise::row::<5, 10, 1, 5>,
        _ => Depthwise::row::<5, 10, 2, 3>,
    };
    output.for_each(|slice, y, to| {
        let window = Window::new(source.window(slice, y));
        row(&depthwise, &window, source.row_bytes(), s8_mut(to))
    })
}

/// Everything of a layer but its rows.
struct Depthwise<'a> {
    channels: usize,
    columns: Columns,
    padding: &'a [i8; 8],
    weights: &'a [Group],
    blocks: &'a [Block],
    stage: Stage,
}

/// What a column of the input gives to the sums.
#[derive(Clone, Copy)]
struct Column {
    fours: Fours,
    /// The fifth row.
    last: Eight,
}

impl Column {
    #[inline(always)]
    fn of<const SIZE: usize>(rows: [&[i8; 8]; SIZE]) -> Option<Self> {
        let eight = |row: usize| rows.get(row).copied().map(Eight::load);
        let [a, b, c] = [eight(0)?, eight(1)?, eight(2)?];
        // Weights of a fourth row that isn't there are zeros.
        Some(Self { fours: Fours::beside([a, b, c, eight(3).unwrap_or(c)]), last: eight(4).unwrap_or(c) })
    }

    /// Adds the products with the taps of kernel column `column` to `sums`, if there is such a column.
    #[inline(always)]
    fn give<const SIZE: usize>(&self, column: usize, weights: &[Weights], sums: &mut [I32x4; 2]) {
        if column >= SIZE {
            return;
        }
        if let Some(four) = weights.get(column) {
            *sums = self.fours.plus(four, *sums);
        }
        if let Some(one) = weights.get(SIZE + column) {
            *sums = self.last.plus(one, *sums);
        }
    }
}

impl Depthwise<'_> {
    /// `GROUPS`: those of kernels of `SIZE`; `SUMS`: how many windows share a column.
    fn row<const SIZE: usize, const GROUPS: usize, const STRIDE: usize, const SUMS: usize>(
        &self,
        window: &Window<'_>,
        row_len: usize,
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.channels).ok_or(Mismatch)?;
        // Columns of the input before those of the first window, or of padding before the input.
        let skipped = usize::try_from(-self.columns.pad_left).unwrap_or(0).min(width);
        let padded = usize::try_from(self.columns.pad_left).unwrap_or(0);
        let beyond = Column::of([self.padding; SIZE]).ok_or(Mismatch)?;
        let (weights, _) = self.weights.as_chunks::<GROUPS>();
        for (b, (block, weights)) in self.blocks.iter().zip(weights).enumerate() {
            let first = (8 * b).min(self.channels.saturating_sub(8));
            let rows: [_; SIZE] = core::array::from_fn(|k| match window.get(k) {
                Some(row) => (row.get(skipped * self.channels + first..).unwrap_or(&[]), self.channels),
                None => (&self.padding[..], 0),
            });
            let mut strips = Strips::new(rows, width - skipped).ok_or(Mismatch)?;
            let mut before = padded;
            let mut next = || {
                if before > 0 {
                    before -= 1;
                    return Some(beyond);
                }
                strips.next().map_or(Some(beyond), Column::of)
            };
            let weights = weights.each_ref().map(Weights::load);
            let factors = factors(block);
            let start = Weights::start(&weights, [block[0].start(), block[1].start()]);
            // Those of the next window, and of the ones behind it that begin before it ends.
            let mut sums = [start; SUMS];
            let mut give = |sums: &mut [[I32x4; 2]; SUMS], column: usize| {
                let x = next().ok_or(Mismatch)?;
                for (p, sums) in sums.iter_mut().enumerate() {
                    // A column before the first one of a window is none of it.
                    x.give::<SIZE>(column.wrapping_sub(p * STRIDE), &weights, sums);
                }
                Ok(())
            };
            for column in 0..SIZE - STRIDE {
                give(&mut sums, column)?;
            }
            for to in to.chunks_exact_mut(self.channels.max(1)) {
                for column in SIZE - STRIDE..SIZE {
                    give(&mut sums, column)?;
                }
                let done = sums.first().copied().unwrap_or(start);
                sums = pushed(sums, start);
                let to = to.get_mut(first..).and_then(<[i8]>::first_chunk_mut::<8>).ok_or(Mismatch)?;
                match factors {
                    Some(factors) => self.stage.plain(done, factors, to),
                    None => self.stage.careful(&done, block, to),
                }
            }
        }
        Ok(())
    }
}

/// The sums but the first, and one more.
#[inline(always)]
fn pushed<T: Copy, const N: usize>(sums: [T; N], new: T) -> [T; N] {
    core::array::from_fn(|i| sums.get(i + 1).copied().unwrap_or(new))
}
