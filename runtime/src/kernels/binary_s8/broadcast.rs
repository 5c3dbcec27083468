//! Walks two broadcast input rows beside the output row, a chunk at a time.

use crate::engine::{Call, Mismatch};
use crate::kernels::s8::{s8, s8_mut};

/// Elements of a chunk.
pub(super) const CHUNK: usize = 64;

/// Calls `f(to, a, b)` with equally long chunks of the output and of both inputs, as if these had its shape.
#[inline(always)]
pub(super) fn each(
    call: Call<'_>,
    repeat_a: u32,
    repeat_b: u32,
    f: impl Fn(&mut [i8], &[i8], &[i8]),
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let (a, b) = (given.input(0)?, given.input(1)?);
    output.for_each(|slice, row, to| {
        let mut a = Walk::new(a.map(|a| a.only(slice, row)).transpose()?, repeat_a);
        let mut b = Walk::new(b.map(|b| b.only(slice, row)).transpose()?, repeat_b);
        for to in s8_mut(to).chunks_mut(CHUNK) {
            let (mut room_a, mut room_b) = ([0; CHUNK], [0; CHUNK]);
            let a = a.next(to, &mut room_a).ok_or(Mismatch)?;
            let b = b.next(to, &mut room_b).ok_or(Mismatch)?;
            f(to, a, b);
        }
        Ok(())
    })
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

    /// The operand's elements for the next chunk `to`; in `room`, unless they lie in the row side by side.
    #[inline(never)]
    fn next<'r>(&mut self, to: &[i8], room: &'r mut [i8; CHUNK]) -> Option<&'r [i8]>
    where
        'a: 'r,
    {
        let room = room.get_mut(..to.len())?;
        let Some(row) = self.row else {
            room.copy_from_slice(to);
            return Some(room);
        };
        if self.repeat == 1
            && let Some(piece) = row.get(self.at..).and_then(|rest| rest.get(..room.len()))
        {
            self.at += room.len();
            return Some(piece);
        }
        for value in room.iter_mut() {
            if self.at >= row.len() {
                self.at = 0;
            }
            *value = *row.get(self.at)?;
            self.given += 1;
            if self.given >= self.repeat {
                self.given = 0;
                self.at += 1;
            }
        }
        Some(room)
    }
}
