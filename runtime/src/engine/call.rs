//! What a kernel sees of the world: rows to read, rows to write, arguments, constants, scratch.
//!
//! A whole tensor, a ring that wraps, and padding are all lists of rows here, so no kernel knows about any of them.
//! Records of the plan are kept as the bytes that they are: copies of them would be most of what a call costs.

use crate::plan::{OperandBytes, OperandRecord, Plan, Space, StepBytes, StepRecord, slice};

/// A kernel met arguments that its check should have refused. Never seen with a plan from [`Plan::parse`] bound
/// by [`Engine::new`](crate::Engine::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

/// A kernel: computes the output rows of one call.
pub type KernelFn = fn(Call<'_>) -> Result<(), Mismatch>;

/// One call of a kernel: the output slices that are due, with everything needed to compute them.
pub struct Call<'a> {
    /// Constants, arguments and inputs.
    pub given: Given<'a>,
    /// Rows to write.
    pub output: Output<'a>,
    /// Memory that holds nothing before and after; 16-byte aligned.
    pub scratch: &'a mut [u8],
}

/// The readable half of a [`Call`]; `Copy`, so that a kernel can keep it while it writes the output.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    plan: &'a Plan<'a>,
    step: &'a StepBytes,
    /// The first output slice of the call.
    first: usize,
    shared: Shared<'a>,
}

/// The rows that a call writes: slices `first .. first + slices`, each of `rows` rows.
pub struct Output<'a> {
    bytes: &'a mut [u8],
    first: usize,
    slices: usize,
    view: &'a OperandBytes,
}

/// A tensor that a step reads, as slices of rows, with the windows of the step.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    bytes: &'a [u8],
    view: &'a OperandBytes,
    /// A slice that lies elsewhere, and its memory; a number that no slice has if there is none.
    newest: (i64, &'a [u8]),
}

/// The list of input rows that one output row needs, in window order (slices first, rows within).
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    source: Source<'a>,
    first_slice: i64,
    first_row: i64,
}

impl<'a> Given<'a> {
    #[inline(always)]
    fn step(&self) -> StepRecord {
        StepRecord::of(self.step)
    }

    /// The kernel's argument record.
    pub fn args(&self) -> &'a [u8] {
        self.plan.args(&self.step())
    }

    /// Constant `index` of the step, as bytes; empty if the step has fewer.
    pub fn blob(&self, index: usize) -> &'a [u8] {
        self.plan.step_blob(&self.step(), index)
    }

    /// Constant `index` as numbers (`i8`, `i32`, `f32`, `f16`, ..).
    pub fn constants<T: bytemuck::AnyBitPattern>(&self, index: usize) -> Result<&'a [T], Mismatch> {
        bytemuck::try_cast_slice(self.blob(index)).map_err(|_| Mismatch)
    }

    /// Number of inputs of the step.
    pub fn inputs(&self) -> usize {
        self.step().inputs.into()
    }

    /// Input `index`, or `None` if it is stored where the output is: the output row then holds the input row.
    pub fn input(&self, index: usize) -> Result<Option<Source<'a>>, Mismatch> {
        if index >= self.inputs() {
            return Err(Mismatch);
        }
        if index < 4 && self.step().flags & (crate::plan::step_flags::IN_PLACE << index) != 0 {
            return Ok(None);
        }
        let view = self.plan.operand_bytes(usize::from(self.step().operand) + index).ok_or(Mismatch)?;
        let operand = OperandRecord::of(view);
        let bytes = self.tensor(operand.tensor)?.get(operand.offset as usize..).ok_or(Mismatch)?;
        let newest = match operand.newest.checked_sub(1) {
            Some(tensor) => (operand.last_of_window(self.first), self.tensor(tensor)?),
            None => (-1, [].as_slice()),
        };
        Ok(Some(Source { bytes, view, newest }))
    }

    /// Memory of a tensor.
    fn tensor(&self, index: u16) -> Result<&'a [u8], Mismatch> {
        let tensor = self.plan.tensor(index.into()).ok_or(Mismatch)?;
        let (offset, bytes) = (tensor.offset as usize, tensor.bytes as usize);
        let owned = match Space::from_code(tensor.space).ok_or(Mismatch)? {
            Space::Constant => Some(slice(self.plan.weights(), offset, bytes)),
            space => self.shared.get(space, offset, bytes),
        };
        owned.ok_or(Mismatch)
    }

    /// Input `index` of a kernel that is never given its inputs in place.
    pub fn source(&self, index: usize) -> Result<Source<'a>, Mismatch> {
        self.input(index)?.ok_or(Mismatch)
    }
}

