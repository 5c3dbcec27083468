//! `conv_f32_simd128` and `conv_f32_w16_simd128`: `conv2d_f32` and `conv2d_f32_w16` without groups.
//!
//! Arguments and constants are those of the portable kernels, which compute rows of fewer than four columns. Scratch: the
//! inputs of four positions as they stand in the rows, a block of weights in half precision as floats, then groups of inputs
//! side by side (`gemm_f32`), as many as the scratch has room for: so many positions meet a block of weights while it is in the
//! cache.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, KernelFn, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::conv2d_f32::{self, ConvF32Args};
use mote_runtime::kernels::numbers::numbers_mut;
use mote_runtime::kernels::s8::{Window, require};
use mote_runtime::plan::Fault;

use super::gather::Gather;
use super::gemm::GROUP;
use super::gemm_f32::{Halves, Inputs, Layer, Stored, Weights, beside, memory};
use crate::vector::F32x4;

/// Bytes of scratch for the inputs of a group as they are.
const fn copies(inputs: usize) -> usize {
    GROUP * inputs * size_of::<f32>()
}

/// Bytes of scratch for a block of weights.
const fn room<W: Stored>(inputs: usize) -> usize {
    if W::NEEDS_ROOM { inputs * size_of::<Weights>() } else { 0 }
}

/// Bytes of scratch for a group.
const fn group(inputs: usize) -> usize {
    memory(inputs) * size_of::<Inputs>()
}

/// Numbers that a position has.
const fn inputs(args: &ConvF32Args) -> u64 {
    args.kernel_rows as u64 * args.kernel_width as u64 * args.in_channels as u64
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    match conv2d_f32::check(step) {
        Ok(()) => check_scratch::<Weights>(step),
        refused => refused,
    }
}

/// Accepts a step only if [`run_w16`] can serve it.
pub const fn check_w16(step: &StepView<'_>) -> Result<(), Fault> {
    match conv2d_f32::check_w16(step) {
        Ok(()) => check_scratch::<Halves>(step),
        refused => refused,
    }
}

const fn check_scratch<W: Stored>(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = ConvF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(args.groups == 1 && inputs(&args) < 1 << 25, Arguments);
    let inputs = inputs(&args) as usize;
    require!(step.scratch_bytes() >= copies(inputs) + room::<W>(inputs) + group(inputs), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    convolve::<Weights>(call, conv2d_f32::run)
}

/// The same with weights in half precision.
pub fn run_w16(call: Call<'_>) -> Result<(), Mismatch> {
    convolve::<Halves>(call, conv2d_f32::run_w16)
}

/// Rows that have fewer columns than a group are for `narrow`.
fn convolve<W: Stored>(call: Call<'_>, narrow: KernelFn) -> Result<(), Mismatch> {
    let args = ConvF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    if call.output.row_bytes() / 4 < GROUP * args.out_channels as usize {
        return narrow(call);
    }
    let Call { given, mut output, scratch } = call;
    let source = given.source(0)?;
    let inputs = inputs(&args) as usize;
    let conv = Conv {
        gather: Gather {
            in_channels: args.in_channels as usize,
            inputs,
            columns: Columns::of(args.kernel_width, args.stride, args.dilation, args.pad_left),
            padding: 0.0,
        },
        layer: Layer::<W> {
            weights: given.constants(0)?,
            bias: given.constants(1)?,
            inputs,
            min: F32x4::splat(args.min),
            max: F32x4::splat(args.max),
        },
    };
    let width = (source.row_bytes() / 4).checked_div(conv.gather.in_channels).ok_or(Mismatch)?;
    let (copies, rest) = scratch.split_at_mut_checked(copies(inputs)).ok_or(Mismatch)?;
    let (room, groups) = rest.split_at_mut_checked(room::<W>(inputs)).ok_or(Mismatch)?;
    let whole = groups.len() / size_of::<Inputs>() * size_of::<Inputs>();
    let groups = numbers_mut(groups.get_mut(..whole).ok_or(Mismatch)?)?;
    let (copies, room) = (numbers_mut(copies)?, numbers_mut(room)?);
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        conv.row(&window, width, (copies, room, groups), numbers_mut(to)?)
    })
}

/// A convolution.
struct Conv<'a, W> {
    gather: Gather<f32>,
    layer: Layer<'a, W>,
}

impl<W: Stored> Conv<'_, W> {
    /// Computes one output row: as many groups as there is memory for are put side by side, then multiplied with all blocks.
    fn row(
        &self,
        window: &Window<'_>,
        width: usize,
        (copies, room, groups): (&mut [f32], &mut [Weights], &mut [Inputs]),
        to: &mut [f32],
    ) -> Result<(), Mismatch> {
        let channels = self.layer.bias.len();
        let columns = to.len().checked_div(channels).ok_or(Mismatch)?;
        let memory = memory(self.layer.inputs).max(1);
        let positions = groups.len() / memory * GROUP;
        let mut column = 0;
        for to in to.chunks_mut((positions * channels).max(1)) {
            let end = (column + positions).min(columns);
            for group in groups.chunks_exact_mut(memory) {
                if column < end {
                    beside(self.gather.four(window, column, end, width, copies)?, group);
                    column += GROUP;
                }
            }
            column = end;
            self.layer.positions(groups, room, to)?;
        }
        Ok(())
    }
}
