//! `conv_s8_neon`: `conv2d_s8` without groups.
//!
//! Constants: 0 weights in blocks of eight output channels (`dot`), the inputs of a channel in the order of the
//! definition; 1 per block the start of the sums and the scales. Scratch: the inputs of eight positions, unless the kernel
//! has one row, and its inputs are whole steps side by side: then positions are read where they are.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{Window, require, s8, s8_mut};
use mote_runtime::kernels::target_s8::ConvArgs;
use mote_runtime::plan::Fault;

use super::dot::{Block, CHANNELS, Layer, POSITIONS, STEP, Weights, steps};
use super::stage::Stage;
use super::windows::Windows;

/// Bytes of scratch for positions of this many inputs.
pub(super) const fn scratch(inputs: usize) -> usize {
    POSITIONS * STEP * steps(inputs)
}

/// Whether positions can be read where they are: the kernel has one row, and what it reads lies side by side, in whole
/// steps, beside no padding.
const fn lies_ready(args: &ConvArgs, width: usize, columns: usize) -> bool {
    let run = args.kernel_width as usize * args.in_channels as usize;
    let last = (columns as i64 - 1) * args.stride as i64 + args.kernel_width as i64 - args.pad_left as i64;
    args.kernel_rows == 1
        && (args.dilation == 1 || args.kernel_width == 1)
        && run.is_multiple_of(STEP)
        && args.pad_left <= 0
        && last <= width as i64
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match ConvArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    require!(Stage::is_sound(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.form <= 1, Arguments);
    let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
    let (width, columns) = (step.row_len(0) / inputs, step.row_len(1) / outputs);
    require!(args.kernel_rows > 0 && step.window(0) == args.kernel_rows as usize, Shape);
    let taps = args.kernel_rows as u64 * args.kernel_width as u64;
    require!(taps * (inputs as u64) < 1 << 24, Arguments);
    let per_output = taps as usize * inputs;
    require!(constants_fit(step, per_output, outputs), Shape);
    let ready = lies_ready(&args, width, columns);
    let given = step.scratch_bytes();
    require!(given >= scratch(per_output) || ready && given == 0, Shape);
    Ok(())
}

/// Whether weights and scales have the sizes of a layer of `outputs` channels of `inputs` inputs.
pub(super) const fn constants_fit(step: &StepView<'_>, inputs: usize, outputs: usize) -> bool {
    let blocks = outputs.div_ceil(CHANNELS);
    let weights = steps(inputs) as u64 * blocks as u64 * size_of::<Weights>() as u64;
    weights < 1 << 31
        && step.blob_is(0, weights as usize, 1)
        && step.blob_is(1, blocks * size_of::<Block>(), 4)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = ConvArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let in_channels = args.in_channels as usize;
    let run = args.kernel_width as usize * in_channels;
    let layer = Layer {
        weights: given.constants(0)?,
        blocks: given.constants(1)?,
        steps: steps(run * usize::from(args.kernel_rows)),
        out_channels: args.out_channels as usize,
        narrow: args.form != 0,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding },
    };
    let windows = Windows {
        pixel: in_channels,
        columns: args.columns(),
        run,
        position: layer.steps * STEP,
        output: layer.out_channels,
        padding: args.input_zero_point as i8,
    };
    let width = source.row_bytes().checked_div(in_channels).ok_or(Mismatch)?;
    let x = s8_mut(scratch);
    if x.is_empty() {
        let first = args.pad_left.unsigned_abs() as usize * in_channels;
        let distance = windows.columns.stride * in_channels;
        return output.for_each(|slice, row, to| {
            let Some(row) = source.window(slice, row).get(0) else {
                return layer.padding(windows.padding, s8_mut(to));
            };
            layer.positions(s8(row).get(first..).ok_or(Mismatch)?, distance, s8_mut(to))
        });
    }
    output.for_each(|slice, row, to| {
        let mut window = Window::unkept(source.window(slice, row));
        window.keep();
        windows.row(&window, width, x, s8_mut(to), |x, to| layer.positions(x, windows.position, to))
    })
}