impl<'a> Source<'a> {
    #[inline(always)]
    fn view(&self) -> OperandRecord {
        OperandRecord::of(self.view)
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.view().row_bytes as usize
    }

    /// Rows of one slice.
    pub fn rows_per_slice(&self) -> usize {
        self.view().rows as usize
    }

    /// Row `row` of slice `slice`, both counted from the start of the tensor; `None` outside (padding).
    #[inline]
    pub fn row(&self, slice: i64, row: i64) -> Option<&'a [u8]> {
        let (s, r) = (u32::try_from(slice).ok()?, u32::try_from(row).ok()?);
        let slots = self.view().slots;
        self.at(s, if s < slots { s } else { s.checked_rem(slots)? }, r)
    }

    /// Row `row` of slice `slice`, which lies in `slot` of the ring if it isn't the newest one.
    #[inline(always)]
    fn at(&self, slice: u32, slot: u32, row: u32) -> Option<&'a [u8]> {
        let v = self.view();
        if slice >= v.slices || row >= v.rows {
            return None;
        }
        let (bytes, slot) =
            if self.newest.0 == i64::from(slice) { (self.newest.1, 0) } else { (self.bytes, slot) };
        let start = slot as usize * v.slice_stride as usize + row as usize * v.row_stride as usize;
        bytes.get(start..start + v.row_bytes as usize)
    }

    /// The rows that output row `row` of output slice `slice` needs.
    #[inline]
    pub fn window(&self, slice: usize, row: usize) -> Rows<'a> {
        let v = self.view();
        Rows {
            source: *self,
            first_slice: slice as i64 * i64::from(v.outer_stride) - i64::from(v.outer_pad),
            first_row: row as i64 * i64::from(v.inner_stride) - i64::from(v.inner_pad),
        }
    }

    /// The single row that output row `row` of output slice `slice` needs.
    #[inline]
    pub fn only(&self, slice: usize, row: usize) -> Result<&'a [u8], Mismatch> {
        self.window(slice, row).get(0).ok_or(Mismatch)
    }
}

impl<'a> Rows<'a> {
    /// Number of rows in the window, padding included.
    #[inline]
    pub fn len(&self) -> usize {
        let v = self.source.view();
        usize::from(v.outer_count) * usize::from(v.inner_count)
    }

    /// Bytes of each row.
    pub fn row_bytes(&self) -> usize {
        self.source.row_bytes()
    }

