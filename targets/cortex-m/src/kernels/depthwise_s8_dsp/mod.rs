//! `depthwise_s8_dsp`: `depthwise_s8` of any kernel, with one output channel per input channel, channels in fours.
//!
//! Constants: 0 for each four channels the taps, each two words of 16 bits: twice the weights of channels 0 and 2, of 1
//! and 3; 1 for each four channels twice their starts, then the scale of each. Scratch: a byte for each channel.
//!
//! A word of the input holds four channels of a tap: two instructions unpack it, four multiply.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;
mod pixel;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{require, s8_mut};
use mote_runtime::kernels::target_s8::DepthwiseArgs;
use mote_runtime::plan::Fault;

use self::pixel::{Block, Compute, Layer};
use super::stage::Stage;
use super::taps::{TAPS, Taps};
use super::window::{ROWS, Window};

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DepthwiseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let channels = args.channels as usize;
    require!(channels.is_multiple_of(4), Arguments);
    let rows = args.kernel_rows as usize;
    require!(rows > 0 && rows <= ROWS && step.window(0) == rows, Shape);
    require!(rows * args.kernel_width as usize <= TAPS && step.scratch_bytes() >= channels, Shape);
    let weights = rows as u64 * args.kernel_width as u64 * channels as u64 * 2;
    require!(weights < 1 << 28 && step.blob_is(0, weights as usize, 4), Shape);
    require!(step.blob_is(1, channels / 4 * size_of::<Block>(), 4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    for<'a> Layer<'a>: Compute<ROUNDING>,
{
    let Call { given, mut output, scratch } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let padding = scratch.get_mut(..args.channels as usize).ok_or(Mismatch)?;
    let (channels, columns) = (args.channels as usize, args.columns());
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    let layer = Layer {
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max },
        weights: given.constants(0)?,
        blocks: given.constants(1)?,
    };
    let mut window = Window::empty();
    // The padding is written when it is needed first.
    let mut unwritten = true;
    let beside = columns.reads_padding(output.row_bytes().checked_div(channels).unwrap_or(0), width);
    output.for_each(|slice, row, to| {
        window.look_up(&source.window(slice, row), source.row_bytes()).ok_or(Mismatch)?;
        let to = s8_mut(to);
        if unwritten && (beside || !window.is_complete()) {
            padding.fill(args.input_zero_point as u8);
            unwritten = false;
        }
        let mut taps = Taps::new(channels);
        for (column, pixel) in to.chunks_exact_mut(channels.max(1)).enumerate() {
            taps.list(&window, &columns, column, width, Some(&*padding)).ok_or(Mismatch)?;
            layer.pixel::<ROUNDING>(&taps, pixel).ok_or(Mismatch)?;
        }
        layer.stage.clamp(to);
        Ok(())
    })
}
