//! `conv2d_s8`: convolution with int8 weights per output channel; any kernel, stride, dilation, padding, groups.
//!
//! Input 0: rows of `width * in_channels`; the window lists the kernel's rows (time, then rows). Output: rows of
//! `columns * out_channels`. Constants: 0 weights `[out][rows][columns][in / groups]`, 1 per output channel
//! `[start, multiplier, shift]`, where `start` is the bias less `input_zero_point * sum(weights)`. No scratch.
//!
//! Because the zero point is folded into `start`, a tap on padding counts as `input_zero_point * weight`.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::ConvS8;
#[cfg(feature = "pack")]
pub(crate) use pack::channels;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::columns::{Columns, Span};
use crate::kernels::s8::{
    Channel, Stage, Window, arguments, dot, dot4, is_code, is_stage, require, s8_mut, sum,
};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct Conv2dArgs {
        pub in_channels: u32,
        pub out_channels: u32,
        pub groups: u32,
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

/// Everything of a convolution but its rows.
pub(crate) struct Conv<'a> {
    pub in_channels: usize,
    pub out_channels: usize,
    pub groups: usize,
    pub columns: Columns,
    pub input_zero_point: i32,
    pub stage: Stage,
    pub weights: &'a [i8],
    pub channels: &'a [Channel],
}

impl Conv2dArgs {
    const fn columns(&self) -> Columns {
        Columns {
            kernel_width: self.kernel_width as usize,
            stride: self.stride as usize,
            dilation: self.dilation as usize,
            pad_left: self.pad_left as isize,
        }
    }
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = Conv2dArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let conv = Conv {
        in_channels: args.in_channels as usize,
        out_channels: args.out_channels as usize,
        groups: args.groups as usize,
        columns: args.columns(),
        input_zero_point: args.input_zero_point,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding },
        weights: given.constants(0)?,
        channels: given.constants(1)?,
    };
    output.for_each(|slice, row, to| {
        conv.row(&Window::new(source.window(slice, row)), source.row_bytes(), s8_mut(to))
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(Conv2dArgs, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.input_zero_point), Arguments);
    let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
    let groups = args.groups as usize;
    require!(inputs > 0 && outputs > 0 && groups > 0, Arguments);
    require!(inputs % groups == 0 && outputs % groups == 0, Arguments);
    require!(step.row_len(0).is_multiple_of(inputs) && step.row_len(1).is_multiple_of(outputs), Shape);
    require!(args.columns().fits(step.row_len(1) / outputs, step.row_len(0) / inputs), Shape);
    require!(args.kernel_rows > 0 && step.window(0) == args.kernel_rows as usize, Shape);
    let taps = args.kernel_rows as u64 * args.kernel_width as u64;
    let per_output = match taps.checked_mul(args.in_channels as u64 / groups as u64) {
        Some(n) => n,
        None => return Err(Fault::Arguments),
    };
    let weights = match per_output.checked_mul(args.out_channels as u64) {
        Some(n) if n <= u32::MAX as u64 => n as usize,
        _ => return Err(Fault::Arguments),
    };
    require!(step.blob_is(0, weights, 1), Shape);
    require!(step.channels_are(1, outputs), Shape);
    Ok(())
}