    /// Whether the window is empty; a checked plan has none such.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `k` of the window; `None` for padding.
    #[inline]
    pub fn get(&self, k: usize) -> Option<&'a [u8]> {
        let v = self.source.view();
        let inner = usize::from(v.inner_count);
        let (o, i) = match (v.outer_count, inner) {
            (1, _) => (0, k),
            (_, 1) => (k, 0),
            _ => (k.checked_div(inner)?, k.checked_rem(inner)?),
        };
        self.source.row(
            self.first_slice + o as i64 * i64::from(v.outer_dilation),
            self.first_row + i as i64 * i64::from(v.inner_dilation),
        )
    }

    /// [`Rows::iter`] for long windows: over the slices of a ring the place of each is counted on from the one before,
    /// where `iter` divides for each of them.
    #[inline]
    pub fn in_turn(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let v = self.source.view();
        let (slots, step) = (v.slots, u32::from(v.outer_dilation));
        // Slices before the start have no place; where windows have some, they are short or few.
        let first = u32::try_from(self.first_slice).ok().filter(|_| v.inner_count == 1 && step <= slots);
        let mut slot = first.and_then(|first| first.checked_rem(slots)).unwrap_or(0);
        let (row, len) = (u32::try_from(self.first_row).unwrap_or(u32::MAX), self.len());
        (0..len).map(move |k| {
            let Some(first) = first else { return self.get(k) };
            let found = self.source.at(first.checked_add(k as u32 * step)?, slot, row);
            slot += step;
            if slot >= slots {
                slot -= slots;
            }
            found
        })
    }

    /// Where each row of the window starts, null for padding, for kernels that check lengths once and no more: from each
    /// start on there are [`Rows::row_bytes`] bytes. Says whether all rows are there; `None` if `starts` is too short, or
    /// a row lies beside the tensor.
    #[inline]
    pub fn starts(&self, starts: &mut [*const u8]) -> Option<bool> {
        self.starts_of(starts.get_mut(..self.len())?)
    }

    /// As [`Rows::starts`], of the next slice's window, too, if both share rows: how many rows of this window the next one
    /// leaves behind, and whether all are there. `None` also if they share none.
    #[inline]
    pub fn starts_with_next(&self, starts: &mut [*const u8]) -> Option<(usize, bool)> {
        let advance = self.advance()?;
        let complete = self.starts_of(starts.get_mut(..self.len().checked_add(advance)?)?)?;
        Some((advance, complete))
    }

    /// How many rows of its window the next slice leaves behind, where it shares the others with this one.
    fn advance(&self) -> Option<usize> {
        let v = self.source.view();
        let advance = v.outer_stride.checked_div(v.outer_dilation)?;
        let shared = v.inner_count == 1
            && v.outer_stride.is_multiple_of(v.outer_dilation)
            && (1..v.outer_count).contains(&advance)
            && self.source.newest.0 < 0;
        shared.then_some(advance.into())
    }

    /// As many rows from the first one of the window on as there are `starts`.
    // Called, and with numbers of 32 bits wherever places are counted on: it is most of what a call of few columns costs.
    #[inline(never)]
    fn starts_of(&self, starts: &mut [*const u8]) -> Option<bool> {
        let v = self.source.view();
        let (bytes, newest) = (self.source.bytes, self.source.newest.0);
        let (first_slice, first_row) = (i32::try_from(self.first_slice), i32::try_from(self.first_row));
        let (Ok(slice), Ok(row), false, true) = (
            first_slice,
            first_row,
            v.outer_count > 1 && v.inner_count > 1 || newest >= 0,
            u32::from(v.outer_dilation) <= v.slots,
        ) else {
            return self.starts_one_by_one(starts);
        };
        // A ring is as good as whole while it has not wrapped. Slices before the first one are counted back from its end.
        let slots = v.slots;
        let slot = match slice as u32 {
            slot if slot < slots => slot,
            slot if slice >= 0 => slot.checked_rem(slots)?,
            _ => slots.wrapping_sub((!slice as u32).checked_rem(slots)?).wrapping_sub(1),
        };
        let (slice_stride, row_stride) = (v.slice_stride as isize, v.row_stride as isize);
        let of_row = (row as isize).wrapping_mul(row_stride);
        let mut place = (slot as isize).wrapping_mul(slice_stride).wrapping_add(of_row);
        let furthest = bytes.len().checked_sub(v.row_bytes as usize)?;
        // What is counted, up to where, by how much, and where its places begin anew.
        let (mut index, limit, step, stride, ring) = if v.inner_count > 1 {
            let rows = if (slice as u32) < v.slices { v.rows } else { 0 };
            (row as u32, rows, v.inner_dilation, row_stride, isize::MAX)
        } else {
            let slices = if (row as u32) < v.rows { v.slices } else { 0 };
            (
                slice as u32,
                slices,
                v.outer_dilation,
                slice_stride,
                (v.slots as isize).wrapping_mul(slice_stride),
            )
        };
        let (advance, end) = ((step as isize).wrapping_mul(stride), ring.saturating_add(of_row));
        // What is negative wraps to where nothing is, not even of a stream without end.
        let limit = limit.min(i32::MAX as u32);
        let mut complete = true;
        for start in starts {
            *start = core::ptr::null();
            if index < limit {
                if place as usize > furthest {
                    return None;
                }
                *start = bytes.as_ptr().wrapping_offset(place);
            } else {
                complete = false;
            }
            index = index.wrapping_add(step.into());
            place = place.wrapping_add(advance);
            if place >= end {
                place = place.wrapping_sub(ring);
            }
        }
        Some(complete)
    }

    /// [`Rows::get`], called: it is long where it is inlined.
    #[inline(never)]
    pub fn called(&self, k: usize) -> Option<&'a [u8]> {
        self.get(k)
    }

    /// [`Rows::starts`] by [`Rows::get`].
    #[cold]
    #[inline(never)]
    fn starts_one_by_one(&self, starts: &mut [*const u8]) -> Option<bool> {
        let mut complete = true;
        for (k, start) in starts.iter_mut().enumerate() {
            let row = self.called(k);
            complete &= row.is_some();
            *start = row.map_or(core::ptr::null(), <[u8]>::as_ptr);
        }
        Some(complete)
    }

    /// All rows of the window in order; `None` for padding.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        (0..self.len()).map(move |k| self.get(k))
    }
}

