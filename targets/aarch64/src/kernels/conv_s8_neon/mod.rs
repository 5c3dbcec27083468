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
use mote_runtime::kernels::columns::{Columns, Span};
use mote_runtime::kernels::s8::{Window, arguments, is_code, require, s8, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::dot::{Block, CHANNELS, Layer, POSITIONS, STEP, Weights, steps};
use super::gather::{copy, copy_each, fill, fill_each};
use super::stage::Stage;

records! {
    /// Arguments.
    pub struct ConvArgs {
        pub in_channels: u32,
        pub out_channels: u32,
        /// Rows of the kernel: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        /// 1 if no weight is -128.
        pub narrow: u8,
        pub rounding: u8,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

impl ConvArgs {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }
}

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
    let args = arguments!(ConvArgs, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(Stage::is_sound(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.input_zero_point) && args.narrow <= 1, Arguments);
    let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
    require!(inputs > 0 && outputs > 0 && inputs < 1 << 24 && outputs < 1 << 24, Arguments);
    require!(step.row_len(0).is_multiple_of(inputs) && step.row_len(1).is_multiple_of(outputs), Shape);
    let (width, columns) = (step.row_len(0) / inputs, step.row_len(1) / outputs);
    require!(args.columns().fits(columns, width), Shape);
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
    let conv = Conv {
        in_channels,
        columns: args.columns(),
        run,
        input_zero_point: args.input_zero_point as i8,
        layer: Layer {
            weights: given.constants(0)?,
            blocks: given.constants(1)?,
            steps: steps(run * usize::from(args.kernel_rows)),
            out_channels: args.out_channels as usize,
            narrow: args.narrow != 0,
            stage: Stage {
                zero_point: args.zero_point,
                min: args.min,
                max: args.max,
                rounding: args.rounding,
            },
        },
    };
    let width = source.row_bytes().checked_div(in_channels).ok_or(Mismatch)?;
    let x = s8_mut(scratch);
    if x.is_empty() {
        let first = args.pad_left.unsigned_abs() as usize * in_channels;
        let distance = conv.columns.stride * in_channels;
        return output.for_each(|slice, row, to| {
            let Some(row) = source.window(slice, row).get(0) else {
                return conv.layer.padding(conv.input_zero_point, s8_mut(to));
            };
            conv.layer.positions(s8(row).get(first..).ok_or(Mismatch)?, distance, s8_mut(to))
        });
    }
    output.for_each(|slice, row, to| {
        let mut window = Window::unkept(source.window(slice, row));
        window.keep();
        conv.row(&window, width, x, s8_mut(to))
    })
}

/// Everything of a convolution but its rows.
struct Conv<'a> {
    in_channels: usize,
    columns: Columns,
    /// Bytes of a run: what a kernel row reads of an input row.
    run: usize,
    input_zero_point: i8,
    layer: Layer<'a>,
}

impl Conv<'_> {
    /// Computes one output row, whose positions are put together in `x`, some at a time.
    fn row(&self, window: &Window<'_>, width: usize, x: &mut [i8], to: &mut [i8]) -> Result<(), Mismatch> {
        let out_channels = self.layer.out_channels.max(1);
        let columns = to.len() / out_channels;
        let interior = if self.columns.dilation == 1 { self.columns.interior(columns, width) } else { 0..0 };
        let position = self.layer.steps * STEP;
        let mut column = 0;
        for to in to.chunks_mut(POSITIONS * out_channels) {
            let end = column + to.len() / out_channels;
            let (from, inside) = (interior.start.max(column).min(end), interior.end.max(column).min(end));
            for border in (column..from).chain(inside.max(from)..end) {
                let x = x.get_mut((border - column) * position..).ok_or(Mismatch)?;
                self.padded(window, &self.columns.span(border, width), x)?;
            }
            if from < inside {
                let x = x.get_mut((from - column) * position..).ok_or(Mismatch)?;
                self.whole(window, from, inside - from, x)?;
            }
            self.layer.positions(x, position, to)?;
            column = end;
        }
        Ok(())
    }

    /// The inputs of positions that meet no padding on their sides, from `column` on: a run of each row.
    #[inline(always)]
    fn whole(&self, window: &Window<'_>, column: usize, count: usize, x: &mut [i8]) -> Result<(), Mismatch> {
        let first =
            (column * self.columns.stride).wrapping_add_signed(-self.columns.pad_left) * self.in_channels;
        let (distance, position) = (self.columns.stride * self.in_channels, self.layer.steps * STEP);
        for k in 0..window.len() {
            let x = x.get_mut(k * self.run..).ok_or(Mismatch)?;
            match window.get(k) {
                Some(row) => {
                    let row = row.get(first..).ok_or(Mismatch)?;
                    copy_each(row, distance, x, position, self.run, count)?;
                }
                None => fill_each(self.input_zero_point, x, position, self.run, count)?,
            }
        }
        Ok(())
    }

    /// The inputs of a position that meets padding, or whose taps are apart.
    #[inline(never)]
    fn padded(&self, window: &Window<'_>, span: &Span, x: &mut [i8]) -> Result<(), Mismatch> {
        for (k, x) in x.chunks_exact_mut(self.run.max(1)).take(window.len()).enumerate() {
            let Some(row) = window.get(k) else {
                fill(x, self.input_zero_point);
                continue;
            };
            if self.columns.dilation > 1 {
                self.apart(row, span, x)?;
                continue;
            }
            let (left, inside) = (span.from * self.in_channels, (span.to - span.from) * self.in_channels);
            let from = if inside > 0 { span.column(span.from) * self.in_channels } else { 0 };
            let (before, rest) = x.split_at_mut_checked(left).ok_or(Mismatch)?;
            let (middle, behind) = rest.split_at_mut_checked(inside).ok_or(Mismatch)?;
            fill(before, self.input_zero_point);
            copy(row.get(from..).and_then(|row| row.get(..inside)).ok_or(Mismatch)?, middle);
            fill(behind, self.input_zero_point);
        }
        Ok(())
    }

    /// A run whose taps are apart.
    fn apart(&self, row: &[i8], span: &Span, x: &mut [i8]) -> Result<(), Mismatch> {
        for (tap, pixel) in x.chunks_exact_mut(self.in_channels.max(1)).enumerate() {
            if (span.from..span.to).contains(&tap) {
                let from = span.column(tap) * self.in_channels;
                copy(row.get(from..).and_then(|row| row.get(..pixel.len())).ok_or(Mismatch)?, pixel);
            } else {
                fill(pixel, self.input_zero_point);
            }
        }
        Ok(())
    }
}
