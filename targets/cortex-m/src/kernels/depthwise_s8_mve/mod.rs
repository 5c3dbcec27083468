//! `depthwise_s8_mve`: `depthwise_s8` with one output channel for each input, any kernel.
//!
//! Constants: 0 weights in blocks of 16 channels, for each pair of taps 16 of the first and 16 of the second; 1 per block
//! 16 starts, multipliers and shifts (`mve::stage`) in the order in which products of bytes widen: channels 0, 4, 8, 12,
//! then those 2, 1 and 3 further. Scratch: the address of each tap of a position, then a pixel of padding.
//!
//! The lanes are channels. Two products fit 16 bits, unless both weights are -128: layers that have such a pair leave
//! every second tap of a pair empty.

mod channels;
#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{require, s8_mut};
use mote_runtime::kernels::target_s8::DepthwiseArgs;
use mote_runtime::plan::Fault;

use self::channels::{Channels, Compute, LANES, Scales, Weights};
use super::mve::stage::Stage;
use super::window::{ROWS, Window};

/// Taps of the kernel.
const fn taps(args: &DepthwiseArgs) -> usize {
    args.kernel_rows as usize * args.kernel_width as usize
}

/// Pairs of taps; `form` is 2, or 1 if the second one of each is empty.
const fn pairs(args: &DepthwiseArgs) -> usize {
    if args.form == 2 { taps(args).div_ceil(2) } else { taps(args) }
}

/// Bytes of scratch.
const fn scratch(pairs: usize, channels: usize) -> usize {
    8 * pairs + channels
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DepthwiseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    require!((args.form == 1 || args.form == 2) && args.rounding == 0, Arguments);
    let channels = args.channels as usize;
    require!(channels < 1 << 20 && taps(&args) > 0 && taps(&args) < 1 << 12, Arguments);
    require!(step.window(0) == args.kernel_rows as usize && step.window(0) <= ROWS, Shape);
    let blocks = channels.div_ceil(LANES);
    let weights = blocks as u64 * pairs(&args) as u64 * size_of::<Weights>() as u64;
    require!(weights < 1 << 28 && step.blob_is(0, weights as usize, 4), Shape);
    require!(step.blob_is(1, blocks * size_of::<Scales>(), 4), Shape);
    require!(step.scratch_bytes() >= scratch(pairs(&args), channels), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    for<'a> Channels<'a>: Compute<ROUNDING>,
{
    let Call { given, mut output, scratch } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let channels = args.channels as usize;
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    let (table, padding) = scratch.split_at_mut_checked(8 * pairs(&args)).ok_or(Mismatch)?;
    let padding = padding.get_mut(..channels).ok_or(Mismatch)?;
    let table: &mut [u32] = bytemuck::try_cast_slice_mut(table).map_err(|_| Mismatch)?;
    let columns = args.columns();
    let mut channels = Channels {
        count: channels,
        taps: taps(&args),
        table,
        weights: given.constants(0)?,
        scales: given.constants(1)?,
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    let mut window = Window::empty();
    // The padding is written when it is needed first.
    let mut unwritten = true;
    let beside = columns.reads_padding(output.row_bytes().checked_div(channels.count).unwrap_or(0), width);
    // Of slices of one row, each but the last one is followed by its neighbour.
    let last = if output.rows() == 1 { output.slices().end.wrapping_sub(1) } else { 0 };
    let row_bytes = source.row_bytes();
    output.for_each(|slice, row, to| {
        window.follow(&source.window(slice, row), row_bytes, slice >= last).ok_or(Mismatch)?;
        window.close();
        let to = s8_mut(to);
        if unwritten && (beside || !window.is_complete()) {
            padding.fill(args.input_zero_point as u8);
            unwritten = false;
        }
        for (column, to) in to.chunks_exact_mut(channels.count.max(1)).enumerate() {
            let position = Position { columns, window: &window, column, width, padding };
            channels.compute(&position, to)?;
        }
        channels.stage.clamp(to);
        Ok(())
    })
}

/// What one output column reads.
pub struct Position<'a> {
    columns: Columns,
    window: &'a Window<'a>,
    column: usize,
    /// Columns of a row, all of whose channels are there.
    width: usize,
    /// A pixel of padding.
    padding: &'a [u8],
}

impl Position<'_> {
    /// Taps one below the other that are all there: where their rows start, in pairs, and how far behind that their
    /// channels lie.
    #[cfg_attr(not(mote_mve), allow(dead_code))]
    #[inline(always)]
    fn column(&self) -> Option<(&[*const u8], usize)> {
        let at = ((self.column * self.columns.stride) as isize - self.columns.pad_left) as usize;
        let direct = self.columns.kernel_width == 1 && self.window.is_complete() && at < self.width;
        direct.then(|| (self.window.in_pairs(), at * self.padding.len()))
    }

    /// Calls `f` with the address of each tap's channels, in order.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(*const u8)) {
        let Columns { kernel_width, stride, dilation, pad_left } = self.columns;
        let first = (self.column * stride) as isize - pad_left;
        for start in self.window.starts() {
            let mut at = first;
            for _ in 0..kernel_width {
                // What lies left of the row wraps to where it has no columns.
                let inside = (at as usize) < self.width && !start.is_null();
                f(if inside {
                    start.wrapping_add(at as usize * self.padding.len())
                } else {
                    self.padding.as_ptr()
                });
                at += dilation as isize;
            }
        }
    }
}
