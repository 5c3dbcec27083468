//! `conv2d_f32` and `conv2d_f32_w16` (half-precision weights).
//!
//! Constants: weights as [`block`] stores them, per group, with inputs in the order window row, column, channel;
//! bias per output channel.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::ConvF32;

use crate::engine::{Call, Mismatch, Rows};
use crate::kernels::StepView;
use crate::kernels::block::{self, GROUP, Group, LANES, POSITIONS};
use crate::kernels::columns::Columns;
use crate::kernels::found::Found;
use crate::kernels::numbers::{Weight, limit, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `conv2d_f32` and `conv2d_f32_w16`.
    pub struct ConvF32Args {
        pub in_channels: u32,
        pub out_channels: u32,
        pub groups: u32,
        /// Rows of the window: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        pub reserved: u16,
        pub min: f32,
        pub max: f32,
    }
}

/// Positions whose inputs are kept in the cache while all weights pass by.
const TILE: usize = 32;

/// Float weights.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    convolve::<f32>(call)
}

/// Half-precision weights.
pub fn run_w16(call: Call<'_>) -> Result<(), Mismatch> {
    convolve::<half::f16>(call)
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    check_size(step, 4)
}

pub const fn check_w16(step: &StepView<'_>) -> Result<(), Fault> {
    check_size(step, 2)
}

const fn check_size(step: &StepView<'_>, weight_bytes: u64) -> Result<(), Fault> {
    let Some(args) = ConvF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let (cin, cout, groups) = (args.in_channels as usize, args.out_channels as usize, args.groups as usize);
    if step.args().len() != ConvF32Args::SIZE || step.inputs() != 1 || step.any_in_place() {
        return Err(Fault::Arguments);
    }
    if !step.is(0, DType::F32) || !step.is(1, DType::F32) {
        return Err(Fault::Shape);
    }
    if cin == 0 || cout == 0 || groups == 0 || cin % groups != 0 || cout % groups != 0 {
        return Err(Fault::Arguments);
    }
    if !step.row_len(0).is_multiple_of(cin)
        || !step.row_len(1).is_multiple_of(cout)
        || step.window(0) != args.kernel_rows as usize
    {
        return Err(Fault::Shape);
    }
    if !args.columns().fits(step.row_len(1) / cout, step.row_len(0) / cin) {
        return Err(Fault::Arguments);
    }
    let inputs = args.kernel_rows as u64 * args.kernel_width as u64 * (cin / groups) as u64;
    let lanes = (groups as u64).saturating_mul((block::blocks(cout / groups) * LANES) as u64);
    let bytes = inputs.saturating_mul(lanes).saturating_mul(weight_bytes);
    let weights = bytes <= u32::MAX as u64 && step.blob_is(0, bytes as usize, weight_bytes as usize);
    if !weights || cout > 1 << 29 || !step.blob_is(1, cout * 4, 4) {
        return Err(Fault::Shape);
    }
    Ok(())
}

impl ConvF32Args {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }
}

fn convolve<W: Weight>(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ConvF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let weights: &[W] = call.given.constants(0)?;
    let bias: &[f32] = call.given.constants(1)?;
    let width = (source.row_bytes() / 4).checked_div(args.in_channels as usize).ok_or(Mismatch)?;
    let job = Job::new(&args, width).ok_or(Mismatch)?;
    output.for_each(|slice, row, dst| job.row(source.window(slice, row), weights, bias, numbers_mut(dst)?))
}

/// What stays the same for all rows.
struct Job {
    columns: Columns,
    /// Columns of the input.
    width: usize,
    cin: usize,
    cout: usize,
    groups: usize,
    /// Input channels of a group.
    channels: usize,
    /// Inputs that lie side by side in the row, per step along the window: (number of steps, inputs of each).
    runs: (usize, usize),
    min: f32,
    max: f32,
}

/// Where the sums of a block go: which channels, with which weights.
struct Target<'a, W> {
    /// First input channel of the group.
    input: usize,
    /// First output channel and number of output channels.
    output: usize,
    lanes: usize,
    weights: &'a [W],
    bias: [f32; LANES],
}

impl Job {
    fn new(args: &ConvF32Args, width: usize) -> Option<Self> {
        let columns = args.columns();
        let (cin, cout, groups) =
            (args.in_channels as usize, args.out_channels as usize, args.groups as usize);
        let channels = cin.checked_div(groups)?;
        // Without gaps between the columns of a window, it is one run of numbers.
        let joined = groups == 1 && columns.dilation == 1;
        let runs =
            if joined { (1, columns.kernel_width * channels) } else { (columns.kernel_width, channels) };
        Some(Self { columns, width, cin, cout, groups, channels, runs, min: args.min, max: args.max })
    }

    fn row<W: Weight>(
        &self,
        rows: Rows<'_>,
        weights: &[W],
        bias: &[f32],
        dst: &mut [f32],
    ) -> Result<(), Mismatch> {
        let rows = &Found::new(rows)?;
        let outputs = dst.len().checked_div(self.cout).ok_or(Mismatch)?;
        let interior = self.columns.interior(outputs, self.width);
        let per_group = self.cout.checked_div(self.groups).ok_or(Mismatch)?;
        let block_len = rows.len() * self.columns.kernel_width * self.channels * LANES;
        if outputs < POSITIONS && self.groups == 1 {
            return self.narrow(rows, weights, bias, dst);
        }
        let mut tile = 0;
        while tile < outputs {
            let end = (tile + TILE).min(outputs);
            let mut blocks = weights.chunks_exact(block_len.max(1));
            for group in 0..self.groups {
                for first in (0..per_group).step_by(LANES) {
                    let output = group * per_group + first;
                    let lanes = (per_group - first).min(LANES);
                    let target = Target {
                        input: group * self.channels,
                        output,
                        lanes,
                        weights: blocks.next().ok_or(Mismatch)?,
                        bias: block::start(bias.get(output..output + lanes).ok_or(Mismatch)?),
                    };
                    let mut x = tile;
                    while x < end {
                        if interior.start <= x && x + POSITIONS <= interior.end.min(end) {
                            self.inner(rows, &target, x, dst)?;
                            x += POSITIONS;
                        } else {
                            self.edge(rows, &target, x, dst)?;
                            x += 1;
                        }
                    }
                }
            }
            tile = end;
        }
        Ok(())
    }

