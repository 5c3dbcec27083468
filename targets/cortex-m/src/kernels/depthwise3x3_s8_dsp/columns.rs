//! The inner loops of `depthwise3x3_s8_dsp`: along the columns of one channel, nine products an output in five
//! instructions.
//!
//! **Records.** Two neighbouring input columns of a channel are three words of 16-bit pairs: rows 0 and 1 of the first
//! column, rows 0 and 1 of the second, and row 2 of both. A record ([`Record`]) holds these of four channels.
//!
//! **Weights** of a channel are five words of pairs: rows 0 and 1 of each of the three columns, then row 2 of columns 0
//! and 1, and of columns 1 and 2.
//!
//! Sums go where the first words of the channel's part of the record were: two an output pair, or one with stride 2.

/// Four channels of two input columns.
pub type Record = [u32; 12];

/// The weights of a channel.
pub type Weights = [u32; 5];

/// The sums of two neighbouring outputs for each record but the last, the number of records being odd. Part
/// `channel` (of four) of each record is read and written.
#[inline(always)]
pub fn stride_1(records: &mut [Record], channel: usize, weights: &Weights, start: i32) {
    #[cfg(mote_dsp)]
    return arm::stride_1(records, channel, weights, start);
    #[cfg(not(mote_dsp))]
    plain::stride_1(records, channel, weights, start)
}

/// The sum of one output for each record but the last.
#[inline(always)]
pub fn stride_2(records: &mut [Record], channel: usize, weights: &Weights, start: i32) {
    #[cfg(mote_dsp)]
    return arm::stride_2(records, channel, weights, start);
    #[cfg(not(mote_dsp))]
    plain::stride_2(records, channel, weights, start)
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::{Record, Weights};
    use crate::kernels::instructions::smlad;

    fn upper(word: u32) -> u32 {
        word >> 16
    }

    fn part(record: &Record, channel: usize) -> [u32; 3] {
        record.as_chunks::<3>().0.get(channel).copied().unwrap_or_default()
    }

    /// Calls `f` with each record's part and the next one's; the sums that it gives go into the record.
    fn each<const N: usize>(
        records: &mut [Record],
        channel: usize,
        f: impl Fn([u32; 3], [u32; 3]) -> [i32; N],
    ) {
        let mut rest = records;
        while let [now, next, ..] = rest {
            let sums = f(part(now, channel), part(next, channel));
            let words = now.as_chunks_mut::<3>().0.get_mut(channel);
            words.into_iter().flatten().zip(sums).for_each(|(to, sum)| *to = sum as u32);
            rest = rest.get_mut(1..).unwrap_or_default();
        }
    }

    pub fn stride_1(records: &mut [Record], channel: usize, &[w0, w1, w2, w01, w12]: &Weights, start: i32) {
        each(records, channel, |[a, b, r], [c, d, s]| {
            let first = smlad(c, w2, smlad(b, w1, smlad(a, w0, start)));
            let second = smlad(d, w2, smlad(c, w1, smlad(b, w0, start)));
            [
                smlad(s & 0xffff, upper(w12), smlad(r, w01, first)),
                smlad(s, w12, smlad(upper(r), w01 & 0xffff, second)),
            ]
        })
    }

    pub fn stride_2(records: &mut [Record], channel: usize, &[w0, w1, w2, w01, w12]: &Weights, start: i32) {
        each(records, channel, |[a, b, r], [c, _, s]| {
            let sum = smlad(c, w2, smlad(b, w1, smlad(a, w0, start)));
            [smlad(s & 0xffff, upper(w12), smlad(r, w01, sum))]
        })
    }
}

/// Two records a turn, in which two sets of three registers change roles. Registers r6 and r7, which the compiler does
/// not lend, are saved here.
#[cfg(mote_dsp)]
mod arm {
    use super::{Record, Weights};
    use core::arch::asm;

