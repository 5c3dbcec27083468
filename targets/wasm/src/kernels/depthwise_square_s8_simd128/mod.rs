//! `depthwise_square_s8_simd128`: `depthwise_s8` with kernels of 3x3 and 5x5, strides of 1 and 2, at least eight channels, and
//! one output channel per input channel.
//!
//! Constants: 0 for each eight channels the taps of each kernel column in its first four rows, a zero for a fourth of three,
//! and of a fifth row its taps by four, `[groups][2][4 channels][4 taps]`; 1 per block the start of the sums and the scales
//! (`stage`). The last eight channels are a block even where some of them are in the one before. Scratch: eight zero points,
//! which stand for a tap on padding.
//!
//! Eight channels go along a row at a time: each input column is read and put side by side once for all taps that need it.

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
use super::stage::{Block, Stage};
use crate::vector::Strips;

/// Weights of eight channels and four taps.
pub type Group = [[i8; 16]; 2];

/// Groups of a block.
const fn groups(size: usize) -> usize {
    if size == 3 { 3 } else { 7 }
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
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
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
        (3, 1) => Depthwise::row::<ROUNDING, 3, 3, 1>,
        (3, _) => Depthwise::row::<ROUNDING, 3, 3, 2>,
        (_, 1) => Depthwise::row::<ROUNDING, 5, 7, 1>,
        _ => Depthwise::row::<ROUNDING, 5, 7, 2>,
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
}

impl Depthwise<'_> {
    /// `GROUPS`: those of kernels of `SIZE`.
    fn row<const ROUNDING: u8, const SIZE: usize, const GROUPS: usize, const STRIDE: usize>(
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
            let mut x = [beyond; SIZE];
            for _ in STRIDE..SIZE {
                x = pushed(x, next().ok_or(Mismatch)?);
            }
            let weights = weights.each_ref().map(Weights::load);
            let start = Weights::start(&weights, [block[0].start(), block[1].start()]);
            for to in to.chunks_exact_mut(self.channels.max(1)) {
                for _ in 0..STRIDE {
                    x = pushed(x, next().ok_or(Mismatch)?);
                }
                let mut sums = start;
                for (x, w) in x.iter().zip(&weights) {
                    sums = x.fours.plus(w, sums);
                }
                if let ([x0, x1, x2, x3, x4], [.., four, one]) = (&x[..], &weights[..]) {
                    sums = Fours::beside([x0.last, x1.last, x2.last, x3.last]).plus(four, sums);
                    sums = x4.last.plus(one, sums);
                }
                let to = to.get_mut(first..).and_then(<[i8]>::first_chunk_mut::<8>).ok_or(Mismatch)?;
                self.stage.codes::<ROUNDING>(sums, block, to);
            }
        }
        Ok(())
    }
}

/// The columns but the first, and one more.
#[inline(always)]
fn pushed<const N: usize>(x: [Column; N], new: Column) -> [Column; N] {
    core::array::from_fn(|i| x.get(i + 1).copied().unwrap_or(new))
}
