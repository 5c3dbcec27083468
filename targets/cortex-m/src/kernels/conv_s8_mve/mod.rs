//! `conv_s8_mve`: `conv2d_s8` without groups.
//!
//! Constants: 0 weights in blocks of four output channels (`mve::dot`), the inputs of a channel in the order of the
//! definition; 1 per block the start of the sums and the scales. Scratch: the inputs of two positions, unless the kernel
//! has one tap and its inputs are whole vectors: then positions are read where they are. Rows of one column are taken
//! two at a time where the call makes more than one.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use core::ops::Range;

use mote_runtime::engine::{Call, Mismatch, Output, Source};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::{Columns, Span};
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::kernels::target_s8::ConvArgs;
use mote_runtime::plan::Fault;

use super::mve::dot::{Layer, Loops, STEP, Weights, steps};
use super::mve::gather::{ROWS, Run, Window, copy};
use super::mve::stage::{Block, Stage};

/// Bytes of scratch for a layer of this many inputs.
const fn scratch(inputs: usize, taps: usize) -> usize {
    if taps == 1 && inputs.is_multiple_of(STEP) { 0 } else { 2 * STEP * steps(inputs) }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match ConvArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
    let (width, columns) = (step.row_len(0) / inputs, step.row_len(1) / outputs);
    let rows = args.kernel_rows as usize;
    require!(rows > 0 && rows <= ROWS && step.window(0) == rows, Shape);
    let taps = args.kernel_rows as u64 * args.kernel_width as u64;
    let per_output = taps * inputs as u64;
    require!(per_output < 1 << 24, Arguments);
    let (per_output, blocks) = (per_output as usize, outputs.div_ceil(4));
    let weights = steps(per_output) as u64 * blocks as u64 * size_of::<Weights>() as u64;
    require!(weights < 1 << 28 && step.blob_is(0, weights as usize, 4), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    // Positions that are read where they are must all be there.
    let there = args.pad_left <= 0 && {
        let last = (columns - 1) * args.stride as usize + args.pad_left.unsigned_abs() as usize;
        last < width
    };
    let (given, copies) = (step.scratch_bytes(), 2 * STEP * steps(per_output));
    require!(given >= copies || given == 0 && there && scratch(per_output, taps as usize) == 0, Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    for<'a> Layer<'a>: Loops<ROUNDING>,
{
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
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    let x = s8_mut(scratch);
    let first = args.pad_left.unsigned_abs() as usize * in_channels;
    let one_tap = args.kernel_rows == 1 && args.kernel_width == 1 && args.pad_left <= 0;
    if one_tap && output.row_bytes() == layer.out_channels && first < source.row_bytes() {
        let inputs = first..first + in_channels;
        return one_column(&layer, inputs, args.input_zero_point as i8, &source, &mut output, x);
    }
    let conv = Conv {
        in_channels,
        columns: args.columns(),
        kernel_rows: args.kernel_rows.into(),
        run,
        input_zero_point: args.input_zero_point as i8,
        layer: &layer,
    };
    let width = source.row_bytes().checked_div(in_channels).ok_or(Mismatch)?;
    if x.is_empty() {
        return output.for_each(|slice, row, to| {
            let Some(row) = source.window(slice, row).get(0) else {
                return conv.layer.padding::<ROUNDING>(conv.input_zero_point, s8_mut(to));
            };
            let (x, to) = (s8(row).get(first..).ok_or(Mismatch)?, s8_mut(to));
            conv.layer.positions(x, conv.columns.stride * in_channels, to)?;
            conv.layer.stage.clamp(to);
            Ok(())
        });
    }
    let mut window = Window::empty();
    output.for_each(|slice, row, to| {
        window.look_up(&source.window(slice, row), source.row_bytes()).ok_or(Mismatch)?;
        conv.row(&window, width, x, s8_mut(to))?;
        conv.layer.stage.clamp(s8_mut(to));
        Ok(())
    })
}

/// One tap, rows of one column: the inputs of a position are these bytes of one row. The positions of two rows share their
/// weights.
#[inline(never)]
fn one_column<const ROUNDING: u8>(
    layer: &Layer<'_>,
    inputs: Range<usize>,
    padding: i8,
    source: &Source<'_>,
    output: &mut Output<'_>,
    x: &mut [i8],
) -> Result<(), Mismatch>
where
    for<'a> Layer<'a>: Loops<ROUNDING>,
{
    let (mut slice, end) = (output.slices().start, output.slices().end);
    let given = |slice, row| {
        let row = source.window(slice, row).get(0)?;
        s8(row).get(inputs.clone())
    };
    while slice < end {
        if let Some([first, second]) = output.two(slice)
            && let (Some(a), Some(b)) = (given(slice, 0), given(slice + 1, 0))
        {
            let (first, second) = (s8_mut(first), s8_mut(second));
            let to = [&mut *first, &mut *second];
            if x.is_empty() {
                layer.two([a, b], to)?;
            } else {
                let (x, other) = x.split_at_mut_checked(layer.steps * STEP).ok_or(Mismatch)?;
                copy(a, x);
                copy(b, other);
                layer.two([x, other], to)?;
            }
            layer.stage.clamp(first);
            layer.stage.clamp(second);
            slice += 2;
            continue;
        }
        for row in 0..output.rows() {
            let to = s8_mut(output.row(slice, row)?);
            match given(slice, row) {
                Some(inputs) if x.is_empty() => layer.positions(inputs, 0, to)?,
                Some(inputs) => {
                    copy(inputs, x);
                    layer.positions(x, 0, to)?;
                }
                None => layer.padding::<ROUNDING>(padding, to)?,
            }
            layer.stage.clamp(to);
        }
        slice += 1;
    }
    Ok(())
}

/// Everything of a convolution but its rows.
struct Conv<'a> {
    in_channels: usize,
    columns: Columns,
    kernel_rows: usize,
    /// Bytes of a run: what a kernel row reads of an input row.
    run: usize,
    input_zero_point: i8,
    layer: &'a Layer<'a>,
}

impl Conv<'_> {
    /// Computes one output row, two positions at a time, whose inputs are put together in `x`.
    fn row<const ROUNDING: u8>(
        &self,
        window: &Window<'_>,
        width: usize,
        x: &mut [i8],
        to: &mut [i8],
    ) -> Result<(), Mismatch>
    where
        for<'a> Layer<'a>: Loops<ROUNDING>,
    {
        let out_channels = self.layer.out_channels;
        let columns = to.len().checked_div(out_channels).ok_or(Mismatch)?;
        let whole = window.is_complete() && self.columns.dilation == 1;
        let interior = if whole { self.columns.interior(columns, width) } else { 0..0 };
        let position = self.layer.steps * STEP;
        let distance = self.columns.stride * self.in_channels;
        let mut column = 0;
        for to in to.chunks_mut((2 * out_channels).max(1)) {
            if interior.contains(&column) && interior.contains(&(column + 1)) {
                let from = (column * self.columns.stride) as isize - self.columns.pad_left;
                window.two(from as usize * self.in_channels, distance, self.run, x, position)?;
            } else {
                for (p, x) in x.chunks_exact_mut(position.max(1)).enumerate() {
                    self.one(window, column + p, width, x)?;
                }
            }
            self.layer.positions(x, position, to)?;
            column += 2;
        }
        Ok(())
    }

    /// The inputs of a position that meets padding (or lies behind the last one).
    fn one(&self, window: &Window<'_>, column: usize, width: usize, x: &mut [i8]) -> Result<(), Mismatch> {
        let span = self.columns.span(column, width);
        if self.columns.dilation > 1 {
            return self.apart(window, &span, x);
        }
        let inside = span.to - span.from;
        let run = Run {
            left: span.from * self.in_channels,
            from: if inside > 0 { span.column(span.from) * self.in_channels } else { 0 },
            inside: inside * self.in_channels,
            right: (self.columns.kernel_width - span.to) * self.in_channels,
        };
        window.one(run, self.input_zero_point, x)
    }

    /// The inputs of a position whose taps are apart.
    #[cold]
    #[inline(never)]
    fn apart(&self, window: &Window<'_>, span: &Span, x: &mut [i8]) -> Result<(), Mismatch> {
        for (k, x) in x.chunks_exact_mut(self.run.max(1)).take(self.kernel_rows).enumerate() {
            for (tap, pixel) in x.chunks_exact_mut(self.in_channels.max(1)).enumerate() {
                match window.get(k) {
                    Some(row) if (span.from..span.to).contains(&tap) => {
                        let row = s8(row).get(span.column(tap) * self.in_channels..).ok_or(Mismatch)?;
                        pixel.iter_mut().zip(row).for_each(|(to, from)| *to = *from);
                    }
                    _ => pixel.fill(self.input_zero_point),
                }
            }
        }
        Ok(())
    }
}
