//! The rows of a window, looked up once for all positions and channels that need them.

use super::numbers::numbers;
use crate::engine::{Mismatch, Rows};

/// Rows that are remembered; those of a longer window are looked up each time.
const KEPT: usize = 16;

/// The rows of a window as real numbers.
pub enum Found<'a> {
    Kept { rows: [Option<&'a [f32]>; KEPT], len: usize },
    Asked(Rows<'a>),
}

impl<'a> Found<'a> {
    #[inline]
    pub fn new(window: Rows<'a>) -> Result<Self, Mismatch> {
        let len = window.len();
        if len > KEPT {
            return Ok(Found::Asked(window));
        }
        let mut rows = [None; KEPT];
        for (to, row) in rows.iter_mut().zip(window.iter()) {
            *to = row.map(numbers).transpose()?;
        }
        Ok(Found::Kept { rows, len })
    }

    /// Number of rows, padding included.
    #[inline(always)]
    pub fn len(&self) -> usize {
        match self {
            Found::Kept { len, .. } => *len,
            Found::Asked(rows) => rows.len(),
        }
    }

    /// All rows in order; `None` for padding.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = Result<Option<&'a [f32]>, Mismatch>> + '_ {
        (0..self.len()).map(move |k| match self {
            Found::Kept { rows, .. } => Ok(rows.get(k).copied().flatten()),
            Found::Asked(rows) => rows.get(k).map(numbers).transpose(),
        })
    }
}
