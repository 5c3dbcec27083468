//! The inputs of four columns of a convolution, side by side.

use bytemuck::Pod;
use mote_runtime::engine::Mismatch;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::Window;

use super::gemm::GROUP;

/// A convolution's way through its input.
pub struct Gather<T> {
    pub in_channels: usize,
    /// Numbers that a column needs.
    pub inputs: usize,
    pub columns: Columns,
    /// What padding counts as.
    pub padding: T,
}

impl<T: Pod> Gather<T> {
    /// The inputs of four columns, where they lie or put together in `copies`; those from `end` on are as the last one.
    #[inline(always)]
    pub fn four<'a>(
        &self,
        window: &Window<'a>,
        first: usize,
        end: usize,
        width: usize,
        copies: &'a mut [T],
    ) -> Result<[&'a [T]; GROUP], Mismatch> {
        let columns: [usize; GROUP] = core::array::from_fn(|p| (first + p).min(end.saturating_sub(1)));
        if self.inputs == self.in_channels
            && let Some(row) = window.get(0)
        {
            let row = bytemuck::try_cast_slice(row).map_err(|_| Mismatch)?;
            let x = columns.map(|column| self.single(row, column));
            if let [Some(a), Some(b), Some(c), Some(d)] = x {
                return Ok([a, b, c, d]);
            }
        }
        if self.inside(window, columns, width, copies).is_none() {
            for (column, x) in columns.into_iter().zip(copies.chunks_exact_mut(self.inputs.max(1))) {
                self.copy(window, column, width, x)?;
            }
        }
        let mut copies = copies.chunks_exact(self.inputs.max(1));
        Ok([(); GROUP].map(|()| copies.next().unwrap_or_default()))
    }

    /// The inputs of a column of a kernel with one tap, if it is there.
    #[inline(always)]
    fn single<'r>(&self, row: &'r [T], column: usize) -> Option<&'r [T]> {
        let column =
            (column * self.columns.stride).checked_add_signed(self.columns.pad_left.checked_neg()?)?;
        row.get(column * self.in_channels..)?.get(..self.in_channels)
    }

    /// Puts together the inputs of columns none of whose taps is padding, and whose taps are neighbours; `None` if there is one
    /// that isn't so. Each row is looked up once for all.
    #[inline(always)]
    fn inside(
        &self,
        window: &Window<'_>,
        columns: [usize; GROUP],
        width: usize,
        copies: &mut [T],
    ) -> Option<()> {
        let Columns { kernel_width, stride, dilation, pad_left } = self.columns;
        let before = pad_left.checked_neg()?;
        let first = |column: usize| (column * stride).checked_add_signed(before);
        let ([from, .., to], run) = (columns, kernel_width * self.in_channels);
        first(from)?;
        (dilation == 1 && first(to)? + kernel_width <= width).then_some(())?;
        for k in 0..window.len() {
            let row: &[T] = bytemuck::try_cast_slice(window.get(k)?).ok()?;
            for (p, column) in columns.into_iter().enumerate() {
                let x = copies.get_mut(p * self.inputs + k * run..)?.get_mut(..run)?;
                copy(row.get(first(column)? * self.in_channels..)?.get(..run)?, x);
            }
        }
        Some(())
    }

    /// Puts together the inputs of a column.
    fn copy(&self, window: &Window<'_>, column: usize, width: usize, x: &mut [T]) -> Result<(), Mismatch> {
        let span = self.columns.span(column, width);
        let run = self.columns.kernel_width * self.in_channels;
        for (k, x) in x.chunks_exact_mut(run.max(1)).enumerate() {
            let Some(row) = window.get(k) else {
                x.fill(self.padding);
                continue;
            };
            let row: &[T] = bytemuck::try_cast_slice(row).map_err(|_| Mismatch)?;
            let (left, rest) = x.split_at_mut_checked(span.from * self.in_channels).ok_or(Mismatch)?;
            let inside = (span.to - span.from) * self.in_channels;
            let (inside, right) = rest.split_at_mut_checked(inside).ok_or(Mismatch)?;
            left.fill(self.padding);
            right.fill(self.padding);
            // Neighbouring taps are neighbouring columns, or one at a time.
            let run = if self.columns.dilation == 1 { inside.len() } else { self.in_channels };
            for (tap, x) in inside.chunks_exact_mut(run.max(1)).enumerate() {
                let from = row.get(span.column(span.from + tap) * self.in_channels..).ok_or(Mismatch)?;
                x.copy_from_slice(from.get(..x.len()).ok_or(Mismatch)?);
            }
        }
        Ok(())
    }
}

/// Copies a run, which is often so short that a call for it takes longer than the copy.
#[inline(always)]
fn copy<T: Pod>(from: &[T], to: &mut [T]) {
    let (from, to): (&[u8], &mut [u8]) = (bytemuck::must_cast_slice(from), bytemuck::must_cast_slice_mut(to));
    if (8..=64).contains(&to.len()) {
        if to.len() < 16 {
            ends::<8>(from, to);
        } else {
            let whole = to.as_chunks_mut::<16>().0.iter_mut().zip(from.as_chunks::<16>().0);
            whole.for_each(|(to, from)| *to = *from);
            ends::<16>(from, to);
        }
    } else if from.len() == to.len() {
        to.copy_from_slice(from);
    }
}

/// The first and the last `N` bytes, which may overlap.
#[inline(always)]
fn ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
        *to = *from;
    }
    if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
        *to = *from;
    }
}
