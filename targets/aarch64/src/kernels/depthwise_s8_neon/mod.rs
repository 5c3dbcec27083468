//! `depthwise_s8_neon`: `depthwise_s8` with one output channel for each input, at least eight, any kernel of few taps.
//!
//! Constants: 0 weights in blocks of channels (`columns`); 1 per block 16 starts, multipliers and shifts. Scratch: a row of
//! zero points.
//!
//! Neighbouring output columns that meet no padding on their sides are computed together, one block of channels after
//! the other, so that its weights stay in registers; columns that do alone. What a tap reads is a list of pieces of rows,
//! or of the row of zero points. With dot products a kernel of 3 x 3 computes whole rows, padding included.

mod columns;
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

#[cfg(target_arch = "aarch64")]
use self::columns::Walk;
use self::columns::{GROUP, Kernel, LANES, Layer, Scales, Weights, blocks};
use super::level::Level;
use super::stage::Stage;

/// The kernel's size.
const fn kernel(args: &DepthwiseArgs) -> Kernel {
    Kernel { rows: args.kernel_rows as usize, width: args.kernel_width as usize }
}

/// Most places for taps, those that stay empty included.
const SLOTS: usize = 64;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DepthwiseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    require!(Stage::is_sound(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.form <= 1, Arguments);
    let channels = args.channels as usize;
    require!(channels >= LANES / 2 && channels < 1 << 20, Arguments);
    require!(args.kernel_rows > 0 && args.kernel_width > 0, Arguments);
    require!((args.kernel_rows as usize) < SLOTS && (args.kernel_width as usize) < SLOTS, Arguments);
    let groups = kernel(&args).groups();
    require!(groups * GROUP <= SLOTS, Arguments);
    require!(step.window(0) == args.kernel_rows as usize, Shape);
    let blocks = blocks(channels);
    require!(step.blob_is(0, blocks * groups * size_of::<Weights>(), 1), Shape);
    require!(step.blob_is(1, blocks * size_of::<Scales>(), 4), Shape);
    require!(step.scratch_bytes() >= step.row_len(0), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let padding = s8_mut(scratch.get_mut(..source.row_bytes()).ok_or(Mismatch)?);
    padding.fill(args.input_zero_point as i8);
    let channels = args.channels as usize;
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    let kernel = kernel(&args);
    let mut job = Job {
        width,
        columns: args.columns(),
        kernel,
        code: args.input_zero_point as i8,
        padding,
        slots: [&[]; SLOTS],
        layer: Layer {
            channels,
            kernel,
            narrow: args.form != 0,
            dense: args.dilation == 1,
            level: Level::of_this_core(),
            weights: given.constants(0)?,
            scales: given.constants(1)?,
            stage: Stage {
                zero_point: args.zero_point,
                min: args.min,
                max: args.max,
                rounding: args.rounding,
            },
        },
    };
    output.for_each(|slice, row, to| {
        let mut window = Window::unkept(source.window(slice, row));
        window.keep();
        job.row(&window, s8_mut(to))
    })
}

/// A layer, and what the columns at hand read.
struct Job<'a> {
    width: usize,
    columns: Columns,
    kernel: Kernel,
    /// The zero point, and a row of it.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    code: i8,
    padding: &'a [i8],
    /// What each tap reads.
    slots: [&'a [i8]; SLOTS],
    layer: Layer<'a>,
}

impl<'a> Job<'a> {
    /// Computes one output row.
    fn row(&mut self, window: &Window<'a>, to: &mut [i8]) -> Result<(), Mismatch> {
        let channels = self.layer.channels.max(1);
        #[cfg(target_arch = "aarch64")]
        if self.layer.takes_rows(self.columns.stride) {
            let rows = [0, 1, 2].map(|k| window.get(k).unwrap_or(self.padding));
            let Columns { stride, pad_left, .. } = self.columns;
            return self.layer.row(rows, &Walk { width: self.width, stride, pad_left }, self.code, to);
        }
        let interior = self.columns.interior(to.len() / channels, self.width);
        let (left, rest) = to.split_at_mut_checked(interior.start * channels).ok_or(Mismatch)?;
        let (middle, right) = rest.split_at_mut_checked(interior.len() * channels).ok_or(Mismatch)?;
        for (column, to) in left.chunks_exact_mut(channels).enumerate() {
            self.some(window, column, to)?;
        }
        if !middle.is_empty() {
            self.some(window, interior.start, middle)?;
        }
        for (column, to) in right.chunks_exact_mut(channels).enumerate() {
            self.some(window, interior.end + column, to)?;
        }
        Ok(())
    }

    /// Output columns from `column` on: one, or several that meet no padding on their sides.
    fn some(&mut self, window: &Window<'a>, column: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let channels = self.layer.channels;
        let first = (column * self.columns.stride) as isize - self.columns.pad_left;
        let slots = self.slots.get_mut(..self.kernel.groups() * GROUP).ok_or(Mismatch)?;
        for (slot, reads) in slots.iter_mut().enumerate() {
            let (k, tap) = self.kernel.tap(slot);
            let at = first + (tap * self.columns.dilation) as isize;
            *reads = match (window.get(k), usize::try_from(at)) {
                (Some(row), Ok(at)) if at < self.width => row.get(at * channels..).ok_or(Mismatch)?,
                _ => self.padding,
            };
        }
        self.layer.columns(slots, self.columns.stride * channels, to)
    }
}
