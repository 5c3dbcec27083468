//! `conv_f32_simd128`: `conv2d_f32` without groups.
//!
//! Arguments and constants are those of the portable kernel, which computes rows of fewer than four columns. Scratch: the
//! inputs of four positions as they stand in the rows, then groups of them side by side (`gemm_f32`), as many as the scratch
//! has room for: so many positions meet a block of weights while it is in the cache.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::conv2d_f32::{self, ConvF32Args};
use mote_runtime::kernels::s8::{Window, require};
use mote_runtime::plan::Fault;

use super::gather::Gather;
use super::gemm::GROUP;
use super::gemm_f32::{Inputs, Layer, beside, memory};
use crate::vector::F32x4;

/// Numbers of scratch for the inputs of a group as they are.
const fn copies(inputs: usize) -> usize {
    GROUP * inputs
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
    if let Err(fault) = conv2d_f32::check(step) {
        return Err(fault);
    }
    let Some(args) = ConvF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(args.groups == 1 && inputs(&args) < 1 << 25, Arguments);
    let inputs = inputs(&args) as usize;
    require!(step.scratch_bytes() >= 4 * copies(inputs) + group(inputs), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ConvF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let channels = args.out_channels as usize;
    if call.output.row_bytes() / 4 < GROUP * channels {
        return conv2d_f32::run(call);
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
        layer: Layer {
            weights: given.constants(0)?,
            bias: given.constants(1)?,
            inputs,
            min: F32x4::splat(args.min),
            max: F32x4::splat(args.max),
        },
    };
    let width = (source.row_bytes() / 4).checked_div(conv.gather.in_channels).ok_or(Mismatch)?;
    let (copies, groups) = scratch.split_at_mut_checked(4 * copies(inputs)).ok_or(Mismatch)?;
    let whole = groups.len() / size_of::<Inputs>() * size_of::<Inputs>();
    let (copies, groups) = (numbers_mut(copies)?, numbers_mut(groups.get_mut(..whole).ok_or(Mismatch)?)?);
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        conv.row(&window, width, copies, groups, numbers_mut(to)?)
    })
}

/// A convolution.
struct Conv<'a> {
    gather: Gather<f32>,
    layer: Layer<'a>,
}

impl Conv<'_> {
    /// Computes one output row: as many groups as there is memory for are put side by side, then multiplied with all blocks.
    fn row(
        &self,
        window: &Window<'_>,
        width: usize,
        copies: &mut [f32],
        groups: &mut [Inputs],
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
            self.layer.positions(groups, to)?;
        }
        Ok(())
    }
}

fn numbers_mut<T: bytemuck::Pod>(bytes: &mut [u8]) -> Result<&mut [T], Mismatch> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| Mismatch)
}
