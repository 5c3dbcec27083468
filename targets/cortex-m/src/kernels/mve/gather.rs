//! The inputs of a position, put together: from each row of a window a run of neighbouring bytes.

use mote_runtime::engine::{Mismatch, Rows};
use mote_runtime::kernels::s8::s8;

use crate::kernels::window::row;

/// Most rows of a window.
pub const ROWS: usize = 16;

/// The rows of a window, looked up once.
pub struct Window<'a> {
    rows: [Option<&'a [i8]>; ROWS],
    count: usize,
    /// Bytes of a row.
    len: usize,
    /// All rows are there.
    pub complete: bool,
    #[cfg(mote_mve)]
    starts: [*const i8; ROWS],
}

/// What a position reads of each row.
#[derive(Clone, Copy)]
pub struct Run {
    /// Bytes of padding in front.
    pub left: usize,
    /// First byte of the row.
    pub from: usize,
    /// Bytes of the row.
    pub inside: usize,
    /// Bytes of padding behind.
    pub right: usize,
}

impl<'a> Window<'a> {
    /// No rows yet. (Made and filled apart, so that it is not copied.)
    #[inline(always)]
    pub fn empty() -> Self {
        Self {
            rows: [None; ROWS],
            count: 0,
            len: 0,
            complete: false,
            #[cfg(mote_mve)]
            starts: [core::ptr::null(); ROWS],
        }
    }

    /// Looks the rows up. `None` for more rows than [`ROWS`], or rows of less than `len` bytes.
    #[inline(always)]
    pub fn look_up(&mut self, window: Rows<'a>, len: usize) -> Option<()> {
        self.count = window.len();
        self.len = len;
        self.complete = true;
        for (k, kept) in self.rows.get_mut(..self.count)?.iter_mut().enumerate() {
            let row = row(&window, k);
            if row.is_some_and(|row| row.len() < len) {
                return None;
            }
            self.complete &= row.is_some();
            *kept = row.map(s8);
            #[cfg(mote_mve)]
            {
                *self.starts.get_mut(k)? = kept.map_or(core::ptr::null(), <[i8]>::as_ptr);
            }
        }
        Some(())
    }

    /// Row `k`; `None` for padding.
    pub fn get(&self, k: usize) -> Option<&'a [i8]> {
        self.rows.get(k).copied().flatten()
    }

    /// Two positions that read no padding: `run` bytes from `from` and from `from + distance` on of each row, which must
    /// all be there, to `to[..]` and `to[to_distance ..]`.
    #[inline(always)]
    pub fn two(
        &self,
        from: usize,
        distance: usize,
        run: usize,
        to: &mut [i8],
        to_distance: usize,
    ) -> Result<(), Mismatch> {
        let reads = from.saturating_add(distance).saturating_add(run);
        let writes = run.saturating_mul(self.count).saturating_add(to_distance);
        if !self.complete || reads > self.len || writes > to.len() || self.count == 0 {
            return Err(Mismatch);
        }
        self.copy_two(from, distance, run, to, to_distance);
        Ok(())
    }

    /// One position.
    #[inline(never)]
    pub fn one(&self, run: Run, padding: i8, to: &mut [i8]) -> Result<(), Mismatch> {
        let Run { left, from, inside, right } = run;
        let bytes = left.saturating_add(inside).saturating_add(right);
        let there = inside == 0 || from.saturating_add(inside) <= self.len;
        if !there || bytes.saturating_mul(self.count) > to.len() || self.count == 0 {
            return Err(Mismatch);
        }
        self.copy_one(run, padding, to);
        Ok(())
    }
}

#[cfg(not(mote_mve))]
impl Window<'_> {
    fn copy_two(&self, from: usize, distance: usize, run: usize, to: &mut [i8], to_distance: usize) {
        for (from, to_distance) in [(from, 0), (from + distance, to_distance)] {
            let run = Run { left: 0, from, inside: run, right: 0 };
            self.copy_one(run, 0, to.get_mut(to_distance..).unwrap_or_default());
        }
    }

    fn copy_one(&self, run: Run, padding: i8, to: &mut [i8]) {
        let Run { left, from, inside, right } = run;
        let bytes = (left + inside + right).max(1);
        for (k, to) in to.chunks_exact_mut(bytes).take(self.count).enumerate() {
            to.fill(padding);
            let row = self.get(k).and_then(|row| row.get(from..)).unwrap_or_default();
            to.iter_mut().skip(left).zip(row.iter().take(inside)).for_each(|(to, from)| *to = *from);
        }
    }
}