impl Output<'_> {
    #[inline(always)]
    fn view(&self) -> OperandRecord {
        OperandRecord::of(self.view)
    }

    /// Indices of the slices to compute.
    pub fn slices(&self) -> core::ops::Range<usize> {
        self.first..self.first + self.slices
    }

    /// Rows of one slice.
    pub fn rows(&self) -> usize {
        self.view().rows as usize
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.view().row_bytes as usize
    }

    /// Row `row` of slice `slice` (one of [`Output::slices`]).
    #[inline]
    pub fn row(&mut self, slice: usize, row: usize) -> Result<&mut [u8], Mismatch> {
        let v = self.view();
        let slots = v.slots as usize;
        let slot = if slice < slots { slice } else { slice.checked_rem(slots).ok_or(Mismatch)? };
        let start = slot * v.slice_stride as usize + row * v.row_stride as usize;
        self.bytes.get_mut(start..start + v.row_bytes as usize).ok_or(Mismatch)
    }

    /// The rows of slices `slice` and `slice + 1`, which have one each; `None` if the call does not make both.
    #[inline]
    pub fn two(&mut self, slice: usize) -> Option<[&mut [u8]; 2]> {
        let v = self.view();
        if v.rows != 1 || slice < self.first || slice.wrapping_add(1) >= self.first.wrapping_add(self.slices)
        {
            return None;
        }
        let (slots, stride, bytes) = (v.slots as usize, v.slice_stride as usize, v.row_bytes as usize);
        let slot = if slice < slots { slice } else { slice.checked_rem(slots)? };
        let next = if slot + 1 < slots { slot + 1 } else { 0 };
        let row = |slot: usize| slot * stride..slot * stride + bytes;
        self.bytes.get_disjoint_mut([row(slot), row(next)]).ok()
    }

    /// Calls `f(slice, row, bytes)` for every row to compute.
    #[inline]
    pub fn for_each(
        &mut self,
        mut f: impl FnMut(usize, usize, &mut [u8]) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        for slice in self.slices() {
            for row in 0..self.rows() {
                f(slice, row, self.row(slice, row)?)?;
            }
        }
        Ok(())
    }
}

/// A piece of a space: where it starts, and its bytes.
type Piece<'a> = (usize, &'a [u8]);

/// What is left of arena and state beside the pieces that are lent out mutably.
#[derive(Clone, Copy)]
struct Shared<'a> {
    /// First those of the arena.
    pieces: [Piece<'a>; 4],
    of_arena: usize,
}

impl<'a> Shared<'a> {
    fn get(&self, space: Space, offset: usize, bytes: usize) -> Option<&'a [u8]> {
        let (arena, state) = self.pieces.split_at_checked(self.of_arena)?;
        let pieces = if matches!(space, Space::Arena) { arena } else { state };
        pieces.iter().find_map(|(start, piece)| {
            let from = offset.checked_sub(*start)?;
            piece.get(from..from.checked_add(bytes)?)
        })
    }
}

/// Two pieces of memory that were asked for, and the pieces before, between and after them.
type Lent<'a> = (&'a mut [u8], &'a mut [u8], [Piece<'a>; 3]);

/// Lends out two disjoint ranges (offset, bytes) of `memory`, and shares the rest.
#[inline(always)]
fn lend(memory: &mut [u8], a: (usize, usize), b: (usize, usize)) -> Option<Lent<'_>> {
    let swapped = b.0 < a.0 || (b.0 == a.0 && b.1 < a.1);
    let (low, high) = if swapped { (b, a) } else { (a, b) };
    let (before, rest) = memory.split_at_mut_checked(low.0)?;
    let (first, rest) = rest.split_at_mut_checked(low.1)?;
    let between_from = low.0 + low.1;
    let (between, rest) = rest.split_at_mut_checked(high.0.checked_sub(between_from)?)?;
    let (second, after) = rest.split_at_mut_checked(high.1)?;
    let pieces: [Piece<'_>; 3] = [(0, before), (between_from, between), (high.0 + high.1, after)];
    Some(if swapped { (second, first, pieces) } else { (first, second, pieces) })
}

