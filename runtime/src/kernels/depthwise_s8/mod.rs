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
use crate::kernels::s8::{Channel, LANES, Stage, Window, arguments, is_code, is_stage, require, s8_mut};
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
        Columns {
            kernel_width: self.kernel_width as usize,
            stride: self.stride as usize,
            dilation: self.dilation as usize,
            pad_left: self.pad_left as isize,
        }
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
    require!(outputs > 0 && outputs <= u32::MAX as u64, Arguments);
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

impl Depthwise<'_> {
    fn row(&self, window: &Window<'_>, row_len: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.in_channels).ok_or(Mismatch)?;
        for (column, pixel) in to.chunks_exact_mut(self.out_channels.max(1)).enumerate() {
            let span = self.columns.span(column, width);
            if self.multiplier == 1 {
                self.channel_wise(window, &span, pixel)?;
            } else {
                self.multiplied(window, &span, pixel)?;
            }
        }
        Ok(())
    }

    /// One output channel per input channel.
    fn channel_wise(&self, window: &Window<'_>, span: &Span, pixel: &mut [i8]) -> Result<(), Mismatch> {
        let mut c = 0;
        let mut blocks = pixel.chunks_exact_mut(LANES);
        for to in &mut blocks {
            self.block::<LANES>(window, span, c, to, |row, column| {
                row.get(column * self.in_channels + c..)?.first_chunk().copied()
            })?;
            c += LANES;
        }
        for to in blocks.into_remainder().chunks_mut(1) {
            self.block::<1>(window, span, c, to, |row, column| {
                row.get(column * self.in_channels + c..)?.first_chunk().copied()
            })?;
            c += 1;
        }
        Ok(())
    }

    /// Several output channels per input channel.
    fn multiplied(&self, window: &Window<'_>, span: &Span, pixel: &mut [i8]) -> Result<(), Mismatch> {
        let mut c = 0;
        for (input, to) in pixel.chunks_exact_mut(self.multiplier.max(1)).enumerate() {
            let mut blocks = to.chunks_exact_mut(LANES);
            for to in &mut blocks {
                self.block::<LANES>(window, span, c, to, |row, column| {
                    Some([*row.get(column * self.in_channels + input)?; LANES])
                })?;
                c += LANES;
            }
            for to in blocks.into_remainder().chunks_mut(1) {
                self.block::<1>(window, span, c, to, |row, column| {
                    Some([*row.get(column * self.in_channels + input)?])
                })?;
                c += 1;
            }
        }
        Ok(())
    }

    /// Output channels `c .. c + N` of one column; `load` gives their inputs from a row and a column.
    #[inline(always)]
    fn block<const N: usize>(
        &self,
        window: &Window<'_>,
        span: &Span,
        c: usize,
        to: &mut [i8],
        load: impl Fn(&[i8], usize) -> Option<[i8; N]>,
    ) -> Result<(), Mismatch> {
        let channels = self.channels.get(c..).and_then(|rest| rest.first_chunk::<N>()).ok_or(Mismatch)?;
        let mut acc = channels.map(|[start, ..]| start);
        let mut weights = self.weights.get(c..).ok_or(Mismatch)?;
        for k in 0..window.len() {
            let row = window.get(k);
            for tap in 0..self.columns.kernel_width {
                let w = weights.first_chunk::<N>().ok_or(Mismatch)?;
                weights = weights.get(self.out_channels..).unwrap_or(&[]);
                match row {
                    Some(row) if tap >= span.from && tap < span.to => {
                        let x = load(row, span.column(tap)).ok_or(Mismatch)?;
                        for ((acc, x), &w) in acc.iter_mut().zip(x).zip(w) {
                            *acc = acc.wrapping_add(i32::from(x) * i32::from(w));
                        }
                    }
                    _ => {
                        for (acc, &w) in acc.iter_mut().zip(w) {
                            *acc = acc.wrapping_add(self.input_zero_point.wrapping_mul(w.into()));
                        }
                    }
                }
            }
        }
        for ((to, acc), &[_, multiplier, shift]) in to.iter_mut().zip(acc).zip(channels) {
            *to = self.stage.code(acc, multiplier, shift);
        }
        Ok(())
    }
}
