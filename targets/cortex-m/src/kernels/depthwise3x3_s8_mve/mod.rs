//! `depthwise3x3_s8_mve`: `depthwise_s8` with three rows and columns, stride 1 or 2, one output channel for each input.
//!
//! Constants: 0 per channel 16 weights: three columns of three rows and a zero, then zeros; in front of all one vector of
//! zeros; 1 per channel start, multiplier, shift (`mve::stage`). Scratch: a vector of padding, then a strip.
//!
//! A strip holds the columns that up to eight output columns read, of 16 channels: for each column and channel one word,
//! a byte of each row (`strip`). So a channel's window is three words at a fixed distance: one gathering load, and one
//! `VMLADAV` for each output (`columns`). The load fetches a fourth column, which the next output reads, too.

mod columns;
#[cfg(feature = "pack")]
mod pack;
mod strip;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require, s8, s8_mut};
use mote_runtime::plan::{DType, Fault};

use self::columns::{Channels, Compute};
use self::strip::Strip;
pub use super::depthwise3x3_s8_dsp::Depthwise3x3Args;
use super::mve::stage::Stage;
use super::window;

/// Channels of a strip.
const LANES: usize = 16;
/// Bytes of a strip's column.
const COLUMN: usize = 4 * LANES;
/// Output columns that are computed together.
const OUTPUTS: usize = 8;
/// Weights of a channel.
const WEIGHTS: usize = 16;

/// Bytes of scratch: the gathering loads of all outputs together reach one column further than the outputs, at stride 2.
const fn scratch(columns: usize, stride: usize) -> usize {
    let outputs = if columns > OUTPUTS / 2 { OUTPUTS } else { OUTPUTS / 2 };
    LANES + COLUMN * ((outputs - 1) * stride + if stride == 1 { 3 } else { 4 })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(Depthwise3x3Args, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_clamp(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.input_zero_point) && (args.stride == 1 || args.stride == 2), Arguments);
    let channels = args.channels as usize;
    // Distances of output columns are numbers of 16 bits.
    require!(channels > 0 && channels * OUTPUTS < 1 << 16 && step.window(0) == 3, Arguments);
    require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1).is_multiple_of(channels), Shape);
    let (width, columns) = (step.row_len(0) / channels, step.row_len(1) / channels);
    require!(args.columns().fits(columns, width), Shape);
    require!(step.blob_is(0, WEIGHTS * (channels + 1), 4) && step.channels_are(1, channels), Shape);
    require!(step.scratch_bytes() >= scratch(columns, args.stride as usize), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    for<'a> Channels<'a>: Compute<ROUNDING>,
{
    let Call { given, mut output, scratch } = call;
    let args = Depthwise3x3Args::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let channels = args.channels as usize;
    let depthwise = Depthwise {
        channels,
        width: source.row_bytes().checked_div(channels).ok_or(Mismatch)?,
        stride: args.stride.into(),
        pad_left: args.pad_left.into(),
        stage: Stage::new(args.zero_point, args.min, args.max),
        weights: given.constants(0)?,
        scales: given.constants(1)?,
    };
    let padding = args.input_zero_point as i8;
    let (vector, strip) = s8_mut(scratch).split_first_chunk_mut::<LANES>().ok_or(Mismatch)?;
    vector.fill(padding);
    output.for_each(|slice, row, to| {
        let rows = window::three(&source.window(slice, row)).ok_or(Mismatch)?;
        let rows = rows.map(|row| row.map(s8));
        depthwise.row::<ROUNDING>(rows, vector, strip, s8_mut(to))
    })
}

/// Everything of a layer but its rows.
struct Depthwise<'a> {
    channels: usize,
    width: usize,
    stride: usize,
    pad_left: isize,
    stage: Stage,
    weights: &'a [[i8; WEIGHTS]],
    scales: &'a [[i32; 3]],
}

impl Depthwise<'_> {
    /// Computes one output row.
    fn row<const ROUNDING: u8>(
        &self,
        rows: [Option<&[i8]>; 3],
        padding: &[i8; LANES],
        room: &mut [i8],
        to: &mut [i8],
    ) -> Result<(), Mismatch>
    where
        for<'a> Channels<'a>: Compute<ROUNDING>,
    {
        let mut column = -self.pad_left;
        for to in to.chunks_mut((OUTPUTS * self.channels).max(1)) {
            let outputs = to.len().checked_div(self.channels).ok_or(Mismatch)?;
            let columns = (outputs.max(1) - 1) * self.stride + 3;
            // Columns of padding on both sides, and those between.
            let left = usize::try_from(-column).unwrap_or(0).min(columns);
            let end = usize::try_from(self.width as isize - column).unwrap_or(0).min(columns).max(left);
            let start = (column + left as isize) as usize * self.channels;
            let mut strip = Strip {
                sources: [&padding[..]; 3],
                advance: [0; 3],
                counts: [left, end - left, columns - end],
                padding: padding[0],
            };
            if end > left {
                for ((source, advance), row) in strip.sources.iter_mut().zip(&mut strip.advance).zip(rows) {
                    if let Some(row) = row {
                        *source = row.get(start..).ok_or(Mismatch)?;
                        *advance = self.channels;
                    }
                }
            }
            let channels = Channels {
                weights: self.weights,
                scales: self.scales,
                distance: self.channels,
                stride: self.stride,
                stage: self.stage,
            };
            columns::compute::<ROUNDING>(&channels, &strip, room, outputs, to)?;
            column += (OUTPUTS * self.stride) as isize;
        }
        Ok(())
    }
}
