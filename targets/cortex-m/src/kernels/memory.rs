//! Reads whose bounds were checked before the loop.

use core::marker::PhantomData;

/// Three rows of equally many columns.
pub struct ThreeRows<'a> {
    rows: [&'a [u8]; 3],
    width: usize,
    channels: usize,
}

impl<'a> ThreeRows<'a> {
    /// Rows of at least `width` columns of `channels` bytes.
    pub fn new(rows: [&'a [u8]; 3], width: usize, channels: usize) -> Option<Self> {
        let bytes = width.checked_mul(channels)?;
        rows.iter().all(|row| row.len() >= bytes).then_some(Self { rows, width, channels })
    }

    /// The columns' bytes `first .. first + 4`.
    #[inline(always)]
    pub fn channels(&self, first: usize) -> Option<FourChannels<'a>> {
        if first.checked_add(4)? > self.channels {
            return None;
        }
        let rows = self.rows.map(|row| row.as_ptr().wrapping_add(first));
        Some(FourChannels { rows, width: self.width, channels: self.channels, lifetime: PhantomData })
    }
}

/// Four channels of [`ThreeRows`].
pub struct FourChannels<'a> {
    rows: [*const u8; 3],
    width: usize,
    channels: usize,
    lifetime: PhantomData<&'a [u8]>,
}

impl FourChannels<'_> {
    /// Where the rows' columns `column ..` begin; `None` if there are less than `columns`.
    #[cfg(mote_dsp)]
    #[inline(always)]
    pub fn part(&self, column: usize, columns: usize) -> Option<[*const u8; 3]> {
        let at = column.wrapping_mul(self.channels);
        (column.checked_add(columns)? <= self.width).then_some(self.rows.map(|row| row.wrapping_add(at)))
    }

    /// Bytes from column to column.
    #[cfg(mote_dsp)]
    #[inline(always)]
    pub fn step(&self) -> usize {
        self.channels
    }

    /// The four bytes in each row; `None` beside the rows.
    #[inline(always)]
    pub fn words(&self, column: isize) -> Option<[u32; 3]> {
        let column = column as usize;
        if column >= self.width {
            return None;
        }
        let at = column * self.channels;
        Some(self.rows.map(|row| {
            // SAFETY: each row has `width * channels` bytes, and four of them follow the pointer in every column.
            u32::from_le(unsafe { row.wrapping_add(at).cast::<u32>().read_unaligned() })
        }))
    }
}
