//! `depthwise_f32` and `depthwise_f32_w16` (half-precision weights).
//!
//! Constants: weights `[window row][column][output channel]`, bias per output channel. Output channel `c` reads
//! input channel `c / multiplier`.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::DepthwiseF32;

use crate::engine::{Call, Mismatch, Rows};
use crate::kernels::StepView;
use crate::kernels::columns::Columns;
use crate::kernels::found::Found;
use crate::kernels::numbers::{Weight, limit, numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `depthwise_f32` and `depthwise_f32_w16`.
    pub struct DepthwiseF32Args {
        pub in_channels: u32,
        pub multiplier: u16,
        /// Rows of the window: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        pub min: f32,
        pub max: f32,
    }
}

/// Channels whose sums are held in registers.
const CHANNELS: usize = 16;

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

const fn check_size(step: &StepView<'_>, weight_bytes: usize) -> Result<(), Fault> {
    let Some(args) = DepthwiseF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == DepthwiseF32Args::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.in_channels == 0 || args.in_channels > 1 << 29 || args.multiplier == 0 {
        return Err(Fault::Arguments);
    }
    let channels = args.in_channels as u64 * args.multiplier as u64;
    let bytes = (channels * weight_bytes as u64)
        .saturating_mul(args.kernel_rows as u64)
        .saturating_mul(args.kernel_width as u64);
    if !step.is(0, DType::F32)
        || !step.is(1, DType::F32)
        || bytes > u32::MAX as u64
        || bytes == 0
        || channels > 1 << 29
    {
        return Err(Fault::Shape);
    }
    let (cin, cout) = (args.in_channels as usize, channels as usize);
    let rows = step.row_len(0).is_multiple_of(cin) && step.row_len(1).is_multiple_of(cout);
    if !rows || step.window(0) != args.kernel_rows as usize {
        return Err(Fault::Shape);
    }
    if !args.columns().fits(step.row_len(1) / cout, step.row_len(0) / cin) {
        return Err(Fault::Arguments);
    }
    if !step.blob_is(0, bytes as usize, weight_bytes) || !step.blob_is(1, cout * 4, 4) {
        return Err(Fault::Shape);
    }
    Ok(())
}

impl DepthwiseF32Args {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }
}

/// What stays the same for all rows.
struct Job<'a, W> {
    columns: Columns,
    /// Columns of the input.
    width: usize,
    cin: usize,
    cout: usize,
    multiplier: usize,
    weights: &'a [W],
    bias: &'a [f32],
    min: f32,
    max: f32,
}

fn convolve<W: Weight>(call: Call<'_>) -> Result<(), Mismatch> {
    let args = DepthwiseF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let (cin, multiplier) = (args.in_channels as usize, usize::from(args.multiplier));
    let width = (source.row_bytes() / 4).checked_div(cin).ok_or(Mismatch)?;
    let job = Job::<W> {
        columns: args.columns(),
        width,
        cin,
        cout: cin.checked_mul(multiplier).ok_or(Mismatch)?,
        multiplier,
        weights: call.given.constants(0)?,
        bias: call.given.constants(1)?,
        min: args.min,
        max: args.max,
    };
    output.for_each(|slice, row, dst| job.row(source.window(slice, row), numbers_mut(dst)?))
}

impl<W: Weight> Job<'_, W> {
    fn row(&self, rows: Rows<'_>, dst: &mut [f32]) -> Result<(), Mismatch> {
        if self.multiplier != 1 {
            let mut columns = dst.chunks_exact_mut(self.cout.max(1)).enumerate();
            return columns.try_for_each(|(x, dst)| self.multiplied(rows, x, dst));
        }
        let rows = &Found::new(rows)?;
        for (x, dst) in dst.chunks_exact_mut(self.cout.max(1)).enumerate() {
            let (blocks, tail) = dst.as_chunks_mut::<CHANNELS>();
            let mut channel = 0;
            for dst in blocks {
                self.block(rows, x, channel, dst)?;
                channel += CHANNELS;
            }
            let (blocks, tail) = tail.as_chunks_mut::<4>();
            for dst in blocks {
                self.block(rows, x, channel, dst)?;
                channel += 4;
            }
            for dst in tail {
                self.block(rows, x, channel, core::array::from_mut(dst))?;
                channel += 1;
            }
        }
        Ok(())
    }

    /// `N` channels of one position, from `channel` on.
    #[inline(always)]
    fn block<const N: usize>(
        &self,
        rows: &Found<'_>,
        x: usize,
        channel: usize,
        dst: &mut [f32; N],
    ) -> Result<(), Mismatch> {
        let span = self.columns.span(x, self.width);
        let mut sums: [f32; N] = *chunk(self.bias, channel)?;
        let mut weights = self.weights;
        let taps = self.columns.kernel_width * self.cout;
        for row in rows.iter() {
            let (these, rest) = weights.split_at_checked(taps).ok_or(Mismatch)?;
            weights = rest;
            let Some(row) = row? else { continue };
            for tap in span.from..span.to {
                let input: &[f32; N] = chunk(row, span.column(tap) * self.cin + channel)?;
                let w: &[W; N] = chunk(these, tap * self.cout + channel)?;
                for ((sum, x), w) in sums.iter_mut().zip(input).zip(w) {
                    *sum += x * w.real();
                }
            }
        }
        *dst = sums.map(|sum| limit(sum, self.min, self.max));
        Ok(())
    }

    /// One position of a layer with several output channels per input channel.
    fn multiplied(&self, rows: Rows<'_>, x: usize, dst: &mut [f32]) -> Result<(), Mismatch> {
        let span = self.columns.span(x, self.width);
        dst.copy_from_slice(self.bias.get(..dst.len()).ok_or(Mismatch)?);
        let mut weights = self.weights.chunks_exact(self.cout.max(1));
        for row in rows.iter() {
            for tap in 0..self.columns.kernel_width {
                let weights = weights.next().ok_or(Mismatch)?;
                let inside = tap >= span.from && tap < span.to;
                let Some(row) = row.filter(|_| inside) else { continue };
                let row: &[f32] = numbers(row)?;
                let column = span.column(tap);
                let input = row.get(column * self.cin..(column + 1) * self.cin).ok_or(Mismatch)?;
                let multiplier = self.multiplier.max(1);
                let outputs = dst.chunks_exact_mut(multiplier);
                for ((x, sums), weights) in input.iter().zip(outputs).zip(weights.chunks_exact(multiplier)) {
                    for (sum, w) in sums.iter_mut().zip(weights) {
                        *sum += x * w.real();
                    }
                }
            }
        }
        dst.iter_mut().for_each(|sum| *sum = limit(*sum, self.min, self.max));
        Ok(())
    }
}

/// The `N` numbers from `at` on.
#[inline(always)]
fn chunk<T, const N: usize>(numbers: &[T], at: usize) -> Result<&[T; N], Mismatch> {
    numbers.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Mismatch)
}