impl Conv<'_> {
    /// Computes one output row.
    pub fn row(&self, window: &Window<'_>, row_len: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.in_channels).ok_or(Mismatch)?;
        let inputs = self.in_channels.checked_div(self.groups).ok_or(Mismatch)?;
        let outputs = self.out_channels.checked_div(self.groups).ok_or(Mismatch)?;
        let per_output = window.len() * self.columns.kernel_width * inputs;
        for (column, pixel) in to.chunks_exact_mut(self.out_channels.max(1)).enumerate() {
            let taps = Taps { span: self.columns.span(column, width), inputs, group: 0 };
            let groups = pixel
                .chunks_exact_mut(outputs.max(1))
                .zip(self.weights.chunks_exact((per_output * outputs).max(1)))
                .zip(self.channels.chunks_exact(outputs.max(1)));
            for (group, ((to, weights), channels)) in groups.enumerate() {
                let taps = Taps { group: group * inputs, ..taps };
                self.group(window, &taps, to, weights, channels, per_output)?;
            }
        }
        Ok(())
    }

    /// The output channels of one group at one column: four at a time, then the rest.
    #[inline]
    fn group(
        &self,
        window: &Window<'_>,
        taps: &Taps,
        to: &mut [i8],
        weights: &[i8],
        channels: &[Channel],
        per_output: usize,
    ) -> Result<(), Mismatch> {
        let (fours, to) = to.as_chunks_mut::<4>();
        let (of_fours, channels) = channels.as_chunks::<4>();
        let mut weights = weights;
        for (to, channels) in fours.iter_mut().zip(of_fours) {
            let (w0, rest) = weights.split_at_checked(per_output).ok_or(Mismatch)?;
            let (w1, rest) = rest.split_at_checked(per_output).ok_or(Mismatch)?;
            let (w2, rest) = rest.split_at_checked(per_output).ok_or(Mismatch)?;
            let (w3, rest) = rest.split_at_checked(per_output).ok_or(Mismatch)?;
            weights = rest;
            let acc = channels.map(|[start, ..]| start);
            let acc = self.accumulate(window, taps, acc, [w0, w1, w2, w3], dot4)?;
            for ((to, acc), &[_, multiplier, shift]) in to.iter_mut().zip(acc).zip(channels) {
                *to = self.stage.code(acc, multiplier, shift);
            }
        }
        let each = to.iter_mut().zip(channels).zip(weights.chunks_exact(per_output.max(1)));
        for ((to, &[start, multiplier, shift]), weights) in each {
            let one = |[acc]: [i32; 1], x: &[i8], [w]: [&[i8]; 1]| [dot(acc, x, w)];
            let [acc] = self.accumulate(window, taps, [start], [weights], one)?;
            *to = self.stage.code(acc, multiplier, shift);
        }
        Ok(())
    }

    /// Adds the products of all taps to the accumulators of `N` output channels.
    #[inline(always)]
    fn accumulate<const N: usize>(
        &self,
        window: &Window<'_>,
        taps: &Taps,
        mut acc: [i32; N],
        weights: [&[i8]; N],
        dot: impl Fn([i32; N], &[i8], [&[i8]; N]) -> [i32; N],
    ) -> Result<[i32; N], Mismatch> {
        let Taps { span, inputs, group } = *taps;
        let kernel_width = self.columns.kernel_width;
        let row_of_kernel = kernel_width * inputs;
        // Neighbouring columns lie side by side in the input row as in the weights: one dot product.
        let dense = self.columns.dilation == 1 && self.groups == 1;
        for k in 0..window.len() {
            let start = k * row_of_kernel;
            let Some(row) = window.get(k) else {
                self.padding(&mut acc, &weights, start, row_of_kernel)?;
                continue;
            };
            if span.from > 0 {
                self.padding(&mut acc, &weights, start, span.from * inputs)?;
            }
            if span.to < kernel_width {
                self.padding(
                    &mut acc,
                    &weights,
                    start + span.to * inputs,
                    (kernel_width - span.to) * inputs,
                )?;
            }
            let mut tap = span.from;
            while tap < span.to {
                let count = if dense { span.to - tap } else { 1 };
                let x = part(row, span.column(tap) * self.in_channels + group, count * inputs)?;
                let mut w: [&[i8]; N] = [&[]; N];
                for (w, weights) in w.iter_mut().zip(weights) {
                    *w = part(weights, start + tap * inputs, count * inputs)?;
                }
                acc = dot(acc, x, w);
                tap += count;
            }
        }
        Ok(acc)
    }

    /// Weights `start .. start + len` stand on padding.
    #[cold]
    fn padding(&self, acc: &mut [i32], weights: &[&[i8]], start: usize, len: usize) -> Result<(), Mismatch> {
        if self.input_zero_point != 0 {
            for (acc, weights) in acc.iter_mut().zip(weights) {
                let weights = sum(part(weights, start, len)?);
                *acc = acc.wrapping_add(weights.wrapping_mul(self.input_zero_point));
            }
        }
        Ok(())
    }
}

/// Where the products of one output column and one group are.
#[derive(Clone, Copy)]
struct Taps {
    span: Span,
    /// Input channels of a group.
    inputs: usize,
    /// First input channel of this group.
    group: usize,
}

#[inline(always)]
fn part(values: &[i8], start: usize, len: usize) -> Result<&[i8], Mismatch> {
    values.get(start..).and_then(|rest| rest.get(..len)).ok_or(Mismatch)
}
