//! `depthwise3x3_s8_dsp`: `depthwise_s8` with three rows and three columns, stride 1 or 2 along a row, one output
//! channel per input channel, channels in fours.
//!
//! Constants: 0 per channel [`piece::Channel`]. Scratch: [`Record`]s, as many as a row needs or as many as there is room for;
//! a row is done in pieces then.

#[cfg(feature = "pack")]
mod pack;
pub mod piece;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

pub use self::piece::Record;
use self::piece::{Channel, Layer, Source};
use super::stage::Stage;
use super::window;

records! {
    /// Arguments.
    pub struct Depthwise3x3Args {
        pub channels: u32,
        /// 1 or 2.
        pub stride: u16,
        pub pad_left: i16,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

/// Whether there is at most one column of padding at each end of a row.
const fn is_tight(columns: &Columns, outputs: usize, width: usize) -> bool {
    let behind = (outputs as isize - 1) * columns.stride as isize + 3 - columns.pad_left;
    columns.pad_left >= 0 && columns.pad_left <= 1 && behind <= width as isize + 1
}

/// Records of the shortest piece.
const SHORTEST: usize = 2;

impl Depthwise3x3Args {
    pub(super) const fn columns(&self) -> Columns {
        Columns::of(3, self.stride, 1, self.pad_left)
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(Depthwise3x3Args, step);
    require!(step.inputs() == 1 && step.blobs() == 1 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_clamp(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.input_zero_point) && (args.stride == 1 || args.stride == 2), Arguments);
    let channels = args.channels as usize;
    require!(channels > 0 && channels < 1 << 24 && channels.is_multiple_of(4), Arguments);
    require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1).is_multiple_of(channels), Shape);
    let (columns, width) = (step.row_len(1) / channels, step.row_len(0) / channels);
    require!(args.columns().fits(columns, width) && is_tight(&args.columns(), columns, width), Shape);
    require!(step.window(0) == 3, Shape);
    require!(step.blob_is(0, channels * size_of::<Channel>(), 4), Shape);
    require!(step.has_scratch((SHORTEST * size_of::<Record>()) as u64, 4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = Depthwise3x3Args::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let channels = args.channels as usize;
    let words: &mut [u32] = bytemuck::try_cast_slice_mut(scratch).map_err(|_| Mismatch)?;
    let (records, _) = words.as_chunks_mut();
    let stride = usize::from(args.stride);
    let layer = Layer {
        constants: given.constants(0)?,
        stride,
        input_zero_point: args.input_zero_point,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max },
    };
    let width = source.row_bytes().checked_div(channels).ok_or(Mismatch)?;
    // A record more than those whose outputs are made; each has two at stride 1.
    let outputs = (3 - stride.min(2)) * records.len().saturating_sub(1);
    let piece = (outputs * channels).max(1);
    output.for_each(|slice, row, to| {
        let rows = window::three(&source.window(slice, row)).ok_or(Mismatch)?;
        let mut first = -isize::from(args.pad_left);
        for to in s8_mut(to).chunks_mut(piece) {
            layer.compute::<ROUNDING>(&Source { rows, width, first }, records, to)?;
            first += (outputs * stride) as isize;
        }
        layer.stage.clamp(s8_mut(to));
        Ok(())
    })
}
