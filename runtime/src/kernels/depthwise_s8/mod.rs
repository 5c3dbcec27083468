//! `depthwise_s8`: convolution in which each input channel makes `multiplier` output channels of its own.
//!
//! Input 0: rows of `width * channels`; the window lists the kernel's rows. Output: rows of
//! `columns * channels * multiplier`. Constants: 0 weights `[rows][columns][channels * multiplier]`, so that
//! neighbouring channels are computed together; 1 per output channel `[start, multiplier, shift]` as in
//! `conv2d_s8`. No scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::DepthwiseS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::columns::{Columns, Span};
use crate::kernels::s8::{Channel, Stage, Window, arguments, is_code, is_stage, require, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct DepthwiseArgs {
        pub in_channels: u32,
        /// Output channels per input channel.
        pub multiplier: u32,
        /// Rows of the kernel: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        pub rounding: u8,
        pub reserved: u8,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved2: u16,
    }
}

impl DepthwiseArgs {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }
}

struct Depthwise<'a> {
    in_channels: usize,
    multiplier: usize,
    out_channels: usize,
    columns: Columns,
    input_zero_point: i32,
    stage: Stage,
    weights: &'a [i8],
    channels: &'a [Channel],
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let (in_channels, multiplier) = (args.in_channels as usize, args.multiplier as usize);
    let depthwise = Depthwise {
        in_channels,
        multiplier,
        out_channels: in_channels.checked_mul(multiplier).ok_or(Mismatch)?,
        columns: args.columns(),
        input_zero_point: args.input_zero_point,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding },
        weights: given.constants(0)?,
        channels: given.constants(1)?,
    };
    output.for_each(|slice, row, to| {
        depthwise.row(&Window::new(source.window(slice, row)), source.row_bytes(), s8_mut(to))
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(DepthwiseArgs, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.input_zero_point), Arguments);
    let outputs = args.in_channels as u64 * args.multiplier as u64;
    require!(args.in_channels > 0 && outputs > 0 && outputs <= u32::MAX as u64, Arguments);
    let (inputs, outputs) = (args.in_channels as usize, outputs as usize);
    require!(step.row_len(0).is_multiple_of(inputs) && step.row_len(1).is_multiple_of(outputs), Shape);
    require!(args.columns().fits(step.row_len(1) / outputs, step.row_len(0) / inputs), Shape);
    require!(args.kernel_rows > 0 && step.window(0) == args.kernel_rows as usize, Shape);
    let taps = args.kernel_rows as u64 * args.kernel_width as u64;
    let weights = match taps.checked_mul(outputs as u64) {
        Some(n) if n <= u32::MAX as u64 => n as usize,
        _ => return Err(Fault::Arguments),
    };
    require!(step.blob_is(0, weights, 1), Shape);
    require!(step.channels_are(1, outputs), Shape);
    Ok(())
}

/// Channels whose accumulators are kept at a time.
const BLOCK: usize = 64;

