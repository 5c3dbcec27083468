//! The rows of a window, looked up and measured once.

use mote_runtime::engine::Rows;

/// Most rows of a kernel.
pub const ROWS: usize = 16;

/// Rows of an input; a row of padding is empty.
pub struct Window<'a> {
    rows: [&'a [u8]; ROWS],
    #[cfg(mote_dsp)]
    starts: [*const u8; ROWS],
    count: usize,
    /// Bytes that each row has.
    bytes: usize,
}

impl<'a> Window<'a> {
    /// No rows yet. (Made and filled apart, so that it is not copied.)
    #[inline(always)]
    pub fn empty() -> Self {
        Self {
            rows: [&[]; ROWS],
            #[cfg(mote_dsp)]
            starts: [core::ptr::null(); ROWS],
            count: 0,
            bytes: 0,
        }
    }

    /// Looks the rows up. `None` for more rows than [`ROWS`].
    #[inline(always)]
    pub fn look_up(&mut self, window: Rows<'a>) -> Option<()> {
        self.count = window.len();
        self.bytes = usize::MAX;
        for (k, kept) in self.rows.get_mut(..self.count)?.iter_mut().enumerate() {
            let row = row(&window, k).unwrap_or_default();
            self.bytes = self.bytes.min(row.len());
            *kept = row;
            #[cfg(mote_dsp)]
            {
                *self.starts.get_mut(k)? = row.as_ptr();
            }
        }
        Some(())
    }

    /// Whether no row is padding.
    pub fn is_complete(&self) -> bool {
        self.bytes > 0
    }

    pub fn rows(&self) -> &[&'a [u8]] {
        self.rows.get(..self.count).unwrap_or_default()
    }
}

/// Row `k` of a window. Called, since it is long where it is inlined.
#[inline(never)]
pub fn row<'a>(window: &Rows<'a>, k: usize) -> Option<&'a [u8]> {
    window.get(k)
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
        let starts = self.window.starts.get(..self.window.count).unwrap_or_default().as_ptr_range();
        [starts.start.addr(), starts.end.addr(), self.at, self.stride, self.run / 4, self.run % 4]
    }
}
