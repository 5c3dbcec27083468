//! The inputs of a position, put together: from each row of a window a run of neighbouring bytes.

use mote_runtime::engine::Mismatch;
#[cfg(not(mote_mve))]
use mote_runtime::kernels::s8::s8;

pub use crate::kernels::window::{ROWS, Window};

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

impl Window<'_> {
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
        let writes = run.saturating_mul(self.count()).saturating_add(to_distance);
        if !self.is_complete() || reads > self.row_bytes() || writes > to.len() || self.count() == 0 {
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
        let there = inside == 0 || from.saturating_add(inside) <= self.row_bytes();
        if !there || bytes.saturating_mul(self.count()) > to.len() || self.count() == 0 {
            return Err(Mismatch);
        }
        self.copy_one(run, padding, to);
        Ok(())
    }
}

/// Copies a short run; what does not fit is left out.
#[inline(always)]
pub fn copy(from: &[i8], to: &mut [i8]) {
    #[cfg(not(mote_mve))]
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    #[cfg(mote_mve)]
    // SAFETY: both have as many bytes as are moved; a loop's last turn moves only those that are left.
    unsafe {
        core::arch::asm!(
            "wlstp.8 lr, {count}, 3f",
            "2:",
            "vldrb.u8 q0, [{from}], #16",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            "3:",
            count = in(reg) from.len().min(to.len()),
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
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
        for (k, to) in to.chunks_exact_mut(bytes).take(self.count()).enumerate() {
            to.fill(padding);
            let row = self.get(k).and_then(|row| s8(row).get(from..)).unwrap_or_default();
            to.iter_mut().skip(left).zip(row.iter().take(inside)).for_each(|(to, from)| *to = *from);
        }
    }
}

#[cfg(mote_mve)]
impl Window<'_> {
    #[inline(always)]
    fn copy_two(&self, from: usize, distance: usize, run: usize, to: &mut [i8], to_distance: usize) {
        let start = self.starts().as_ptr();
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
                in("r1") start.wrapping_add(self.count()),
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
        let start = self.starts().as_ptr();
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
                in("r1") start.wrapping_add(self.count()),
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
        let rows = [[1u8, 2, 3, 4, 5], [6, 7, 8, 9, 10]];
        let [first, second] = [Some(&rows[0][..]), Some(&rows[1][..])];
        let window = Window::of(&[first, None, second], 5);
        let mut to = [0; 12];
        assert_eq!(window.one(Run { left: 1, from: 0, inside: 2, right: 1 }, -9, &mut to), Ok(()));
        assert_eq!(to, [-9, 1, 2, -9, -9, -9, -9, -9, -9, 6, 7, -9]);
        assert_eq!(window.two(0, 2, 2, &mut to, 6), Err(Mismatch), "a row is padding");
        let window = Window::of(&[first, second], 5);
        assert_eq!(window.two(1, 2, 2, &mut to, 6), Ok(()));
        assert_eq!(to[..10], [2, 3, 7, 8, -9, -9, 4, 5, 9, 10]);
        assert_eq!(window.two(2, 2, 2, &mut to, 6), Err(Mismatch), "beside the rows");
    }
}