#[cfg(mote_mve)]
impl Window<'_> {
    #[inline(always)]
    fn copy_two(&self, from: usize, distance: usize, run: usize, to: &mut [i8], to_distance: usize) {
        let start = self.starts.as_ptr();
        // SAFETY: `two` has compared all lengths, and there is at least one row; a loop's last turn moves only the bytes
        // that are left.
        unsafe {
            core::arch::asm!(
                "2:",
                "ldr r10, [r0], #4",
                "add r10, r10, r2",
                "add r11, r10, r3",
                "mov r5, r8",
                "add r12, r8, r9",
                "wlstp.8 lr, r4, 4f",
                "3:",
                "vldrb.u8 q0, [r10], #16",
                "vldrb.u8 q1, [r11], #16",
                "vstrb.8 q0, [r5], #16",
                "vstrb.8 q1, [r12], #16",
                "letp lr, 3b",
                "4:",
                "add r8, r8, r4",
                "cmp r0, r1",
                "bne 2b",
                inlateout("r0") start => _,
                in("r1") start.wrapping_add(self.count),
                in("r2") from,
                in("r3") distance,
                in("r4") run,
                out("r5") _,
                inlateout("r8") to.as_mut_ptr() => _,
                in("r9") to_distance,
                out("r10") _,
                out("r11") _,
                out("r12") _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack),
            );
        }
    }

    fn copy_one(&self, run: Run, padding: i8, to: &mut [i8]) {
        let Run { left, from, inside, right } = run;
        let start = self.starts.as_ptr();
        // SAFETY: `one` has compared all lengths, otherwise as above. A row that is padding has no address.
        unsafe {
            core::arch::asm!(
                "vdup.8 q1, lr",
                "2:",
                "ldr r10, [r0], #4",
                "mov r11, r8",
                "cmp r10, #0",
                "beq 7f",
                "wlstp.8 lr, r3, 4f",
                "3:",
                "vstrb.8 q1, [r11], #16",
                "letp lr, 3b",
                "4:",
                "add r8, r8, r3",
                "add r10, r10, r2",
                "mov r11, r8",
                "wlstp.8 lr, r4, 6f",
                "5:",
                "vldrb.u8 q0, [r10], #16",
                "vstrb.8 q0, [r11], #16",
                "letp lr, 5b",
                "6:",
                "add r8, r8, r4",
                "mov r11, r8",
                "mov r12, r5",
                "b 8f",
                "7:",
                "mov r12, r9",
                "8:",
                "add r8, r8, r12",
                "wlstp.8 lr, r12, 10f",
                "9:",
                "vstrb.8 q1, [r11], #16",
                "letp lr, 9b",
                "10:",
                "cmp r0, r1",
                "bne 2b",
                inlateout("r0") start => _,
                in("r1") start.wrapping_add(self.count),
                in("r2") from,
                in("r3") left,
                in("r4") inside,
                in("r5") right,
                inlateout("r8") to.as_mut_ptr() => _,
                in("r9") left + inside + right,
                out("r10") _,
                out("r11") _,
                out("r12") _,
                inlateout("lr") i32::from(padding) => _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_lie_one_behind_the_other() {
        let rows = [[1i8, 2, 3, 4, 5], [6, 7, 8, 9, 10]];
        let mut all = [None; ROWS];
        (all[0], all[2]) = (Some(&rows[0][..]), Some(&rows[1][..]));
        let mut window = Window { rows: all, count: 3, len: 5, complete: false };
        let mut to = [0; 12];
        assert_eq!(window.one(Run { left: 1, from: 0, inside: 2, right: 1 }, -9, &mut to), Ok(()));
        assert_eq!(to, [-9, 1, 2, -9, -9, -9, -9, -9, -9, 6, 7, -9]);
        assert_eq!(window.two(0, 2, 2, &mut to, 6), Err(Mismatch), "a row is padding");
        window.rows[1] = window.rows[2];
        (window.count, window.complete) = (2, true);
        assert_eq!(window.two(1, 2, 2, &mut to, 6), Ok(()));
        assert_eq!(to[..10], [2, 3, 7, 8, -9, -9, 4, 5, 9, 10]);
        assert_eq!(window.two(2, 2, 2, &mut to, 6), Err(Mismatch), "beside the rows");
    }
}
