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
pub use pack::{ConvS8, channels};

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::columns::Columns;
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
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
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
        let kernel_row = self.columns.kernel_width * inputs;
        let per_output = window.len() * kernel_row;
        let complete = (0..window.len()).all(|k| window.get(k).is_some());
        for (column, pixel) in to.chunks_exact_mut(self.out_channels.max(1)).enumerate() {
            let span = self.columns.span(column, width);
            let inside = span.to - span.from;
            // Neighbouring columns lie side by side in the input row as in the weights: one dot product for all.
            let dense = self.columns.dilation == 1 && self.groups == 1;
            let mut taps = Taps {
                padded: inside < self.columns.kernel_width || !complete,
                x: if inside > 0 { span.column(span.from) * self.in_channels } else { 0 },
                x_step: self.columns.dilation * self.in_channels,
                weights: span.from * inputs,
                len: if dense { inside * inputs } else { inputs },
                runs: if dense { (inside > 0).into() } else { inside },
                inside: inside * inputs,
                kernel_row,
                per_output,
            };
            let groups = pixel
                .chunks_exact_mut(outputs.max(1))
                .zip(self.weights.chunks_exact((per_output * outputs).max(1)))
                .zip(self.channels.chunks_exact(outputs.max(1)));
            for ((to, weights), channels) in groups {
                self.group(window, &taps, to, weights, channels)?;
                taps.x += inputs;
            }
        }
        Ok(())
    }

    /// The output channels of one group at one column: four at a time, then the rest.
    fn group(
        &self,
        window: &Window<'_>,
        taps: &Taps,
        to: &mut [i8],
        weights: &[i8],
        channels: &[Channel],
    ) -> Result<(), Mismatch> {
        let (fours, to) = to.as_chunks_mut::<4>();
        let (of_fours, channels) = channels.as_chunks::<4>();
        let mut weights = weights;
        for (to, channels) in fours.iter_mut().zip(of_fours) {
            let (now, rest) = weights.split_at_checked(4 * taps.per_output).ok_or(Mismatch)?;
            weights = rest;
            let mut acc = channels.map(|[start, ..]| start);
            if taps.padded {
                acc = self.add_padding(window, taps, acc, now)?;
            }
            let acc = taps.accumulate4(window, acc, now)?;
            for ((to, acc), &[_, multiplier, shift]) in to.iter_mut().zip(acc).zip(channels) {
                *to = self.stage.code(acc, multiplier, shift);
            }
        }
        let each = to.iter_mut().zip(channels).zip(weights.chunks_exact(taps.per_output.max(1)));
        for ((to, &[start, multiplier, shift]), weights) in each {
            let mut acc = [start];
            if taps.padded {
                acc = self.add_padding(window, taps, acc, weights)?;
            }
            let [acc] = taps.accumulate1(window, acc, weights)?;
            *to = self.stage.code(acc, multiplier, shift);
        }
        Ok(())
    }

    /// Adds what the taps on padding give: the zero point times the sum of their weights.
    #[cold]
    #[inline(never)]
    fn add_padding<const N: usize>(
        &self,
        window: &Window<'_>,
        taps: &Taps,
        mut acc: [i32; N],
        weights: &[i8],
    ) -> Result<[i32; N], Mismatch> {
        if self.input_zero_point == 0 {
            return Ok(acc);
        }
        for (acc, weights) in acc.iter_mut().zip(weights.chunks_exact(taps.per_output.max(1))) {
            for (k, row) in weights.chunks_exact(taps.kernel_row.max(1)).enumerate() {
                let (left, rest) = row.split_at_checked(taps.weights).ok_or(Mismatch)?;
                let (inside, right) = rest.split_at_checked(taps.inside).ok_or(Mismatch)?;
                let mut padded = sum(left).wrapping_add(sum(right));
                if window.get(k).is_none() {
                    padded = padded.wrapping_add(sum(inside));
                }
                *acc = acc.wrapping_add(padded.wrapping_mul(self.input_zero_point));
            }
        }
        Ok(acc)
    }
}

/// Where the products of one output column and one group are: runs of neighbours.
struct Taps {
    /// Whether any tap stands on padding.
    padded: bool,
    /// Start of the first run in an input row.
    x: usize,
    /// From run to run in an input row.
    x_step: usize,
    /// Start of the first run in a row of the kernel; the next follow without gaps.
    weights: usize,
    /// Length of a run.
    len: usize,
    /// Runs of a row.
    runs: usize,
    /// Weights of all runs of a row.
    inside: usize,
    /// Weights of a row of the kernel.
    kernel_row: usize,
    /// Weights of an output channel.
    per_output: usize,
}

impl Taps {
    /// Adds the products of four output channels.
    #[inline(always)]
    fn accumulate4(
        &self,
        window: &Window<'_>,
        mut acc: [i32; 4],
        weights: &[i8],
    ) -> Result<[i32; 4], Mismatch> {
        let (w0, rest) = weights.split_at_checked(self.per_output).ok_or(Mismatch)?;
        let (w1, rest) = rest.split_at_checked(self.per_output).ok_or(Mismatch)?;
        let (w2, w3) = rest.split_at_checked(self.per_output).ok_or(Mismatch)?;
        self.each_run(window, |x, at| {
            let w = [part(w0, at, x.len())?, part(w1, at, x.len())?, part(w2, at, x.len())?];
            let [w0, w1, w2] = w;
            acc = dot4(acc, x, [w0, w1, w2, part(w3, at, x.len())?]);
            Ok(())
        })?;
        Ok(acc)
    }

    /// Adds the products of one output channel.
    #[inline(never)]
    fn accumulate1(
        &self,
        window: &Window<'_>,
        [mut acc]: [i32; 1],
        weights: &[i8],
    ) -> Result<[i32; 1], Mismatch> {
        self.each_run(window, |x, at| {
            acc = dot(acc, x, part(weights, at, x.len())?);
            Ok(())
        })?;
        Ok([acc])
    }

    /// Calls `f` with each run of the input and the start of its weights.
    #[inline(always)]
    fn each_run(
        &self,
        window: &Window<'_>,
        mut f: impl FnMut(&[i8], usize) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        let mut weights = self.weights;
        for k in 0..window.len() {
            if let Some(row) = window.get(k) {
                let (mut x, mut at) = (self.x, weights);
                for _ in 0..self.runs {
                    f(part(row, x, self.len)?, at)?;
                    x += self.x_step;
                    at += self.len;
                }
            }
            weights += self.kernel_row;
        }
        Ok(())
    }
}

#[inline(always)]
fn part(values: &[i8], start: usize, len: usize) -> Result<&[i8], Mismatch> {
    values.get(start..).and_then(|rest| rest.get(..len)).ok_or(Mismatch)
}
