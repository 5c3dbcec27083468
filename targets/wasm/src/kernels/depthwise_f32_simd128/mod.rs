//! `depthwise_f32_simd128`: `depthwise_f32` with kernels 3 or 5 wide, strides of 1 or 2, and a multiple of four channels.
//!
//! Arguments and constants are those of the portable kernel; no scratch. Zeros stand for pixels and rows of padding, so that
//! four columns of a square kernel are computed at a time wherever they are, and an input and a weight are read once for all
//! of them.

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

use crate::vector::{Beside, F32x4};

/// Columns at a time.
const TILE: usize = 4;

/// Padding of all channels; layers with more are computed column by column.
static ZEROS: [f32; 2048] = [0.0; 2048];

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
        (3, 1, 1) => Job::row::<3, 1, 6>,
        (3, 2, 1) => Job::row::<3, 2, 9>,
        (5, 1, 1) => Job::row::<5, 1, 8>,
        (5, 2, 1) => Job::row::<5, 2, 11>,
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
    /// Computes a row, tile by tile; the last tile may compute columns again. A tile reads `REACH` columns of the input.
    fn row<const WIDTH: usize, const STRIDE: usize, const REACH: usize>(
        &self,
        window: &Window<'_>,
        to: &mut [f32],
    ) -> Result<(), Mismatch> {
        let columns = to.len().checked_div(self.channels).ok_or(Mismatch)?;
        if columns < TILE || self.channels > ZEROS.len() || window.len() != WIDTH {
            return self.columns(window, to);
        }
        let mut rows = [None; WIDTH];
        for (k, row) in rows.iter_mut().enumerate() {
            *row = window.get(k).map(bytemuck::try_cast_slice).transpose().map_err(|_| Mismatch)?;
        }
        let mut weights = [[&ZEROS[..]; WIDTH]; WIDTH];
        let stored = self.weights.chunks_exact(self.channels.max(1));
        weights.as_flattened_mut().iter_mut().zip(stored).for_each(|(weights, stored)| *weights = stored);
        let weights = Beside::new(weights, self.channels).ok_or(Mismatch)?;
        let mut column = 0;
        while column < columns {
            self.tile::<WIDTH, STRIDE, REACH>(rows, &weights, column.min(columns - TILE), to)?;
            column += TILE;
        }
        Ok(())
    }

    /// [`TILE`] columns from `column` on.
    fn tile<const WIDTH: usize, const STRIDE: usize, const REACH: usize>(
        &self,
        rows: [Option<&[f32]>; WIDTH],
        weights: &Beside<'_, WIDTH, WIDTH>,
        column: usize,
        to: &mut [f32],
    ) -> Result<(), Mismatch> {
        let channels = self.channels;
        let mut pixels = [[&ZEROS[..]; REACH]; WIDTH];
        for (row, pixels) in rows.into_iter().zip(&mut pixels) {
            let Some(row) = row else { continue };
            for (i, pixel) in pixels.iter_mut().enumerate() {
                let at = (column * STRIDE + i).checked_add_signed(-self.columns.pad_left);
                if let Some(at) = at.filter(|at| *at < self.width) {
                    *pixel = row.get(at * channels..).ok_or(Mismatch)?;
                }
            }
        }
        let pixels = Beside::new(pixels, channels).ok_or(Mismatch)?;
        let to = to.get_mut(column * channels..(column + TILE) * channels).ok_or(Mismatch)?;
        let mut to = to.chunks_exact_mut(channels.max(1)).map(|to| to.as_chunks_mut::<4>().0.iter_mut());
        let (Some(to0), Some(to1), Some(to2), Some(to3)) = (to.next(), to.next(), to.next(), to.next())
        else {
            return Err(Mismatch);
        };
        // Of which the compiler must not know: it would load all inputs first, more than there are registers for.
        let kernel_rows = core::hint::black_box(WIDTH);
        let bias = self.bias.as_chunks::<4>().0.iter();
        for (((((i, bias), to0), to1), to2), to3) in bias.enumerate().zip(to0).zip(to1).zip(to2).zip(to3) {
            let mut sums = [F32x4::load(bias); TILE];
            for (x, w) in pixels.at(4 * i).zip(weights.at(4 * i)).take(kernel_rows) {
                for (i, x) in x.into_iter().enumerate() {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        if i >= p * STRIDE
                            && let Some(w) = w.get(i - p * STRIDE)
                        {
                            *sum = sum.plus_product(x, *w);
                        }
                    }
                }
            }
            for (sum, to) in sums.into_iter().zip([to0, to1, to2, to3]) {
                sum.limited(self.min, self.max).store(to);
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
