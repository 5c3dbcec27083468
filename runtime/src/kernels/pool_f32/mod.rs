//! `average_pool_f32` and `max_pool_f32`.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::{AveragePoolF32, MaxPoolF32};

use crate::engine::{Call, Mismatch, Rows};
use crate::kernels::StepView;
use crate::kernels::columns::{Columns, Span};
use crate::kernels::numbers::{limit, numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `average_pool_f32` and `max_pool_f32`.
    pub struct PoolF32Args {
        pub channels: u32,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        /// Average: 1 if padding counts in the divisor.
        pub include_padding: u32,
        pub min: f32,
        pub max: f32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = PoolF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let channels = args.channels as usize;
    let fits = step.args().len() == PoolF32Args::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || channels == 0 || args.include_padding > 1 {
        return Err(Fault::Arguments);
    }
    if !step.is(0, DType::F32) || !step.is(1, DType::F32) {
        return Err(Fault::Shape);
    }
    if !step.row_len(0).is_multiple_of(channels) || !step.row_len(1).is_multiple_of(channels) {
        return Err(Fault::Shape);
    }
    if !args.columns().fits(step.row_len(1) / channels, step.row_len(0) / channels) {
        return Err(Fault::Arguments);
    }
    Ok(())
}

/// Mean of each window.
pub fn run_average(call: Call<'_>) -> Result<(), Mismatch> {
    pool(call, |args, rows, span, dst| {
        dst.fill(0.0);
        let mut count = 0;
        let channels = args.channels as usize;
        visit(rows, span, channels, |input| {
            count += 1;
            dst.iter_mut().zip(input).for_each(|(sum, x)| *sum += x);
        })?;
        if args.include_padding != 0 {
            count = rows.len() * usize::from(args.kernel_width);
        }
        let factor = 1.0 / count.max(1) as f32;
        dst.iter_mut().for_each(|sum| *sum = limit(*sum * factor, args.min, args.max));
        Ok(())
    })
}

/// Largest number of each window.
pub fn run_max(call: Call<'_>) -> Result<(), Mismatch> {
    pool(call, |args, rows, span, dst| {
        dst.fill(f32::NEG_INFINITY);
        visit(rows, span, args.channels as usize, |input| {
            dst.iter_mut().zip(input).for_each(|(max, x)| *max = if *x > *max { *x } else { *max });
        })?;
        dst.iter_mut().for_each(|max| *max = limit(*max, args.min, args.max));
        Ok(())
    })
}

impl PoolF32Args {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }
}

/// Computes every position of every row by `f(args, rows, taps, channels of the output)`.
#[inline(always)]
fn pool(
    call: Call<'_>,
    f: impl Fn(&PoolF32Args, Rows<'_>, Span, &mut [f32]) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let args = PoolF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let channels = (args.channels as usize).max(1);
    let columns = args.columns();
    let width = source.row_bytes() / 4 / channels;
    output.for_each(|slice, row, dst| {
        let rows = source.window(slice, row);
        let dst: &mut [f32] = numbers_mut(dst)?;
        dst.chunks_exact_mut(channels)
            .enumerate()
            .try_for_each(|(x, dst)| f(&args, rows, columns.span(x, width), dst))
    })
}

/// Calls `f` with the channels of each position in a window.
#[inline(always)]
fn visit(rows: Rows<'_>, span: Span, channels: usize, mut f: impl FnMut(&[f32])) -> Result<(), Mismatch> {
    for row in rows.iter().flatten() {
        let row: &[f32] = numbers(row)?;
        for column in (span.from..span.to).map(|tap| span.column(tap)) {
            f(row.get(column * channels..(column + 1) * channels).ok_or(Mismatch)?);
        }
    }
    Ok(())
}
