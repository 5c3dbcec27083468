//! `max_pool_s8_dsp` and `average_pool_s8_dsp`: `max_pool_s8` and `average_pool_s8` of up to 64 taps, eight channels at
//! a time.
//!
//! Operands and arguments as of the portable kernels. The largest of four codes takes two instructions (`SSUB8`, `SEL`),
//! and so does adding four to sums of 16 bits (`SXTAB16`), for which 64 codes are few enough.

mod loops;
#[cfg(feature = "pack")]
mod pack;
#[cfg(not(mote_mve))]
pub(super) use self::loops::{plain, rounded};
#[cfg(feature = "pack")]
pub(super) use pack::few_taps;
#[cfg(feature = "pack")]
pub use pack::{pack_average, pack_max};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::pool_s8::{self, PoolArgs};
use mote_runtime::kernels::s8::{arguments, require, s8_mut};
use mote_runtime::plan::Fault;

use super::stage::Stage;
use super::taps::{TAPS, Taps};
use super::window::{ROWS, Window};

/// Accepts a step only if [`max`] and [`average`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = pool_s8::check(step) {
        return Err(fault);
    }
    let args = arguments!(PoolArgs, step);
    require!(fits(args.kernel_rows as usize, args.kernel_width as usize), Arguments);
    Ok(())
}

/// Whether there is room for the taps of such a kernel.
const fn fits(rows: usize, width: usize) -> bool {
    rows <= ROWS && width <= TAPS && rows * width <= TAPS
}

/// `max_pool_s8_dsp`.
pub fn max(call: Call<'_>) -> Result<(), Mismatch> {
    pool(call, |_| i8::MIN, |taps, _, to| loops::max(taps, to))
}

/// `average_pool_s8_dsp`.
pub fn average(call: Call<'_>) -> Result<(), Mismatch> {
    pool(call, |args| args.padding_code, loops::average)
}

/// How sums become averages.
#[derive(Clone, Copy)]
pub struct Average {
    /// What the padding adds.
    pub start: i16,
    /// Codes that count, at least one and at most [`TAPS`].
    pub count: u16,
}

/// Calls `codes(taps, average, to)` for each output column that has taps inside the input; others are `empty`.
#[inline(always)]
pub(super) fn pool(
    call: Call<'_>,
    empty: impl Fn(&PoolArgs) -> i8,
    codes: impl Fn(&Taps<'_>, Average, &mut [i8]),
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = PoolArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let columns = Columns::of(args.kernel_width, args.stride, args.dilation, args.pad_left);
    let channels = args.channels as usize;
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    let all = args.kernel_rows.wrapping_mul(args.kernel_width);
    let stage = Stage { zero_point: 0, min: args.min, max: args.max };
    let mut taps = Taps::new(channels);
    let mut window = Window::empty();
    output.for_each(|slice, row, to| {
        window.look_up(&source.window(slice, row), source.row_bytes()).ok_or(Mismatch)?;
        let to = s8_mut(to);
        for (column, to) in to.chunks_exact_mut(channels.max(1)).enumerate() {
            taps.list(&window, &columns, column, width, None).ok_or(Mismatch)?;
            let count = taps.starts().len() as u16;
            let average = match args.include_padding {
                0 => Average { start: 0, count },
                _ => {
                    let padding = all.wrapping_sub(count) as i16;
                    Average { start: padding.wrapping_mul(args.padding_code.into()), count: all }
                }
            };
            if count > 0 {
                codes(&taps, average, to);
            } else {
                to.fill(empty(&args));
            }
        }
        stage.clamp(to);
        Ok(())
    })
}
