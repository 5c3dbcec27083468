//! `conv_s8_simd128`: `conv2d_s8` without groups.
//!
//! Constants: 0 weights in blocks of eight output channels (`gemm`), the inputs of a channel in the order of the
//! definition; 1 per block the start of the sums and the scales (`stage`), and what small weights allow (`form`, `gemm`).
//! Scratch: the inputs of four positions as they stand in the rows, then groups of widened ones, as many as the scratch has
//! room for: so many positions meet a block of weights while it is in the cache.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{Window, require, s8_mut};
use mote_runtime::kernels::target_s8::ConvArgs;
use mote_runtime::plan::Fault;

use super::gather::Gather;
use super::gemm::{self, GROUP, Layer, Pairs, memory, widen};
use super::stage::Stage;

/// Bytes of scratch for the inputs of a group as they are.
const fn copies(inputs: usize) -> usize {
    (GROUP * inputs).next_multiple_of(16)
}

/// Bytes of scratch for a group.
const fn group(inputs: usize) -> usize {
    memory(inputs) * size_of::<Pairs>()
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match ConvArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
    require!(args.kernel_rows > 0 && step.window(0) == args.kernel_rows as usize, Shape);
    let per_output = args.kernel_rows as u64 * args.kernel_width as u64 * inputs as u64;
    if let Err(fault) = gemm::check(step, per_output, outputs, args.form) {
        return Err(fault);
    }
    let per_output = per_output as usize;
    require!(step.scratch_bytes() >= copies(per_output) + group(per_output), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = ConvArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let (in_channels, kernel_rows) = (args.in_channels as usize, usize::from(args.kernel_rows));
    let inputs = kernel_rows * usize::from(args.kernel_width) * in_channels;
    let stage = Stage::new(args.zero_point, args.min, args.max);
    let conv = Conv {
        gather: Gather { in_channels, inputs, columns: args.columns(), padding: args.input_zero_point as i8 },
        layer: Layer::new(&given, inputs, args.out_channels as usize, stage, args.form)?,
    };
    let (copies, groups) = scratch.split_at_mut_checked(copies(inputs)).ok_or(Mismatch)?;
    let whole = groups.len() / size_of::<Pairs>() * size_of::<Pairs>();
    let groups = groups.get_mut(..whole).and_then(|groups| bytemuck::try_cast_slice_mut(groups).ok());
    let (copies, groups) = (s8_mut(copies), groups.ok_or(Mismatch)?);
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        conv.row(&window, source.row_bytes(), copies, groups, s8_mut(to))
    })
}

/// A convolution.
struct Conv<'a> {
    gather: Gather<i8>,
    layer: Layer<'a>,
}

impl Conv<'_> {
    /// Computes one output row: as many groups as there is memory for are widened, then multiplied with all blocks.
    fn row(
        &self,
        window: &Window<'_>,
        row_len: usize,
        copies: &mut [i8],
        groups: &mut [Pairs],
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.gather.in_channels).ok_or(Mismatch)?;
        let columns = to.len().checked_div(self.layer.out_channels).ok_or(Mismatch)?;
        let memory = memory(self.layer.inputs).max(1);
        let positions = groups.len() / memory * GROUP;
        let mut column = 0;
        for to in to.chunks_mut((positions * self.layer.out_channels).max(1)) {
            let end = (column + positions).min(columns);
            for group in groups.chunks_exact_mut(memory) {
                if column < end {
                    let x = self.gather.four(window, column, end, width, copies)?;
                    widen(x, self.layer.group, group);
                    column += GROUP;
                }
            }
            column = end;
            self.layer.positions(groups, to)?;
        }
        Ok(())
    }
}
