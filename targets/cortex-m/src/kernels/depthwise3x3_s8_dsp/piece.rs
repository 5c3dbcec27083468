//! A piece of an output row, all channels: nine products an output in five instructions.
//!
//! Four channels at a time, input columns are unpacked to 16-bit pairs that lie channel by channel, then multiplied,
//! then the sums become codes.
//!
//! **Records.** Two neighbouring input columns of a channel are three words of pairs: rows 0 and 1 of the first column,
//! rows 0 and 1 of the second, and row 2 of both. A record ([`Record`]) holds the first words of four channels, then
//! the second and the third ones.
//!
//! **Weights** of a channel are five words of pairs: rows 0 and 1 of each of the three columns, then row 2 of columns 0
//! and 1, and of columns 1 and 2.
//!
//! Columns of padding stand in their records before: no sum is written over them, as there is at most one at each end.
//! A row of padding is four bytes that are read for every column.

#[cfg(mote_dsp)]
mod arm;

use mote_runtime::engine::Mismatch;

use crate::kernels::stage::Stage;

/// Four channels of two input columns.
pub type Record = [u32; 12];

/// What a channel needs: its weights, its start, and its scale. All but the scale doubled.
pub type Channel = [i32; 8];

/// What all pieces of a layer share.
pub struct Layer<'a> {
    pub constants: &'a [Channel],
    pub stride: usize,
    pub input_zero_point: i32,
    pub stage: Stage,
}

/// The input of a piece: rows of `width` columns, or padding. Its first output reads from column `first` on, the last
/// one up to column `width` at the most.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub rows: [Option<&'a [u8]>; 3],
    pub width: usize,
    pub first: isize,
}

impl Layer<'_> {
    /// Computes the output columns that `to` holds.
    #[inline(always)]
    pub fn compute<const ROUNDING: u8>(
        &self,
        source: &Source<'_>,
        records: &mut [Record],
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let channels = self.constants.len();
        let outputs = to.len().checked_div(channels).ok_or(Mismatch)?;
        let behind = outputs
            .checked_mul(self.stride)
            .and_then(|columns| (columns + 3).checked_sub(self.stride)?.checked_add_signed(source.first));
        let complete = channels.is_multiple_of(4)
            && (1..=2).contains(&self.stride)
            && outputs > 0
            && source.first >= -1
            && behind.is_some_and(|behind| behind <= source.width + 1)
            && source.rows.iter().flatten().all(|row| row.len() >= source.width * channels);
        if !complete {
            return Err(Mismatch);
        }
        #[cfg(mote_dsp)]
        return arm::compute::<ROUNDING>(self, source, outputs, records, to).ok_or(Mismatch);
        #[cfg(not(mote_dsp))]
        plain::compute::<ROUNDING>(self, source, records, to).ok_or(Mismatch)
    }
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::{Layer, Record, Source};
    use crate::kernels::stage::code;

    pub fn compute<const ROUNDING: u8>(
        layer: &Layer<'_>,
        source: &Source<'_>,
        _records: &mut [Record],
        to: &mut [i8],
    ) -> Option<()> {
        let channels = layer.constants.len();
        for (column, to) in to.chunks_exact_mut(channels.max(1)).enumerate() {
            let first = source.first + (column * layer.stride) as isize;
            for (channel, (to, &[w0, w1, w2, w01, w12, start, multiplier, scale])) in
                to.iter_mut().zip(layer.constants).enumerate()
            {
                let weights = [
                    [w0 as i16, w1 as i16, w2 as i16],
                    [w0 >> 16, w1 >> 16, w2 >> 16].map(|w| w as i16),
                    [w01 as i16, (w01 >> 16) as i16, (w12 >> 16) as i16],
                ];
                let mut sum = start;
                for (row, weights) in source.rows.iter().zip(weights) {
                    for (tap, weight) in weights.into_iter().enumerate() {
                        let at = usize::try_from(first + tap as isize).ok().filter(|&at| at < source.width);
                        let x = match (row, at) {
                            (Some(row), Some(at)) => i32::from(*row.get(at * channels + channel)? as i8),
                            _ => layer.input_zero_point,
                        };
                        sum = sum.wrapping_add(x * i32::from(weight));
                    }
                }
                *to = code::<ROUNDING>(sum, [multiplier, scale], layer.stage.zero_point);
            }
        }
        Some(())
    }
}
