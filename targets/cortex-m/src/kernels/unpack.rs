//! Rows to 16-bit pairs, channel by channel, as the depthwise kernel for 3 x 3 taps reads them.

use core::marker::PhantomData;

use super::depthwise3x3_s8_dsp::Record;
#[cfg(not(mote_dsp))]
use super::instructions::{sxtb16, sxtb16_ror8};

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
    /// Unpacks pairs of columns from `column` on; `None` if there are not as many.
    #[inline(always)]
    pub fn unpack(&self, column: usize, records: &mut [Record]) -> Option<()> {
        if column.checked_add(2 * records.len())? > self.width {
            return None;
        }
        let at = column * self.channels;
        // SAFETY: all columns lie inside of each row.
        unsafe { pairs(self.rows.map(|row| row.wrapping_add(at)), self.channels, records) };
        Some(())
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

/// Unpacks a pair of columns that are given as words, row by row.
#[inline(always)]
pub fn pair(columns: &[[u32; 3]; 2], record: &mut Record) {
    let bytes: &[u8; 24] = bytemuck::cast_ref(columns);
    let first = bytes.as_ptr();
    let rows = [first, first.wrapping_add(4), first.wrapping_add(8)];
    // SAFETY: two columns, 12 bytes apart, of which each row has four bytes.
    unsafe { pairs(rows, 12, core::slice::from_mut(record)) }
}

/// Unpacks a pair of columns for each record.
///
/// # Safety
/// Each row must have twice as many columns as there are records, `step` bytes apart, of which four can be read.
#[inline(never)]
unsafe fn pairs(rows: [*const u8; 3], step: usize, records: &mut [Record]) {
    if records.is_empty() {
        return;
    }
    #[cfg(mote_dsp)]
    // SAFETY: the caller's promise, and each turn writes a record; restores r6 and r7 and the stack. `LDR` reads words
    // at any address.
    unsafe {
        let [p0, p1, p2] = rows;
        core::arch::asm!(
            ".macro mote_pair at",
            "sxtb16 r8, r6",
            "sxtb16 r9, r7",
            "sxtb16 r6, r6, ror #8",
            "sxtb16 r7, r7, ror #8",
            "pkhbt r10, r8, r9, lsl #16",
            "pkhtb r11, r9, r8, asr #16",
            "pkhbt r12, r6, r7, lsl #16",
            "pkhtb r7, r7, r6, asr #16",
            r"str r10, [r4, #(0 + \at)]",
            r"str r12, [r4, #(12 + \at)]",
            r"str r11, [r4, #(24 + \at)]",
            r"str r7, [r4, #(36 + \at)]",
            ".endm",
            "push {{r6, r7}}",
            "2:",
            "ldr r6, [r0]",
            "ldr r7, [r1]",
            "mote_pair 0",
            "ldr r6, [r0, r3]",
            "ldr r7, [r1, r3]",
            "mote_pair 4",
            "ldr r6, [r2]",
            "ldr r7, [r2, r3]",
            "mote_pair 8",
            "add r0, r0, r3, lsl #1",
            "add r1, r1, r3, lsl #1",
            "add r2, r2, r3, lsl #1",
            "add r4, r4, #48",
            "cmp r4, r5",
            "bne 2b",
            "pop {{r6, r7}}",
            ".purgem mote_pair",
            inlateout("r0") p0 => _, inlateout("r1") p1 => _, inlateout("r2") p2 => _,
            in("r3") step,
            inlateout("r4") records.as_mut_ptr() => _, in("r5") records.as_ptr_range().end,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
        );
    }
    #[cfg(not(mote_dsp))]
    for (i, record) in records.iter_mut().enumerate() {
        let [a, b] = [2 * i, 2 * i + 1].map(|column| {
            rows.map(|row| {
                // SAFETY: the caller's promise.
                u32::from_le(unsafe { row.wrapping_add(column * step).cast::<u32>().read_unaligned() })
            })
        });
        let ([e0, e1, e2], [f0, f1, f2]) = (a.map(sxtb16), b.map(sxtb16));
        let ([o0, o1, o2], [p0, p1, p2]) = (a.map(sxtb16_ror8), b.map(sxtb16_ror8));
        let low = |a: u32, b: u32| a & 0xffff | b << 16;
        let high = |a: u32, b: u32| a >> 16 | b & 0xffff_0000;
        let even = [low(e0, e1), low(f0, f1), low(e2, f2), low(o0, o1), low(p0, p1), low(o2, p2)];
        let odd = [high(e0, e1), high(f0, f1), high(e2, f2), high(o0, o1), high(p0, p1), high(o2, p2)];
        let (first, last) = record.split_at_mut(6);
        first.copy_from_slice(&even);
        last.copy_from_slice(&odd);
    }
}
