//! `conv_f32_neon`: `conv2d_f32` without groups.
//!
//! Arguments and constants are those of the portable kernel. Scratch: the inputs of eight positions, unless the kernel
//! has one row, and its inputs lie side by side: then positions are read where they are.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::conv2d_f32::{self, ConvF32Args};
use mote_runtime::kernels::s8::{Window, require, s8_mut};
use mote_runtime::plan::Fault;

use super::dot::POSITIONS;
use super::dot_f32::Layer;
use super::windows::Windows;

/// Bytes of scratch for positions of this many inputs.
const fn scratch(inputs: usize) -> usize {
    POSITIONS * inputs * 4
}

/// Numbers that a position has.
const fn inputs(args: &ConvF32Args) -> usize {
    args.kernel_rows as usize * args.kernel_width as usize * args.in_channels as usize
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = conv2d_f32::check(step) {
        return Err(fault);
    }
    let Some(args) = ConvF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(args.groups == 1, Arguments);
    let taps = args.kernel_rows as u64 * args.kernel_width as u64;
    require!(taps * (args.in_channels as u64) < 1 << 25, Arguments);
    require!(step.scratch_bytes() >= scratch(inputs(&args)), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = ConvF32Args::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let layer = Layer {
        weights: given.constants(0)?,
        bias: given.constants(1)?,
        inputs: inputs(&args),
        min: args.min,
        max: args.max,
    };
    let pixel = args.in_channels as usize * 4;
    let windows = Windows {
        pixel,
        columns: Columns::of(args.kernel_width, args.stride, args.dilation, args.pad_left),
        run: args.kernel_width as usize * pixel,
        position: layer.inputs * 4,
        output: args.out_channels as usize * 4,
        // Of a zero each byte is 0.
        padding: 0,
    };
    let width = source.row_bytes().checked_div(pixel).ok_or(Mismatch)?;
    let pointwise = args.kernel_rows == 1 && args.kernel_width == 1 && args.pad_left == 0;
    let x = s8_mut(scratch);
    output.for_each(|slice, row, to| {
        let rows = source.window(slice, row);
        if pointwise
            && let Some(row) = rows.get(0)
            && let (Ok(row), Ok(to)) = (bytemuck::try_cast_slice(row), bytemuck::try_cast_slice_mut(to))
            && to.len().checked_div(layer.bias.len()).is_some_and(|columns| reaches(&args, columns, width))
        {
            return layer.positions(row, args.stride as usize * args.in_channels as usize, to);
        }
        let mut window = Window::unkept(rows);
        window.keep();
        windows.row(&window, width, x, s8_mut(to), |x, to| {
            let x = bytemuck::try_cast_slice(x).map_err(|_| Mismatch)?;
            layer.positions(x, layer.inputs, bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?)
        })
    })
}

/// Whether no column of a pointwise layer lies beyond the end of a row of `width` pixels.
fn reaches(args: &ConvF32Args, columns: usize, width: usize) -> bool {
    columns.saturating_sub(1) * usize::from(args.stride) < width
}