/// Lends out one range (offset, bytes) of `memory`, and shares the rest.
#[inline(always)]
fn lend_one(memory: &mut [u8], (offset, bytes): (usize, usize)) -> Option<(&mut [u8], [Piece<'_>; 2])> {
    let (before, rest) = memory.split_at_mut_checked(offset)?;
    let (lent, after) = rest.split_at_mut_checked(bytes)?;
    Some((lent, [(0, before), (offset + bytes, after)]))
}

/// Builds the call of `step` for output slices `first .. first + slices`.
// Inlined into its only caller, so that the call is built where the kernel will find it.
#[inline(always)]
pub(crate) fn prepare<'a>(
    plan: &'a Plan<'a>,
    step: &'a StepBytes,
    arena: &'a mut [u8],
    state: &'a mut [u8],
    first: usize,
    slices: usize,
) -> Result<Call<'a>, Mismatch> {
    let record = StepRecord::of(step);
    let view = plan.operand_bytes(record.output()).ok_or(Mismatch)?;
    let operand = OperandRecord::of(view);
    let owner = plan.tensor(operand.tensor.into()).ok_or(Mismatch)?;
    let owned = (owner.offset as usize, owner.bytes as usize);
    // An empty range is put where it cuts nothing.
    let scratch = if record.scratch_bytes == 0 {
        (0, 0)
    } else {
        (record.scratch as usize, record.scratch_bytes as usize)
    };
    let (output, scratch, shared) = if owner.space == Space::Arena as u8 {
        let (output, scratch, [a, b, c]) = lend(arena, owned, scratch).ok_or(Mismatch)?;
        (output, scratch, Shared { pieces: [a, b, c, (0, state)], of_arena: 3 })
    } else {
        let (output, [c, d]) = lend_one(state, owned).ok_or(Mismatch)?;
        let (scratch, [a, b]) = lend_one(arena, scratch).ok_or(Mismatch)?;
        (output, scratch, Shared { pieces: [a, b, c, d], of_arena: 2 })
    };
    let bytes = output.get_mut(operand.offset as usize..).ok_or(Mismatch)?;
    Ok(Call {
        given: Given { plan, step, first, shared },
        output: Output { bytes, first, slices, view },
        scratch,
    })
}

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::*;

    /// Every window finds the same rows at once as one by one: over slices of a whole tensor and of a ring, over rows, over
    /// both, with padding before and behind, with a newest slice elsewhere.
    #[test]
    fn starts_are_those_of_the_rows() {
        let (bytes, elsewhere) = ([0u8; 400], [1u8; 40]);
        let (mut complete_ones, mut shared) = (0, 0);
        for (slots, slices, rows) in [(9, 9, 1), (4, 9, 1), (4, u32::MAX, 1), (1, 1, 7), (3, 9, 4), (5, 5, 3)]
        {
            for (outer, inner) in [(1, 1), (3, 1), (4, 1), (1, 3), (1, 7), (2, 2), (5, 1)] {
                for (stride, dilation, pad) in [(1u16, 1, 0i16), (1, 1, 2), (2, 1, 1), (1, 2, 3), (1, 3, -2)]
                {
                    let view = OperandRecord {
                        slots,
                        slices,
                        slice_stride: 44,
                        row_stride: 11,
                        ..OperandRecord::rows(0, rows, 10)
                    };
                    let view = if inner > 1 {
                        view.with_outer(outer, 1, 1, 0).with_inner(inner, stride, dilation, pad)
                    } else {
                        view.with_outer(outer, stride, dilation, pad).with_inner(1, 1, 1, 0)
                    };
                    let record = view.to_bytes();
                    let record: &OperandBytes = record[..].try_into().expect("one record");
                    for (newest, slice, row) in [-1, 3]
                        .into_iter()
                        .flat_map(|n| (0..8).flat_map(move |s| (0..4).map(move |r| (n, s, r))))
                    {
                        let source = Source { bytes: &bytes, view: record, newest: (newest, &elsewhere) };
                        let window = source.window(slice, row);
                        let mut starts = [core::ptr::null(); 16];
                        let complete = window.starts(&mut starts);
                        let rows = || (0..window.len()).map(|k| window.get(k));
                        for (start, row) in starts.iter().zip(rows()) {
                            let want = row.map_or(core::ptr::null(), <[u8]>::as_ptr);
                            assert_eq!(*start, want, "{view:?} {slice} {row:?}");
                        }
                        assert_eq!(complete, Some(rows().all(|row| row.is_some())), "{view:?} {slice}");
                        complete_ones += usize::from(complete == Some(true));
                        let Some((advance, complete)) = window.starts_with_next(&mut starts) else {
                            continue;
                        };
                        let all = &starts[..window.len() + advance];
                        let next = source.window(slice + 1, row);
                        for (k, start) in all.iter().enumerate() {
                            let row = if k < window.len() { window.get(k) } else { next.get(k - advance) };
                            assert_eq!(
                                *start,
                                row.map_or(core::ptr::null(), <[u8]>::as_ptr),
                                "{view:?} {slice} {k}"
                            );
                        }
                        assert_eq!(complete, all.iter().all(|start| !start.is_null()));
                        shared += 1;
                    }
                }
            }
        }
        assert!(complete_ones > 500, "{complete_ones}");
        assert!(shared > 200, "{shared}");
    }
}
