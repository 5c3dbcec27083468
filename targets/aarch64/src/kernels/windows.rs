//! The inputs of a convolution's positions, put together side by side in scratch, whatever their type: all lengths here
//! are bytes.

use mote_runtime::engine::Mismatch;
use mote_runtime::kernels::columns::{Columns, Span};
use mote_runtime::kernels::s8::Window;

use super::dot::POSITIONS;
use super::gather::{copy, copy_each, fill, fill_each};

/// How the positions of a layer find their inputs.
pub struct Windows {
    /// Bytes of an input pixel.
    pub pixel: usize,
    pub columns: Columns,
    /// Bytes of a run: what a kernel row reads of an input row.
    pub run: usize,
    /// From position to position in scratch.
    pub position: usize,
    /// Bytes of an output pixel.
    pub output: usize,
    /// What stands for padding.
    pub padding: i8,
}

impl Windows {
    /// Computes one output row: puts positions together in `x`, some at a time, and calls `compute` with these and their
    /// outputs. `width` is the number of pixels of an input row.
    #[inline(always)]
    pub fn row(
        &self,
        window: &Window<'_>,
        width: usize,
        x: &mut [i8],
        to: &mut [i8],
        compute: impl Fn(&[i8], &mut [i8]) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        let output = self.output.max(1);
        let columns = to.len() / output;
        let interior = if self.columns.dilation == 1 { self.columns.interior(columns, width) } else { 0..0 };
        let mut column = 0;
        for to in to.chunks_mut(POSITIONS * output) {
            let end = column + to.len() / output;
            let (from, inside) = (interior.start.max(column).min(end), interior.end.max(column).min(end));
            for border in (column..from).chain(inside.max(from)..end) {
                let x = x.get_mut((border - column) * self.position..).ok_or(Mismatch)?;
                self.padded(window, &self.columns.span(border, width), x)?;
            }
            if from < inside {
                let x = x.get_mut((from - column) * self.position..).ok_or(Mismatch)?;
                self.whole(window, from, inside - from, x)?;
            }
            compute(x, to)?;
            column = end;
        }
        Ok(())
    }

    /// The inputs of positions that meet no padding on their sides, from `column` on: a run of each row.
    #[inline(always)]
    fn whole(&self, window: &Window<'_>, column: usize, count: usize, x: &mut [i8]) -> Result<(), Mismatch> {
        let first = (column * self.columns.stride).wrapping_add_signed(-self.columns.pad_left) * self.pixel;
        let distance = self.columns.stride * self.pixel;
        for k in 0..window.len() {
            let x = x.get_mut(k * self.run..).ok_or(Mismatch)?;
            match window.get(k) {
                Some(row) => {
                    let row = row.get(first..).ok_or(Mismatch)?;
                    copy_each(row, distance, x, self.position, self.run, count)?;
                }
                None => fill_each(self.padding, x, self.position, self.run, count)?,
            }
        }
        Ok(())
    }

    /// The inputs of a position that meets padding, or whose taps are apart.
    #[inline(never)]
    fn padded(&self, window: &Window<'_>, span: &Span, x: &mut [i8]) -> Result<(), Mismatch> {
        for (k, x) in x.chunks_exact_mut(self.run.max(1)).take(window.len()).enumerate() {
            let Some(row) = window.get(k) else {
                fill(x, self.padding);
                continue;
            };
            if self.columns.dilation > 1 {
                self.apart(row, span, x)?;
                continue;
            }
            let (left, inside) = (span.from * self.pixel, (span.to - span.from) * self.pixel);
            let from = if inside > 0 { span.column(span.from) * self.pixel } else { 0 };
            let (before, rest) = x.split_at_mut_checked(left).ok_or(Mismatch)?;
            let (middle, behind) = rest.split_at_mut_checked(inside).ok_or(Mismatch)?;
            fill(before, self.padding);
            copy(row.get(from..).and_then(|row| row.get(..inside)).ok_or(Mismatch)?, middle);
            fill(behind, self.padding);
        }
        Ok(())
    }

    /// A run whose taps are apart.
    fn apart(&self, row: &[i8], span: &Span, x: &mut [i8]) -> Result<(), Mismatch> {
        for (tap, pixel) in x.chunks_exact_mut(self.pixel.max(1)).enumerate() {
            if (span.from..span.to).contains(&tap) {
                let from = span.column(tap) * self.pixel;
                copy(row.get(from..).and_then(|row| row.get(..pixel.len())).ok_or(Mismatch)?, pixel);
            } else {
                fill(pixel, self.padding);
            }
        }
        Ok(())
    }
}
