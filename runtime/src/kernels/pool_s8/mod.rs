//! `average_pool_s8` and `max_pool_s8`.
//!
//! Input 0: rows of `width * channels`; the window lists the pool's rows. Output: rows of `columns * channels`, at the
//! input's scale and zero point. No constants, no scratch.
//!
//! The average is rounded to nearest, ties away from zero, on the codes themselves, as TFLite does. Padding is left
//! out of it, or counts as `padding_code` if the arguments include it.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::PoolS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::columns::{Columns, Span};
use crate::kernels::s8::{LANES, Stage, Window, arguments, is_code, require, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of both pools.
    pub struct PoolArgs {
        pub channels: u32,
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        /// Average: whether padding counts.
        pub include_padding: u8,
        /// The code that counts for it: the zero point.
        pub padding_code: i8,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

impl PoolArgs {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }

    fn stage(&self) -> Stage {
        Stage { zero_point: 0, min: self.min, max: self.max, rounding: 0 }
    }
}

/// `average_pool_s8`.
pub fn average(call: Call<'_>) -> Result<(), Mismatch> {
    let args = PoolArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let stage = args.stage();
    let taps = i32::from(args.kernel_rows) * i32::from(args.kernel_width);
    let add = |acc: i32, code: i8| acc.wrapping_add(code.into());
    pool(call, &args, 0, add, |acc, count| stage.clamp(mean(&args, taps, acc, count)))
}

/// Sum over number, half away from zero. Called, not inlined, at the end of each window: a division is long anyway.
#[inline(never)]
fn mean(args: &PoolArgs, taps: i32, acc: i32, count: i32) -> i32 {
    let (acc, count) = if args.include_padding != 0 {
        let padding = taps.wrapping_sub(count).wrapping_mul(args.padding_code.into());
        (acc.wrapping_add(padding), taps)
    } else {
        (acc, count)
    };
    // A window that is all padding has no average.
    rounded_average(acc, count).unwrap_or(args.padding_code.into())
}

/// `sum / count` to nearest, ties away from zero; `None` of nothing.
#[inline(always)]
pub(crate) fn rounded_average(sum: i32, count: i32) -> Option<i32> {
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    sum.wrapping_add(half).checked_div(count)
}

/// `max_pool_s8`.
pub fn max(call: Call<'_>) -> Result<(), Mismatch> {
    let args = PoolArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let stage = args.stage();
    let larger = |acc: i32, code: i8| acc.max(code.into());
    pool(call, &args, i8::MIN.into(), larger, |acc, _| stage.clamp(acc))
}

/// Accepts a step only if [`average`] and [`max`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(PoolArgs, step);
    require!(step.inputs() == 1 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(args.min <= args.max && is_code(args.padding_code as i32), Arguments);
    let channels = args.channels as usize;
    require!(channels > 0, Arguments);
    require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1).is_multiple_of(channels), Shape);
    require!(args.columns().fits(step.row_len(1) / channels, step.row_len(0) / channels), Shape);
    require!(args.kernel_rows > 0 && step.window(0) == args.kernel_rows as usize, Shape);
    require!(args.kernel_rows as u32 * (args.kernel_width as u32) < 1 << 24, Arguments);
    Ok(())
}

/// Combines the codes of each window, from `start`, with `combine`; `finish` gets the result and the number of codes.
#[inline(always)]
fn pool(
    call: Call<'_>,
    args: &PoolArgs,
    start: i32,
    combine: impl Fn(i32, i8) -> i32,
    finish: impl Fn(i32, i32) -> i8,
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let source = given.source(0)?;
    let columns = args.columns();
    let channels = args.channels as usize;
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        let rows = (0..window.len()).filter(|&k| window.get(k).is_some()).count();
        for (column, pixel) in s8_mut(to).chunks_exact_mut(channels.max(1)).enumerate() {
            let span = columns.span(column, width);
            let count = (rows * (span.to - span.from)) as i32;
            let mut c = 0;
            let mut blocks = pixel.chunks_exact_mut(LANES);
            for to in &mut blocks {
                let acc = block::<LANES>(&window, &span, channels, c, start, &combine)?;
                for (to, acc) in to.iter_mut().zip(acc) {
                    *to = finish(acc, count);
                }
                c += LANES;
            }
            for to in blocks.into_remainder() {
                let [acc] = block::<1>(&window, &span, channels, c, start, &combine)?;
                *to = finish(acc, count);
                c += 1;
            }
        }
        Ok(())
    })
}

/// Channels `c .. c + N` of one output column.
#[inline(always)]
fn block<const N: usize>(
    window: &Window<'_>,
    span: &Span,
    channels: usize,
    c: usize,
    start: i32,
    combine: &impl Fn(i32, i8) -> i32,
) -> Result<[i32; N], Mismatch> {
    let mut acc = [start; N];
    for k in 0..window.len() {
        let Some(row) = window.get(k) else { continue };
        for tap in span.from..span.to {
            let at = span.column(tap) * channels + c;
            let x = row.get(at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(Mismatch)?;
            for (acc, &x) in acc.iter_mut().zip(x) {
                *acc = combine(*acc, x);
            }
        }
    }
    Ok(acc)
}
