//! `average_pool_s8_simd128` and `max_pool_s8_simd128`: pools of at most 255 codes.
//!
//! Arguments are those of the portable kernels; no constants, no scratch. Sums of 255 codes fit 16 bits, and their quotients
//! come out exact from a product in floats: `(n + 1/2) / count` is at least `1 / 510` away from a whole number, of at most
//! 129, and is off by less than `1 / 30000`.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{pack_average, pack_max};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::pool_s8::{self, PoolArgs};
use mote_runtime::kernels::s8::{Window, require, s8_mut};
use mote_runtime::plan::Fault;

use super::gemm::filled_up;
use super::stage::eight_or_fewer;
use crate::vector::{I16x8, I32x4};

/// Accepts a step only if [`average`] and [`max`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = pool_s8::check(step) {
        return Err(fault);
    }
    let Some(args) = PoolArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(args.kernel_rows as u32 * (args.kernel_width as u32) < 256, Arguments);
    Ok(())
}

/// `average_pool_s8_simd128`.
pub fn average(call: Call<'_>) -> Result<(), Mismatch> {
    let args = PoolArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let taps = usize::from(args.kernel_rows) * usize::from(args.kernel_width);
    let padding = i16::from(args.padding_code);
    let finish = |sums: I16x8, count: usize| {
        let missing = taps.saturating_sub(count) as i16;
        let (sums, count) = match args.include_padding {
            0 => (sums, count),
            _ => (sums.plus(I16x8::splat(missing.wrapping_mul(padding))), taps),
        };
        match count {
            0 => I16x8::splat(padding).halves(),
            _ => sums.halves().map(|sums| quotient(sums, count)),
        }
    };
    pool(call, &args, I16x8::splat(0), I16x8::plus, finish)
}

/// `max_pool_s8_simd128`.
pub fn max(call: Call<'_>) -> Result<(), Mismatch> {
    let args = PoolArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    pool(call, &args, I16x8::splat(i8::MIN.into()), I16x8::larger, |codes, _| codes.halves())
}

/// `sums / count` to nearest, ties away from zero.
#[inline(always)]
fn quotient(sums: I32x4, count: usize) -> I32x4 {
    let sign = sums.shifted_right(31);
    let magnitude = sums.plus(sign).except(sign).plus(I32x4::splat((count / 2) as i32));
    let quotient = magnitude.over(count as f32);
    quotient.plus(sign).except(sign)
}

/// Combines the codes of each window, from `start`; `finish` gets the results and the number of codes.
#[inline(always)]
fn pool(
    call: Call<'_>,
    args: &PoolArgs,
    start: I16x8,
    combine: impl Fn(I16x8, I16x8) -> I16x8,
    finish: impl Fn(I16x8, usize) -> [I32x4; 2],
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let source = given.source(0)?;
    let columns = Columns::of(args.kernel_width, args.stride, args.dilation, args.pad_left);
    let channels = args.channels as usize;
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    let (min, max) = (I16x8::splat(args.min.into()), I16x8::splat(args.max.into()));
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        let rows = (0..window.len()).filter(|&k| window.get(k).is_some()).count();
        for (column, pixel) in s8_mut(to).chunks_exact_mut(channels.max(1)).enumerate() {
            let span = columns.span(column, width);
            let count = rows * (span.to - span.from);
            for (i, to) in pixel.chunks_mut(8).enumerate() {
                let mut sums = start;
                for row in (0..window.len()).filter_map(|k| window.get(k)) {
                    for tap in span.from..span.to {
                        let rest = row.get(span.column(tap) * channels + 8 * i..).ok_or(Mismatch)?;
                        let codes = match rest.first_chunk::<8>() {
                            Some(codes) => I16x8::widened(codes),
                            None => I16x8::widened(&filled_up(rest)),
                        };
                        sums = combine(sums, codes);
                    }
                }
                let sums = finish(sums, count);
                eight_or_fewer(to, |to| I16x8::codes(sums, min, max, to));
            }
        }
        Ok(())
    })
}
