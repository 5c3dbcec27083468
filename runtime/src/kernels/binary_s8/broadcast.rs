//! Walks two broadcast input rows beside the output row.

use crate::engine::{Call, Mismatch};
use crate::kernels::s8::{s8, s8_mut};

/// Writes `f(a, b)` to every element of the output of a step with two inputs.
#[inline(always)]
pub(super) fn each(
    call: Call<'_>,
    repeat_a: u32,
    repeat_b: u32,
    f: impl Fn(i8, i8) -> i8,
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let (a, b) = (given.input(0)?, given.input(1)?);
    output.for_each(|slice, row, to| {
        let mut a = Walk::new(a.map(|a| a.only(slice, row)).transpose()?, repeat_a);
        let mut b = Walk::new(b.map(|b| b.only(slice, row)).transpose()?, repeat_b);
        let mut rest = s8_mut(to);
        while !rest.is_empty() {
            let len = a.run().min(b.run()).min(rest.len());
            if len == 0 {
                return Err(Mismatch);
            }
            let (piece, after) = rest.split_at_mut_checked(len).ok_or(Mismatch)?;
            apply(piece, a.take(len), b.take(len), &f);
            rest = after;
        }
        Ok(())
    })
}

/// What an operand gives for a piece of the output row.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// What the output holds.
    Here,
    /// One element each.
    Row(&'a [i8]),
    /// The same for all.
    Value(i8),
}

#[inline(always)]
fn apply(to: &mut [i8], a: Piece<'_>, b: Piece<'_>, f: &impl Fn(i8, i8) -> i8) {
    // One loop, in which an operand that stands still has a step of 0, keeps the code small; its slices have
    // exactly the elements that it reads.
    let (row_a, step_a, here_a) = a.row_and_step();
    let (row_b, step_b, here_b) = b.row_and_step();
    let (mut at_a, mut at_b) = (0, 0);
    for to in to {
        let x = if here_a { *to } else { row_a.get(at_a).copied().unwrap_or(0) };
        let y = if here_b { *to } else { row_b.get(at_b).copied().unwrap_or(0) };
        *to = f(x, y);
        at_a += step_a;
        at_b += step_b;
    }
}

impl Piece<'_> {
    #[inline(always)]
    fn row_and_step(&self) -> (&[i8], usize, bool) {
        match self {
            Piece::Here => (&[], 0, true),
            Piece::Row(row) => (row, 1, false),
            Piece::Value(value) => (core::slice::from_ref(value), 0, false),
        }
    }
}

/// A position in an operand's row, which is repeated without end.
struct Walk<'a> {
    /// `None` if the output row holds the operand.
    row: Option<&'a [i8]>,
    repeat: usize,
    at: usize,
    /// Repetitions of the current element already given.
    given: usize,
}

impl<'a> Walk<'a> {
    fn new(row: Option<&'a [u8]>, repeat: u32) -> Self {
        Self { row: row.map(s8), repeat: repeat as usize, at: 0, given: 0 }
    }

    /// Elements of the output row that can be done as one piece.
    fn run(&self) -> usize {
        match self.row {
            None => usize::MAX,
            Some([_]) => usize::MAX,
            Some(row) if self.repeat == 1 => row.len().saturating_sub(self.at),
            Some(_) => self.repeat.saturating_sub(self.given),
        }
    }

    /// The next `len` elements, at most [`Self::run`].
    fn take(&mut self, len: usize) -> Piece<'a> {
        let Some(row) = self.row else { return Piece::Here };
        if let &[value] = row {
            return Piece::Value(value);
        }
        let from = self.at;
        let piece = if self.repeat == 1 {
            self.at += len;
            Piece::Row(row.get(from..self.at).unwrap_or(&[]))
        } else {
            self.given += len;
            if self.given == self.repeat {
                self.given = 0;
                self.at += 1;
            }
            Piece::Value(row.get(from).copied().unwrap_or(0))
        };
        if self.at >= row.len() {
            self.at = 0;
        }
        piece
    }
}
