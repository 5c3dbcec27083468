//! `depthwise3x3_s8_dsp`: `depthwise_s8` with three rows and three columns, stride 1 or 2 along a row, one output
//! channel per input channel, channels in fours.
//!
//! Constants: 0 per channel [`columns::Channel`]. Scratch: [`Record`]s, as many as a row needs or as many as there is room for;
//! a row is done in pieces then.
//!
//! Four channels at a time, a row is unpacked to 16-bit pairs that lie channel by channel, so that one instruction
//! multiplies two taps (`columns`). Columns of padding are unpacked from the zero point. A row of padding has its
//! weights set to zero, and what they would have given added to the start.

mod columns;
#[cfg(mote_dsp)]
mod finish;
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

pub use self::columns::Record;
use self::columns::{Channel, stride_1, stride_2};
use super::stage::{Stage, code};
use super::unpack::{self, FourChannels, ThreeRows};

records! {
    /// Arguments.
    pub struct Depthwise3x3Args {
        pub channels: u32,
        pub stride: u16,
        pub pad_left: i16,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

/// Records of the shortest piece.
const SHORTEST: usize = 3;

impl Depthwise3x3Args {
    const fn columns(&self) -> Columns {
        let (stride, pad_left) = (self.stride as usize, self.pad_left as isize);
        Columns { kernel_width: 3, stride, dilation: 1, pad_left }
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(Depthwise3x3Args, step);
    require!(step.inputs() == 1 && step.blobs() == 1 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(Stage::is_sound(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.input_zero_point) && (args.stride == 1 || args.stride == 2), Arguments);
    let channels = args.channels as usize;
    require!(channels > 0 && channels < 1 << 24 && channels.is_multiple_of(4), Arguments);
    require!(step.row_len(0).is_multiple_of(channels) && step.row_len(1).is_multiple_of(channels), Shape);
    require!(args.columns().fits(step.row_len(1) / channels, step.row_len(0) / channels), Shape);
    require!(step.window(0) == 3, Shape);
    require!(step.blob_is(0, channels * size_of::<Channel>(), 4), Shape);
    require!(step.scratch_bytes() >= SHORTEST * size_of::<Record>(), Shape);
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
    let depthwise = Depthwise::<ROUNDING> {
        channels,
        width: source.row_bytes().checked_div(channels).ok_or(Mismatch)?,
        stride: args.stride.into(),
        pad_left: args.pad_left.into(),
        input_zero_point: args.input_zero_point,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max },
        constants: given.constants(0)?,
    };
    output.for_each(|slice, row, to| {
        depthwise.row(source.window(slice, row), records, s8_mut(to))?;
        depthwise.stage.clamp(s8_mut(to));
        Ok(())
    })
}

struct Depthwise<'a, const ROUNDING: u8> {
    channels: usize,
    width: usize,
    stride: usize,
    pad_left: isize,
    input_zero_point: i32,
    stage: Stage,
    constants: &'a [Channel],
}

impl<const ROUNDING: u8> Depthwise<'_, ROUNDING> {
    /// Computes one output row.
    fn row(&self, window: Rows<'_>, records: &mut [Record], to: &mut [i8]) -> Result<(), Mismatch> {
        let rows = [window.get(0), window.get(1), window.get(2)];
        let absent = rows.map(|row| row.is_none());
        // For a row of padding any other one is as good: its weights are zero.
        let [a, b, c] = rows;
        let some = a.or(b).or(c).unwrap_or(&[]);
        let width = if some.is_empty() { 0 } else { self.width };
        let rows =
            ThreeRows::new(rows.map(|row| row.unwrap_or(some)), width, self.channels).ok_or(Mismatch)?;
        let step = if self.stride == 1 { 2 } else { 1 };
        let room = records.len().saturating_sub(1) & !1;
        let piece = (step * room * self.channels).max(1);
        let mut first = -self.pad_left;
        for to in to.chunks_mut(piece) {
            let outputs = to.len().checked_div(self.channels).ok_or(Mismatch)?;
            let turns = outputs.div_ceil(step).next_multiple_of(2);
            let records = records.get_mut(..turns + 1).ok_or(Mismatch)?;
            let filled = ((outputs - 1) * self.stride + 3).div_ceil(2);
            // Pairs of columns that meet the left border, and those inside.
            let left = usize::try_from(-first).unwrap_or(0).div_ceil(2).min(filled);
            let column = first + 2 * left as isize;
            let inside = (self.width.saturating_sub(column as usize) / 2).min(filled - left);
            for (group, constants) in self.constants.as_chunks::<4>().0.iter().enumerate() {
                let columns = rows.channels(4 * group).ok_or(Mismatch)?;
                self.unpack(&columns, first, records.get_mut(..filled).ok_or(Mismatch)?, left, inside);
                self.multiply(records, constants, absent);
                self.finish(records, 4 * group, constants, to);
            }
            first += (outputs * self.stride) as isize;
        }
        Ok(())
    }

    /// Fills records from input column `first` on; records `left .. left + inside` have both their columns inside.
    #[inline(always)]
    fn unpack(
        &self,
        columns: &FourChannels<'_>,
        first: isize,
        records: &mut [Record],
        left: usize,
        inside: usize,
    ) {
        let (before, rest) = records.split_at_mut(left.min(records.len()));
        let (inside, after) = rest.split_at_mut(inside.min(rest.len()));
        self.unpack_padded(columns, first, before);
        let column = first + 2 * before.len() as isize;
        if columns.unpack(column as usize, inside).is_none() {
            self.unpack_padded(columns, column, inside);
        }
        self.unpack_padded(columns, column + 2 * inside.len() as isize, after);
    }

    /// Fills records whose columns may lie beside the rows.
    #[inline(always)]
    fn unpack_padded(&self, columns: &FourChannels<'_>, mut column: isize, records: &mut [Record]) {
        let padding = [u32::from_le_bytes([self.input_zero_point as u8; 4]); 3];
        for record in records {
            let a = columns.words(column).unwrap_or(padding);
            let b = columns.words(column + 1).unwrap_or(padding);
            unpack::pair(&[a, b], record);
            column += 2;
        }
    }

    /// The sums of four channels.
    #[inline(always)]
    fn multiply(&self, records: &mut [Record], constants: &[Channel; 4], absent: [bool; 3]) {
        let mut without;
        let mut constants = constants;
        if absent != [false; 3] {
            without = *constants;
            self.take_absent(&mut without, absent);
            constants = &without;
        }
        if self.stride == 1 { stride_1(records, constants) } else { stride_2(records, constants) }
    }

    /// Sets the weights of absent rows to zero, and adds what they would have given to the start.
    #[cold]
    #[inline(never)]
    fn take_absent(&self, channels: &mut [Channel; 4], [first, second, third]: [bool; 3]) {
        let (low, high) = (|w: i32| i32::from(w as i16), |w: i32| w >> 16);
        for [w0, w1, w2, w01, w12, start, ..] in channels {
            let mut sum = 0i32;
            if first {
                sum += low(*w0) + low(*w1) + low(*w2);
                [&mut *w0, w1, w2].into_iter().for_each(|w| *w &= -0x1_0000);
            }
            if second {
                sum += high(*w0) + high(*w1) + high(*w2);
                [&mut *w0, w1, w2].into_iter().for_each(|w| *w &= 0xffff);
            }
            if third {
                sum += low(*w01) + high(*w01) + high(*w12);
                (*w01, *w12) = (0, 0);
            }
            *start = start.wrapping_add(sum.wrapping_mul(self.input_zero_point));
        }
    }

    /// From sums to codes.
    #[inline(always)]
    fn finish(&self, records: &[Record], channel: usize, constants: &[Channel; 4], to: &mut [i8]) {
        #[cfg(mote_dsp)]
        let (records, to) = {
            let finish = if self.stride == 1 {
                finish::finish_two::<ROUNDING>
            } else {
                finish::finish_one::<ROUNDING>
            };
            let done = finish(records, channel, self.channels, constants, self.stage.zero_point, to);
            let per_record = if self.stride == 1 { 2 } else { 1 };
            let records = records.get(done / per_record..).unwrap_or_default();
            (records, to.get_mut(done * self.channels..).unwrap_or_default())
        };
        if !to.is_empty() {
            self.finish_rest(records, channel, constants, to);
        }
    }

    #[inline(never)]
    fn finish_rest(&self, records: &[Record], channel: usize, constants: &[Channel; 4], to: &mut [i8]) {
        let scales = constants.each_ref().map(|&[.., multiplier, scale]| [multiplier, scale]);
        let code = |sum: u32, scale| code::<ROUNDING>(sum as i32, scale, self.stage.zero_point);
        let mut pixels = to.chunks_exact_mut(self.channels.max(1));
        let mut put = |sums: [u32; 4]| {
            let pixel = pixels.next().and_then(|pixel| pixel.get_mut(channel..)?.first_chunk_mut::<4>());
            if let Some(pixel) = pixel {
                let ([a, b, c, d], [s0, s1, s2, s3]) = (sums, scales);
                *pixel = [code(a, s0), code(b, s1), code(c, s2), code(d, s3)];
            }
        };
        for &[a0, a1, _, b0, b1, _, c0, c1, _, d0, d1, _] in records {
            put([a0, b0, c0, d0]);
            if self.stride == 1 {
                put([a1, b1, c1, d1]);
            }
        }
    }
}