impl Depthwise<'_> {
    fn row(&self, window: &Window<'_>, row_len: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.in_channels).ok_or(Mismatch)?;
        let complete = (0..window.len()).all(|k| window.get(k).is_some());
        for (column, pixel) in to.chunks_exact_mut(self.out_channels.max(1)).enumerate() {
            let span = self.columns.span(column, width);
            let padded = !complete || span.to - span.from < self.columns.kernel_width;
            // Output channels that read neighbouring input channels, or all of them the same one.
            let alike = if self.multiplier == 1 { self.out_channels } else { self.multiplier };
            for (part, to) in pixel.chunks_exact_mut(alike.max(1)).enumerate() {
                for (block, to) in to.chunks_mut(BLOCK).enumerate() {
                    let first = part * alike + block * BLOCK;
                    let input = if self.multiplier == 1 { first } else { part };
                    self.block(window, &span, padded, input, first, to)?;
                }
            }
        }
        Ok(())
    }

    /// At most [`BLOCK`] output channels from `first` of one column, whose inputs begin with channel `input`.
    fn block(
        &self,
        window: &Window<'_>,
        span: &Span,
        padded: bool,
        input: usize,
        first: usize,
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let channels = part(self.channels, first, to.len())?;
        let weights = self.weights.get(first..).ok_or(Mismatch)?;
        let mut acc = [0i32; BLOCK];
        let acc = acc.get_mut(..to.len()).ok_or(Mismatch)?;
        for (acc, &[start, ..]) in acc.iter_mut().zip(channels) {
            *acc = start;
        }
        if padded {
            self.add_padding(window, span, acc, weights);
        }
        let inside = span.to - span.from;
        let x_step = self.columns.dilation * self.in_channels;
        let first_x = if inside > 0 { span.column(span.from) * self.in_channels + input } else { 0 };
        let mut first_w = span.from * self.out_channels;
        for k in 0..window.len() {
            if let Some(row) = window.get(k) {
                let x = Steps { values: row, at: first_x, step: x_step };
                let w = Steps { values: weights, at: first_w, step: self.out_channels };
                if self.multiplier == 1 {
                    channel_wise(acc, x, w, inside)?
                } else {
                    multiplied(acc, x, w, inside)?
                }
            }
            first_w += self.columns.kernel_width * self.out_channels;
        }
        for ((to, &mut acc), &[_, multiplier, shift]) in to.iter_mut().zip(acc).zip(channels) {
            *to = self.stage.code(acc, multiplier, shift);
        }
        Ok(())
    }

    /// Adds what the taps on padding give: the zero point times their weights.
    #[cold]
    #[inline(never)]
    fn add_padding(&self, window: &Window<'_>, span: &Span, acc: &mut [i32], weights: &[i8]) {
        let mut weights = weights;
        for k in 0..window.len() {
            let there = window.get(k).is_some();
            for tap in 0..self.columns.kernel_width {
                if !there || tap < span.from || tap >= span.to {
                    for (acc, &w) in acc.iter_mut().zip(weights) {
                        *acc = acc.wrapping_add(self.input_zero_point.wrapping_mul(w.into()));
                    }
                }
                weights = weights.get(self.out_channels..).unwrap_or(&[]);
            }
        }
    }
}

/// Equally spaced pieces of a row or of the weights.
struct Steps<'a> {
    values: &'a [i8],
    at: usize,
    step: usize,
}

impl<'a> Steps<'a> {
    #[inline(always)]
    fn next(&mut self, len: usize) -> Result<&'a [i8], Mismatch> {
        let piece = part(self.values, self.at, len);
        self.at += self.step;
        piece
    }
}

/// Adds the products of `taps` neighbouring taps, each channel with its own input.
#[inline(never)]
fn channel_wise(acc: &mut [i32], mut x: Steps<'_>, mut w: Steps<'_>, taps: usize) -> Result<(), Mismatch> {
    for _ in 0..taps {
        let (x, w) = (x.next(acc.len())?, w.next(acc.len())?);
        for ((acc, &x), &w) in acc.iter_mut().zip(x).zip(w) {
            *acc = acc.wrapping_add(i32::from(x) * i32::from(w));
        }
    }
    Ok(())
}

/// Adds the products of `taps` neighbouring taps, all channels with the same input.
#[inline(never)]
fn multiplied(acc: &mut [i32], mut x: Steps<'_>, mut w: Steps<'_>, taps: usize) -> Result<(), Mismatch> {
    for _ in 0..taps {
        let &[x] = x.next(1)?.first_chunk().ok_or(Mismatch)?;
        let w = w.next(acc.len())?;
        for (acc, &w) in acc.iter_mut().zip(w) {
            *acc = acc.wrapping_add(i32::from(x) * i32::from(w));
        }
    }
    Ok(())
}

#[inline(always)]
fn part<T>(values: &[T], start: usize, len: usize) -> Result<&[T], Mismatch> {
    values.get(start..).and_then(|rest| rest.get(..len)).ok_or(Mismatch)
}
