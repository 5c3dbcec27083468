//! `depthwise_s8_dsp`: `depthwise_s8` of any kernel, with one output channel per input channel, channels in fours.
//!
//! Constants: 0 for each four channels the taps, each two words of 16 bits: twice the weights of channels 0 and 2, of 1
//! and 3; 1 for each four channels twice their starts, then the scale of each. Scratch: a byte for each channel.
//!
//! A word of the input holds four channels of a tap: two instructions unpack it, four multiply.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{arguments, is_code, require, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::stage::{Stage, code};
use super::taps::{TAPS, Taps, Weights};

records! {
    /// Arguments.
    pub struct DepthwiseArgs {
        pub channels: u32,
        /// Rows of the kernel: time times height.
        pub kernel_rows: u16,
        pub kernel_width: u16,
        pub stride: u16,
        pub dilation: u16,
        pub pad_left: i16,
        pub reserved: u16,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved2: u16,
    }
}

/// Twice the starts of four channels, then their scales.
pub type Block = [i32; 12];

/// Most rows of a kernel.
const ROWS: usize = 16;

impl DepthwiseArgs {
    const fn columns(&self) -> Columns {
        Columns::of(self.kernel_width, self.stride, self.dilation, self.pad_left)
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(DepthwiseArgs, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(Stage::is_sound(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.input_zero_point), Arguments);
    let channels = args.channels as usize;
    require!(channels > 0 && channels < 1 << 24 && channels.is_multiple_of(4), Arguments);
    require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1).is_multiple_of(channels), Shape);
    require!(args.columns().fits(step.row_len(1) / channels, step.row_len(0) / channels), Shape);
    let rows = args.kernel_rows as usize;
    require!(rows > 0 && rows <= ROWS && step.window(0) == rows, Shape);
    require!(rows * args.kernel_width as usize <= TAPS && step.scratch_bytes() >= channels, Shape);
    let weights = rows as u64 * args.kernel_width as u64 * channels as u64 * 2;
    require!(weights < 1 << 28 && step.blob_is(0, weights as usize, 4), Shape);
    require!(step.blob_is(1, channels / 4 * size_of::<Block>(), 4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let padding = scratch.get_mut(..args.channels as usize).ok_or(Mismatch)?;
    padding.fill(args.input_zero_point as u8);
    let padding = &*padding;
    let depthwise = Depthwise {
        channels: args.channels as usize,
        kernel_rows: args.kernel_rows.into(),
        columns: args.columns(),
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max },
        weights: given.constants(0)?,
        blocks: given.constants(1)?,
    };
    output
        .for_each(|slice, row, to| depthwise.row::<ROUNDING>(source.window(slice, row), padding, s8_mut(to)))
}

struct Depthwise<'a> {
    channels: usize,
    kernel_rows: usize,
    columns: Columns,
    stage: Stage,
    weights: &'a [Weights],
    blocks: &'a [Block],
}

impl Depthwise<'_> {
    /// Computes one output row. `padding` holds the zero point of each channel.
    fn row<const ROUNDING: u8>(
        &self,
        window: Rows<'_>,
        padding: &[u8],
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        // A row of padding is empty: whatever is read from it is padding.
        let mut rows = [&[][..]; ROWS];
        let rows = rows.get_mut(..self.kernel_rows).ok_or(Mismatch)?;
        for (kept, row) in rows.iter_mut().zip(window.iter()) {
            *kept = row.unwrap_or(&[]);
        }
        let mut taps = Taps::new(self.channels);
        let step = self.columns.dilation * self.channels;
        // Columns left of the input wrap to where no row has bytes.
        let mut first = (-self.columns.pad_left as usize).wrapping_mul(self.channels);
        for pixel in to.chunks_exact_mut(self.channels.max(1)) {
            taps.clear();
            for row in rows.iter() {
                let mut at = first;
                for _ in 0..self.columns.kernel_width {
                    let place = row.get(at..).and_then(|row| row.get(..self.channels));
                    taps.push(place.unwrap_or(padding)).ok_or(Mismatch)?;
                    at = at.wrapping_add(step);
                }
            }
            self.pixel::<ROUNDING>(&taps, pixel).ok_or(Mismatch)?;
            first = first.wrapping_add(self.columns.stride * self.channels);
        }
        self.stage.clamp(to);
        Ok(())
    }

    /// All channels of one output.
    fn pixel<const ROUNDING: u8>(&self, taps: &Taps<'_>, to: &mut [i8]) -> Option<()> {
        let per_group = (self.kernel_rows * self.columns.kernel_width).max(1);
        let groups = self.weights.chunks_exact(per_group).zip(self.blocks);
        let mut channel = 0;
        for (to, (weights, block)) in to.as_chunks_mut::<4>().0.iter_mut().zip(groups) {
            let &[a, b, c, d, m0, p0, m1, p1, m2, p2, m3, p3] = block;
            let [a, b, c, d] = taps.sums(channel, weights, [a, b, c, d])?;
            let code = |sum, scale| code::<ROUNDING>(sum, scale, self.stage.zero_point);
            *to = [code(a, [m0, p0]), code(b, [m1, p1]), code(c, [m2, p2]), code(d, [m3, p3])];
            channel += 4;
        }
        Some(())
    }
}