    /// The first word that is read, and that of the last record that is only read; `None` if there is nothing to do.
    #[inline(always)]
    fn bounds(records: &mut [Record], channel: usize) -> Option<(*mut u32, *mut u32)> {
        let turns = records.len().saturating_sub(1) & !1;
        if turns == 0 || channel >= 4 {
            return None;
        }
        let first = records.as_mut_ptr().cast::<u32>().wrapping_add(3 * channel);
        Some((first, first.wrapping_add(12 * turns)))
    }

    #[inline(always)]
    pub fn stride_1(records: &mut [Record], channel: usize, &[w0, w1, w2, w01, w12]: &Weights, start: i32) {
        let Some((first, last)) = bounds(records, channel) else { return };
        // SAFETY: `first ..= last` are the channel's parts of records of the slice, of which three words are read and
        // two written; saves and restores r6 and r7, and leaves the stack as it was.
        unsafe {
            asm!(
                "push {{r6, r7, r12, lr}}",
                "ldrd r6, r7, [lr]",
                "ldr r8, [lr, #8]",
                "2:",
                "ldrd r9, r10, [lr, #48]!",
                "ldr r11, [lr, #8]",
                "smlad r12, r6, r0, r5",
                "smlad r6, r7, r0, r5",
                "smlad r12, r7, r1, r12",
                "smlad r6, r9, r1, r6",
                "smlad r12, r9, r2, r12",
                "smlad r6, r10, r2, r6",
                "smlad r12, r8, r3, r12",
                "smlatb r6, r8, r3, r6",
                "smlabt r12, r11, r4, r12",
                "smlad r6, r11, r4, r6",
                "strd r12, r6, [lr, #-48]",
                "ldrd r6, r7, [lr, #48]!",
                "ldr r8, [lr, #8]",
                "smlad r12, r9, r0, r5",
                "smlad r9, r10, r0, r5",
                "smlad r12, r10, r1, r12",
                "smlad r9, r6, r1, r9",
                "smlad r12, r6, r2, r12",
                "smlad r9, r7, r2, r9",
                "smlad r12, r11, r3, r12",
                "smlatb r9, r11, r3, r9",
                "smlabt r12, r8, r4, r12",
                "smlad r9, r8, r4, r9",
                "strd r12, r9, [lr, #-48]",
                "ldr r12, [sp, #8]",
                "cmp lr, r12",
                "bne 2b",
                "pop {{r6, r7, r12, lr}}",
                in("r0") w0, in("r1") w1, in("r2") w2, in("r3") w01, in("r4") w12, in("r5") start,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                inlateout("r12") last => _, inlateout("lr") first => _,
            );
        }
    }

    #[inline(always)]
    pub fn stride_2(records: &mut [Record], channel: usize, &[w0, w1, w2, w01, w12]: &Weights, start: i32) {
        let Some((first, last)) = bounds(records, channel) else { return };
        // SAFETY: as above, with one word written.
        unsafe {
            asm!(
                "push {{r6, r7, r12, lr}}",
                "ldrd r6, r7, [lr]",
                "ldr r8, [lr, #8]",
                "2:",
                "ldrd r9, r10, [lr, #48]!",
                "ldr r11, [lr, #8]",
                "smlad r12, r6, r0, r5",
                "smlad r12, r7, r1, r12",
                "smlad r12, r9, r2, r12",
                "smlad r12, r8, r3, r12",
                "smlabt r12, r11, r4, r12",
                "str r12, [lr, #-48]",
                "ldrd r6, r7, [lr, #48]!",
                "ldr r8, [lr, #8]",
                "smlad r12, r9, r0, r5",
                "smlad r12, r10, r1, r12",
                "smlad r12, r6, r2, r12",
                "smlad r12, r11, r3, r12",
                "smlabt r12, r8, r4, r12",
                "str r12, [lr, #-48]",
                "ldr r12, [sp, #8]",
                "cmp lr, r12",
                "bne 2b",
                "pop {{r6, r7, r12, lr}}",
                in("r0") w0, in("r1") w1, in("r2") w2, in("r3") w01, in("r4") w12, in("r5") start,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                inlateout("r12") last => _, inlateout("lr") first => _,
            );
        }
    }
}
