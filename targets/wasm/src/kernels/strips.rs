//! Strips of positions, which sparse kernels multiply with all their weights.

use mote_runtime::engine::Mismatch;

/// Positions of the longest strip: as many sums as there are registers for.
pub const POSITIONS: usize = 32;

/// Output columns, at least one.
#[derive(Clone, Copy)]
pub struct Strip {
    first: usize,
    positions: usize,
}

/// Hands out the columns of a row, with the eights of positions to be computed for them: 4, 2 or 1.
#[inline(always)]
pub fn in_strips(
    columns: usize,
    mut strip: impl FnMut(Strip, usize) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let mut first = 0;
    while first < columns {
        let left = columns - first;
        let eights = match left {
            ..=8 => 1,
            9..=16 => 2,
            _ => 4,
        };
        let positions = left.min(8 * eights);
        strip(Strip { first, positions }, eights)?;
        first += positions;
    }
    Ok(())
}

impl Strip {
    /// The inputs of eight positions; the strip's last one stands in for those behind it.
    #[inline(always)]
    pub fn pixels<'r, T>(
        &self,
        eight: usize,
        row: &'r [T],
        inputs: usize,
        stride: usize,
    ) -> Result<[&'r [T]; 8], Mismatch> {
        let mut pixels = [[].as_slice(); 8];
        for (p, pixel) in pixels.iter_mut().enumerate() {
            let column = self.first + (8 * eight + p).min(self.positions.saturating_sub(1));
            let from = row.get(column * stride * inputs..).and_then(|rest| rest.get(..inputs));
            *pixel = from.ok_or(Mismatch)?;
        }
        Ok(pixels)
    }

    /// Its part of an output row.
    #[inline(always)]
    pub fn outputs<'r, T>(&self, row: &'r mut [T], outputs: usize) -> Result<&'r mut [T], Mismatch> {
        let end = self.first + self.positions;
        row.get_mut(self.first * outputs..end * outputs).ok_or(Mismatch)
    }
}