    /// A row of few positions, such as a frame of a sequence: several blocks of channels at once instead of several
    /// positions.
    #[inline(never)]
    fn narrow<W: Weight>(
        &self,
        rows: &Found<'_>,
        weights: &[W],
        bias: &[f32],
        dst: &mut [f32],
    ) -> Result<(), Mismatch> {
        let inputs = rows.len() * self.columns.kernel_width * self.channels;
        let groups = weights.chunks((inputs * LANES * GROUP).max(1));
        for (number, (bias, weights)) in bias.chunks(LANES * GROUP).zip(groups).enumerate() {
            let group = Group::new(weights, inputs);
            for (x, dst) in dst.chunks_exact_mut(self.cout.max(1)).enumerate() {
                let mut sums = Group::<W>::start(bias);
                self.taps(rows, x, |input, first| group.accumulate(&mut sums, input, first).ok_or(Mismatch))?;
                let dst = dst.get_mut(number * LANES * GROUP..).ok_or(Mismatch)?;
                for (to, sum) in dst.iter_mut().zip(sums.as_flattened()) {
                    *to = limit(*sum, self.min, self.max);
                }
            }
        }
        Ok(())
    }

    /// Calls `f(numbers, first)` for every run of numbers side by side that the window of column `x` finds outside of
    /// padding; they meet the weights from `first` on of each channel.
    #[inline(always)]
    fn taps(
        &self,
        rows: &Found<'_>,
        x: usize,
        mut f: impl FnMut(&[f32], usize) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        let span = self.columns.span(x, self.width);
        let of_row = self.columns.kernel_width * self.channels;
        for (k, row) in rows.iter().enumerate() {
            let Some(row) = row? else { continue };
            for tap in span.from..span.to {
                let (at, from) = (span.column(tap) * self.cin, k * of_row + tap * self.channels);
                let input = row.get(at..at + self.channels).ok_or(Mismatch)?;
                f(input, from)?;
            }
        }
        Ok(())
    }

    /// [`POSITIONS`] positions whose windows touch no padding on the left and right. By itself, so that the sums keep
    /// their registers.
    #[inline(never)]
    fn inner<W: Weight>(
        &self,
        rows: &Found<'_>,
        target: &Target<'_, W>,
        x: usize,
        dst: &mut [f32],
    ) -> Result<(), Mismatch> {
        let mut sums = [target.bias; POSITIONS];
        let (steps, len) = self.runs;
        let mut runs = target.weights.chunks_exact((len * LANES).max(1));
        let step = self.columns.stride * self.cin;
        let column = (x * self.columns.stride).checked_add_signed(-self.columns.pad_left).ok_or(Mismatch)?;
        let base = column * self.cin;
        for row in rows.iter() {
            let Some(row) = row? else {
                runs.nth(steps.saturating_sub(1));
                continue;
            };
            let mut at = base + target.input;
            for weights in runs.by_ref().take(steps) {
                let input = |p: usize| row.get(at + p * step..at + p * step + len).ok_or(Mismatch);
                block::accumulate(&mut sums, [input(0)?, input(1)?, input(2)?, input(3)?], weights);
                at += self.columns.dilation * self.cin;
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            self.store(target, x + p, sums, dst)?;
        }
        Ok(())
    }

    /// One position whose window may reach into padding.
    fn edge<W: Weight>(
        &self,
        rows: &Found<'_>,
        target: &Target<'_, W>,
        x: usize,
        dst: &mut [f32],
    ) -> Result<(), Mismatch> {
        let span = self.columns.span(x, self.width);
        let mut sums = target.bias;
        let mut taps = target.weights.chunks_exact((self.channels * LANES).max(1));
        for row in rows.iter() {
            let Some(row) = row? else {
                taps.nth(self.columns.kernel_width.saturating_sub(1));
                continue;
            };
            for (tap, weights) in taps.by_ref().take(self.columns.kernel_width).enumerate() {
                if tap < span.from || tap >= span.to {
                    continue;
                }
                let at = span.column(tap) * self.cin + target.input;
                let input = row.get(at..at + self.channels).ok_or(Mismatch)?;
                block::accumulate_one(&mut sums, input, weights);
            }
        }
        self.store(target, x, &sums, dst)
    }

    #[inline(always)]
    fn store<W>(
        &self,
        target: &Target<'_, W>,
        x: usize,
        sums: &[f32; LANES],
        dst: &mut [f32],
    ) -> Result<(), Mismatch> {
        let at = x * self.cout + target.output;
        let dst = dst.get_mut(at..at + target.lanes).ok_or(Mismatch)?;
        for (to, sum) in dst.iter_mut().zip(sums) {
            *to = limit(*sum, self.min, self.max);
        }
        Ok(())
    }
}
