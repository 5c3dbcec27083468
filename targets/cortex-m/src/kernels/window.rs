//! The rows of a window, looked up and measured once.

use core::marker::PhantomData;

use mote_runtime::engine::Rows;

/// Most rows of a kernel.
pub const ROWS: usize = 16;

/// Rows of an input, as the addresses that the loops need.
pub struct Window<'a> {
    /// Null for a row of padding.
    starts: [*const u8; ROWS],
    /// Where the window begins in `starts`.
    first: usize,
    count: usize,
    /// Where the next slice's begins, if it was looked up with this one.
    next: Option<usize>,
    /// Bytes of each row.
    bytes: usize,
    complete: bool,
    lifetime: PhantomData<&'a [u8]>,
}

impl<'a> Window<'a> {
    /// No rows yet. (Made and filled apart, so that it is not copied; not with zeros, for which there would be a call.)
    #[inline(always)]
    pub fn empty() -> Self {
        Self {
            starts: [core::ptr::dangling(); ROWS],
            first: 0,
            count: 0,
            next: None,
            bytes: 0,
            complete: false,
            lifetime: PhantomData,
        }
    }

    /// Looks the rows up. `None` for more rows than [`ROWS`], or rows of less than `bytes` bytes.
    #[inline(always)]
    pub fn look_up(&mut self, window: &Rows<'a>, bytes: usize) -> Option<()> {
        (self.first, self.count) = (0, 0);
        if window.row_bytes() < bytes {
            return None;
        }
        self.complete = window.starts(&mut self.starts)?;
        (self.count, self.bytes) = (window.len(), bytes);
        Some(())
    }

    /// As [`Self::look_up`], for slices one after the other: where the next one of the call has a window that shares rows with
    /// this one, the rows of both are looked up at once.
    #[inline(always)]
    pub fn follow(&mut self, window: &Rows<'a>, bytes: usize, is_last: bool) -> Option<()> {
        if let Some(first) = self.next.take() {
            self.first = first;
            return Some(());
        }
        if !is_last
            && window.row_bytes() >= bytes
            && let Some((advance, true)) = window.starts_with_next(&mut self.starts)
        {
            (self.first, self.count, self.bytes, self.complete) = (0, window.len(), bytes, true);
            self.next = Some(advance);
            return Some(());
        }
        self.look_up(window, bytes)
    }

    /// Whether no row is padding.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.bytes
    }

    /// Where the rows start; null for padding.
    pub fn starts(&self) -> &[*const u8] {
        self.starts.get(self.first..self.first + self.count).unwrap_or_default()
    }

    /// Makes [`Self::in_pairs`] whole: of an odd number the last row is named twice, unless a row of the next window stands
    /// there.
    #[inline(always)]
    pub fn close(&mut self) {
        if self.next.is_none()
            && let Some([.., last, behind]) = self.starts.get_mut(self.first..self.first + self.count + 1)
        {
            *behind = *last;
        }
    }

    /// As [`Self::starts`], behind [`Self::close`], of an even number of rows.
    pub fn in_pairs(&self) -> &[*const u8] {
        self.starts.get(self.first..self.first + self.count.next_multiple_of(2)).unwrap_or_default()
    }

    /// Row `k`; `None` for padding.
    pub fn get(&self, k: usize) -> Option<&'a [u8]> {
        self.rows().nth(k).filter(|row| !row.is_empty())
    }

    /// The rows; one that is padding is empty.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> {
        self.starts().iter().map(|start| match start.is_null() {
            true => &[][..],
            // SAFETY: the start of a row of at least so many bytes, which lives as long as the window says.
            false => unsafe { core::slice::from_raw_parts(*start, self.bytes) },
        })
    }

    /// A window of given rows of `bytes` bytes.
    #[cfg(test)]
    pub fn of(rows: &[Option<&'a [u8]>], bytes: usize) -> Self {
        let mut window = Self { count: rows.len(), bytes, complete: true, ..Self::empty() };
        for (start, row) in window.starts.iter_mut().zip(rows) {
            window.complete &= row.is_some();
            *start = row.map_or(core::ptr::null(), |row| row[..bytes].as_ptr());
        }
        window
    }
}

/// The rows of a window that has three of them; `None` for padding. `None` of another one.
#[inline(always)]
pub fn three<'a>(window: &Rows<'a>) -> Option<[Option<&'a [u8]>; 3]> {
    let (mut starts, bytes) = ([core::ptr::null(); 3], window.row_bytes());
    window.starts(&mut starts)?;
    if window.len() != starts.len() {
        return None;
    }
    // SAFETY: from each start on there are so many bytes, for as long as the window says.
    let row = |start: *const u8| unsafe { core::slice::from_raw_parts(start, bytes) };
    Some(starts.map(|start| (!start.is_null()).then(|| row(start))))
}

/// Runs of neighbouring positions, which lie in all rows of a window as they are: `run` bytes from `at` on for the first
/// one, `stride` bytes further on for each one that follows.
pub struct Runs<'a> {
    window: &'a Window<'a>,
    at: usize,
    stride: usize,
    run: usize,
}

impl<'a> Runs<'a> {
    /// `None` if the runs of `positions` positions lie beside the rows.
    #[inline(always)]
    pub fn new(
        window: &'a Window<'a>,
        at: usize,
        stride: usize,
        run: usize,
        positions: usize,
    ) -> Option<Self> {
        let last = positions.checked_sub(1)?.checked_mul(stride)?.checked_add(at)?;
        let inside = last.checked_add(run)? <= window.bytes && window.count > 0 && run > 0;
        inside.then_some(Self { window, at, stride, run })
    }

    /// Steps of a position.
    pub fn steps(&self) -> usize {
        self.window.count * super::expand::steps(self.run)
    }

    /// Expands the runs of `P` positions from position `first` on.
    #[inline(always)]
    pub fn expand<const P: usize>(&self, first: usize, x: &mut [[u32; P]]) -> Option<()>
    where
        [(); P]: super::expand::Words<P>,
    {
        let at = self.at + first * self.stride;
        for (x, row) in x.chunks_exact_mut(super::expand::steps(self.run).max(1)).zip(self.window.rows()) {
            let mut rest = row.get(at..)?;
            let mut runs = [&[][..]; P];
            for run in &mut runs {
                *run = rest.get(..self.run)?;
                rest = rest.get(self.stride..).unwrap_or_default();
            }
            super::expand::expand(x, runs);
        }
        Some(())
    }
}

#[cfg(mote_dsp)]
impl Runs<'_> {
    /// What the loops of pairs read: first and last-but-one end of the rows' addresses, first run, distance of runs,
    /// words and bytes left of a run.
    pub fn parts(&self) -> [usize; 6] {
        let starts = self.window.starts().as_ptr_range();
        [starts.start.addr(), starts.end.addr(), self.at, self.stride, self.run / 4, self.run % 4]
    }
}
