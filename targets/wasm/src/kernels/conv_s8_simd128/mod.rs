//! `conv_s8_simd128`: `conv2d_s8` without groups.
//!
//! Constants: 0 weights in blocks of eight output channels (`gemm`), the inputs of a channel in the order of the
//! definition; 1 per block the start of the sums and the scales (`stage`). Scratch: the inputs of four positions as they
//! stand in the rows, then groups of widened ones, as many as the scratch has room for: so many positions meet a block of
//! weights while it is in the cache.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{Window, require, s8_mut};
use mote_runtime::kernels::target_s8::ConvArgs;
use mote_runtime::plan::Fault;

use super::gemm::{GROUP, Layer, Pair, Pairs, memory, pairs, widen};
use super::stage::{Block, Stage};

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
    require!(per_output < 1 << 24, Arguments);
    let (per_output, blocks) = (per_output as usize, outputs.div_ceil(8));
    let weights = pairs(per_output) as u64 * blocks as u64 * size_of::<Pair>() as u64;
    require!(weights < 1 << 30 && step.blob_is(0, weights as usize, 1), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    require!(step.scratch_bytes() >= copies(per_output) + group(per_output), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = ConvArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let (in_channels, kernel_rows) = (args.in_channels as usize, usize::from(args.kernel_rows));
    let inputs = kernel_rows * usize::from(args.kernel_width) * in_channels;
    let conv = Conv {
        in_channels,
        columns: args.columns(),
        padding: args.input_zero_point as i8,
        layer: Layer {
            weights: bytemuck::try_cast_slice(given.blob(0)).map_err(|_| Mismatch)?,
            blocks: given.constants(1)?,
            inputs,
            out_channels: args.out_channels as usize,
            stage: Stage::new(args.zero_point, args.min, args.max),
        },
    };
    let (copies, groups) = scratch.split_at_mut_checked(copies(inputs)).ok_or(Mismatch)?;
    let whole = groups.len() / size_of::<Pairs>() * size_of::<Pairs>();
    let groups = groups.get_mut(..whole).and_then(|groups| bytemuck::try_cast_slice_mut(groups).ok());
    let (copies, groups) = (s8_mut(copies), groups.ok_or(Mismatch)?);
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        conv.row::<ROUNDING>(&window, source.row_bytes(), copies, groups, s8_mut(to))
    })
}

/// Everything of a convolution but its rows.
struct Conv<'a> {
    in_channels: usize,
    columns: Columns,
    padding: i8,
    layer: Layer<'a>,
}

impl Conv<'_> {
    /// Computes one output row: as many groups as there is memory for are widened, then multiplied with all blocks.
    fn row<const ROUNDING: u8>(
        &self,
        window: &Window<'_>,
        row_len: usize,
        copies: &mut [i8],
        groups: &mut [Pairs],
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.in_channels).ok_or(Mismatch)?;
        let columns = to.len().checked_div(self.layer.out_channels).ok_or(Mismatch)?;
        let memory = memory(self.layer.inputs).max(1);
        let positions = groups.len() / memory * GROUP;
        let mut column = 0;
        for to in to.chunks_mut((positions * self.layer.out_channels).max(1)) {
            let end = (column + positions).min(columns);
            for group in groups.chunks_exact_mut(memory) {
                if column < end {
                    self.group(window, column, end, width, copies, group)?;
                    column += GROUP;
                }
            }
            column = end;
            self.layer.positions::<ROUNDING>(groups, to)?;
        }
        Ok(())
    }

    /// Widens the inputs of four columns; those from `end` on are as the last one.
    #[inline(always)]
    fn group(
        &self,
        window: &Window<'_>,
        first: usize,
        end: usize,
        width: usize,
        copies: &mut [i8],
        group: &mut [Pairs],
    ) -> Result<(), Mismatch> {
        let columns: [usize; GROUP] = core::array::from_fn(|p| (first + p).min(end.saturating_sub(1)));
        if self.layer.inputs == self.in_channels
            && let Some(row) = window.get(0)
        {
            let x = columns.map(|column| self.single(row, column));
            if let [Some(a), Some(b), Some(c), Some(d)] = x {
                widen([a, b, c, d], group);
                return Ok(());
            }
        }
        for (column, x) in columns.into_iter().zip(copies.chunks_exact_mut(self.layer.inputs.max(1))) {
            self.copy(window, column, width, x)?;
        }
        let mut copies = copies.chunks_exact(self.layer.inputs.max(1));
        let x = [(); GROUP].map(|()| copies.next().unwrap_or_default());
        widen(x, group);
        Ok(())
    }

    /// The inputs of a column of a kernel with one tap, if it is there.
    #[inline(always)]
    fn single<'r>(&self, row: &'r [i8], column: usize) -> Option<&'r [i8]> {
        let column =
            (column * self.columns.stride).checked_add_signed(self.columns.pad_left.checked_neg()?)?;
        row.get(column * self.in_channels..)?.get(..self.in_channels)
    }

    /// Puts together the inputs of a column.
    fn copy(&self, window: &Window<'_>, column: usize, width: usize, x: &mut [i8]) -> Result<(), Mismatch> {
        let span = self.columns.span(column, width);
        let run = self.columns.kernel_width * self.in_channels;
        for (k, x) in x.chunks_exact_mut(run.max(1)).enumerate() {
            let Some(row) = window.get(k) else {
                x.fill(self.padding);
                continue;
            };
            let (left, rest) = x.split_at_mut_checked(span.from * self.in_channels).ok_or(Mismatch)?;
            let inside = (span.to - span.from) * self.in_channels;
            let (inside, right) = rest.split_at_mut_checked(inside).ok_or(Mismatch)?;
            left.fill(self.padding);
            right.fill(self.padding);
            // Neighbouring taps are neighbouring columns, or one at a time.
            let run = if self.columns.dilation == 1 { inside.len() } else { self.in_channels };
            for (tap, x) in inside.chunks_exact_mut(run.max(1)).enumerate() {
                let from = row.get(span.column(span.from + tap) * self.in_channels..).ok_or(Mismatch)?;
                x.copy_from_slice(from.get(..x.len()).ok_or(Mismatch)?);
            }
        }
        Ok(())
    }
}
