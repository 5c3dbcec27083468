//! The rows of a window, for positions that meet no padding: looked up and measured once, then read without checks.

#[cfg(not(mote_dsp))]
use super::expand::expand;
use super::expand::steps;

/// Most rows of a kernel.
pub const ROWS: usize = 16;

/// Rows of at least `bytes` bytes.
pub struct Window<'a> {
    rows: &'a [&'a [u8]],
    bytes: usize,
    #[cfg(mote_dsp)]
    starts: [*const u8; ROWS],
}

impl<'a> Window<'a> {
    /// `None` for more rows than [`ROWS`].
    pub fn new(rows: &'a [&'a [u8]]) -> Option<Self> {
        let bytes = rows.iter().map(|row| row.len()).min()?;
        #[cfg(mote_dsp)]
        let starts = {
            let mut starts = [core::ptr::null(); ROWS];
            starts.get_mut(..rows.len())?.iter_mut().zip(rows).for_each(|(start, row)| *start = row.as_ptr());
            starts
        };
        Some(Self {
            rows: rows.get(..rows.len().min(ROWS))?,
            bytes,
            #[cfg(mote_dsp)]
            starts,
        })
    }

    /// Expands of each row the runs of two positions, `run` bytes from `at` and from `at + stride` on. `None` if they lie
    /// beside the rows, or `x` does not have as many steps.
    #[inline(always)]
    pub fn expand_two(&self, x: &mut [[u32; 2]], at: usize, stride: usize, run: usize) -> Option<()> {
        let inside = at.checked_add(stride)?.checked_add(run)? <= self.bytes;
        if !inside || run == 0 || x.len() < self.rows.len().checked_mul(steps(run))? {
            return None;
        }
        #[cfg(mote_dsp)]
        // SAFETY: at least one row; runs lie inside of them, and steps inside of `x`.
        unsafe {
            arm::expand_two(self.starts.get(..self.rows.len())?, x, at, stride, run);
        }
        #[cfg(not(mote_dsp))]
        for (x, row) in x.chunks_exact_mut(steps(run)).zip(self.rows) {
            expand(x, [row.get(at..)?.get(..run)?, row.get(at + stride..)?.get(..run)?]);
        }
        Some(())
    }
}

#[cfg(mote_dsp)]
mod arm {
    /// # Safety
    /// There must be a row; from each start `run` bytes from `at` and from `at + stride` on must be readable, and `x` have
    /// as many steps.
    #[inline(always)]
    pub unsafe fn expand_two(starts: &[*const u8], x: &mut [[u32; 2]], at: usize, stride: usize, run: usize) {
        // SAFETY: the caller's promise; restores r6 and r7 and the stack. `LDR` reads words at any address.
        unsafe {
            core::arch::asm!(
                "push {{r6, r7}}",
                "2:",
                "ldr r8, [r0], #4",
                "add r8, r8, r2",
                "add r9, r8, r3",
                "movs r12, r4",
                "beq 4f",
                "3:",
                "ldr r10, [r8], #4",
                "ldr r11, [r9], #4",
                "subs r12, r12, #1",
                "sxtb16 r6, r10",
                "sxtb16 r7, r11",
                "sxtb16 r10, r10, ror #8",
                "sxtb16 r11, r11, ror #8",
                "stm lr!, {{r6, r7, r10, r11}}",
                "bne 3b",
                "4:",
                "cmp r5, #0",
                "beq 7f",
                "cmp r5, #2",
                "ldrsb r6, [r8]",
                "ldrsb r7, [r9]",
                "beq 5f",
                "bhi 6f",
                // One byte, and zero.
                "uxth r6, r6",
                "uxth r7, r7",
                "stm lr!, {{r6, r7}}",
                "b 7f",
                // Two bytes.
                "5:",
                "ldrsb r10, [r8, #1]",
                "ldrsb r11, [r9, #1]",
                "pkhbt r6, r6, r10, lsl #16",
                "pkhbt r7, r7, r11, lsl #16",
                "stm lr!, {{r6, r7}}",
                "b 7f",
                // Bytes 0 and 2, then byte 1 and zero.
                "6:",
                "ldrsb r10, [r8, #2]",
                "ldrsb r11, [r9, #2]",
                "pkhbt r6, r6, r10, lsl #16",
                "pkhbt r7, r7, r11, lsl #16",
                "ldrsb r10, [r8, #1]",
                "ldrsb r11, [r9, #1]",
                "uxth r10, r10",
                "uxth r11, r11",
                "stm lr!, {{r6, r7, r10, r11}}",
                "7:",
                "cmp r0, r1",
                "bne 2b",
                "pop {{r6, r7}}",
                inlateout("r0") starts.as_ptr() => _, in("r1") starts.as_ptr_range().end,
                in("r2") at, in("r3") stride, in("r4") run / 4, in("r5") run % 4,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
                inlateout("lr") x.as_mut_ptr() => _,
            );
        }
    }
}
