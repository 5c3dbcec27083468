//! `depthwise_f32_simd128`: `depthwise_f32` with kernels 3 or 5 wide, strides of 1 or 2, and a multiple of four channels.
//!
//! Arguments and constants are those of the portable kernel; no scratch. Four columns that touch no padding at the sides are
//! computed at a time, so that an input and a weight are read once for all of them.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::depthwise_f32::{self, DepthwiseF32Args};
use mote_runtime::kernels::s8::{Window, require};
use mote_runtime::plan::Fault;

use crate::vector::{F32x4, Spaced};

/// Columns at a time.
const TILE: usize = 4;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = depthwise_f32::check(step) {
        return Err(fault);
    }
    let Some(args) = DepthwiseF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(args.multiplier == 1 && args.in_channels.is_multiple_of(4), Arguments);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = DepthwiseF32Args::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let channels = args.in_channels as usize;
    let width = (source.row_bytes() / 4).checked_div(channels).ok_or(Mismatch)?;
    let job = Job {
        columns: Columns::of(args.kernel_width, args.stride, args.dilation, args.pad_left),
        width,
        channels,
        weights: given.constants(0)?,
        bias: given.constants(1)?,
        min: F32x4::splat(args.min),
        max: F32x4::splat(args.max),
    };
    let row = match (args.kernel_width, args.stride, args.dilation) {
        (3, 1, 1) => Job::row::<3, 1>,
        (3, 2, 1) => Job::row::<3, 2>,
        (5, 1, 1) => Job::row::<5, 1>,
        (5, 2, 1) => Job::row::<5, 2>,
        _ => Job::columns,
    };
    output.for_each(|slice, y, to| {
        let window = Window::new(source.window(slice, y));
        row(&job, &window, bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?)
    })
}

/// What stays the same for all rows.
struct Job<'a> {
    columns: Columns,
    /// Columns of the input.
    width: usize,
    channels: usize,
    weights: &'a [f32],
    bias: &'a [f32],
    min: F32x4,
    max: F32x4,
}

impl Job<'_> {
    /// Computes a row, tile by tile; the last tile may compute columns again.
    fn row<const WIDTH: usize, const STRIDE: usize>(
        &self,
        window: &Window<'_>,
        to: &mut [f32],
    ) -> Result<(), Mismatch> {
        let columns = to.len().checked_div(self.channels).ok_or(Mismatch)?;
        let interior = self.columns.interior(columns, self.width);
        if interior.len() < TILE {
            return self.columns(window, to);
        }
        for column in (0..interior.start).chain(interior.end..columns) {
            self.column(window, column, to)?;
        }
        let mut column = interior.start;
        while column < interior.end {
            self.tile::<WIDTH, STRIDE>(window, column.min(interior.end - TILE), to)?;
            column += TILE;
        }
        Ok(())
    }

    /// [`TILE`] columns from `column` on, whose windows touch no padding at the sides.
    #[inline(always)]
    fn tile<const WIDTH: usize, const STRIDE: usize>(
        &self,
        window: &Window<'_>,
        column: usize,
        to: &mut [f32],
    ) -> Result<(), Mismatch> {
        let first = (column * STRIDE).checked_add_signed(-self.columns.pad_left).ok_or(Mismatch)?;
        let (first, start) = (first * self.channels, column * self.channels);
        let of_row = WIDTH * self.channels;
        for channel in (0..self.channels).step_by(4) {
            let mut sums = [vector(self.bias, channel).ok_or(Mismatch)?; TILE];
            for k in 0..window.len() {
                let Some(row) = window.get(k) else { continue };
                let row: &[f32] = bytemuck::try_cast_slice(row).map_err(|_| Mismatch)?;
                let weights = Spaced::new(self.weights, k * of_row + channel, self.channels, WIDTH);
                let weights = weights.ok_or(Mismatch)?;
                let w: [F32x4; WIDTH] = core::array::from_fn(|tap| weights.get(tap));
                let reach = const { (TILE - 1) * STRIDE + WIDTH };
                let x = Spaced::new(row, first + channel, self.channels, reach).ok_or(Mismatch)?;
                for i in 0..reach {
                    let x = x.get(i);
                    for (p, sum) in sums.iter_mut().enumerate() {
                        if i >= p * STRIDE
                            && let Some(w) = w.get(i - p * STRIDE)
                        {
                            *sum = sum.plus_product(x, *w);
                        }
                    }
                }
            }
            for (p, sum) in sums.into_iter().enumerate() {
                let to = to.get_mut(start + p * self.channels + channel..).and_then(<[f32]>::first_chunk_mut);
                sum.limited(self.min, self.max).store(to.ok_or(Mismatch)?);
            }
        }
        Ok(())
    }

    /// Computes a row column by column.
    fn columns(&self, window: &Window<'_>, to: &mut [f32]) -> Result<(), Mismatch> {
        let columns = to.len().checked_div(self.channels).ok_or(Mismatch)?;
        (0..columns).try_for_each(|column| self.column(window, column, to))
    }

    /// A column whose window may reach into padding.
    fn column(&self, window: &Window<'_>, column: usize, to: &mut [f32]) -> Result<(), Mismatch> {
        let span = self.columns.span(column, self.width);
        let to = to.get_mut(column * self.channels..).and_then(|to| to.get_mut(..self.channels));
        let (to, _) = to.ok_or(Mismatch)?.as_chunks_mut::<4>();
        for (i, to) in to.iter_mut().enumerate() {
            let channel = 4 * i;
            let mut sum = vector(self.bias, channel).ok_or(Mismatch)?;
            for k in 0..window.len() {
                let Some(row) = window.get(k) else { continue };
                let row: &[f32] = bytemuck::try_cast_slice(row).map_err(|_| Mismatch)?;
                for tap in span.from..span.to {
                    let x = vector(row, span.column(tap) * self.channels + channel).ok_or(Mismatch)?;
                    let at = (k * self.columns.kernel_width + tap) * self.channels + channel;
                    sum = sum.plus_product(x, vector(self.weights, at).ok_or(Mismatch)?);
                }
            }
            sum.limited(self.min, self.max).store(to);
        }
        Ok(())
    }
}

/// The four numbers from `at` on.
#[inline(always)]
fn vector(numbers: &[f32], at: usize) -> Option<F32x4> {
    numbers.get(at..)?.first_chunk().map(F32x4::load)
}
