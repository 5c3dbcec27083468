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

/// What a channel needs: its weights, its start, and its scale, which is not used here. All but the scale doubled.
pub type Channel = [i32; 8];

/// The sums of four channels: two neighbouring outputs for each record but the last, whose number is odd.
#[inline(always)]
pub fn stride_1(records: &mut [Record], channels: &[Channel; 4]) {
    #[cfg(mote_dsp)]
    return arm::stride_1(records, channels);
    #[cfg(not(mote_dsp))]
    plain::stride_1(records, channels)
}

/// The same with one output for each record but the last.
#[inline(always)]
pub fn stride_2(records: &mut [Record], channels: &[Channel; 4]) {
    #[cfg(mote_dsp)]
    return arm::stride_2(records, channels);
    #[cfg(not(mote_dsp))]
    plain::stride_2(records, channels)
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::{Channel, Record};
    use crate::kernels::instructions::smlad;

    fn upper(word: u32) -> u32 {
        word >> 16
    }

    fn part(record: &Record, channel: usize) -> [u32; 3] {
        record.as_chunks::<3>().0.get(channel).copied().unwrap_or_default()
    }

    /// Calls `f` with weights, start, each record's part and the next one's; the sums that it gives go into the record.
    fn each<const N: usize>(
        records: &mut [Record],
        channels: &[Channel; 4],
        f: impl Fn([u32; 5], i32, [u32; 3], [u32; 3]) -> [i32; N],
    ) {
        for (channel, &[w0, w1, w2, w01, w12, start, ..]) in channels.iter().enumerate() {
            let weights = [w0, w1, w2, w01, w12].map(|w| w as u32);
            let mut rest = &mut *records;
            while let [now, next, ..] = rest {
                let sums = f(weights, start, part(now, channel), part(next, channel));
                let words = now.as_chunks_mut::<3>().0.get_mut(channel);
                words.into_iter().flatten().zip(sums).for_each(|(to, sum)| *to = sum as u32);
                rest = rest.get_mut(1..).unwrap_or_default();
            }
        }
    }

    pub fn stride_1(records: &mut [Record], channels: &[Channel; 4]) {
        each(records, channels, |[w0, w1, w2, w01, w12], start, [a, b, r], [c, d, s]| {
            let first = smlad(c, w2, smlad(b, w1, smlad(a, w0, start)));
            let second = smlad(d, w2, smlad(c, w1, smlad(b, w0, start)));
            [
                smlad(s & 0xffff, upper(w12), smlad(r, w01, first)),
                smlad(s, w12, smlad(upper(r), w01 & 0xffff, second)),
            ]
        })
    }

    pub fn stride_2(records: &mut [Record], channels: &[Channel; 4]) {
        each(records, channels, |[w0, w1, w2, w01, w12], start, [a, b, r], [c, _, s]| {
            let sum = smlad(c, w2, smlad(b, w1, smlad(a, w0, start)));
            [smlad(s & 0xffff, upper(w12), smlad(r, w01, sum))]
        })
    }
}

/// Two records a turn, in which two sets of three registers change roles. Registers r6 and r7, which the compiler does
/// not lend, are saved here.
#[cfg(mote_dsp)]
mod arm {
    use super::{Channel, Record};
    use core::arch::asm;

    /// The first record, and the last one, which is only read; `None` if there is nothing to do.
    #[inline(always)]
    fn bounds(records: &mut [Record]) -> Option<(*mut Record, *mut Record)> {
        let turns = records.len().saturating_sub(1) & !1;
        let first = records.as_mut_ptr();
        (turns > 0).then_some((first, first.wrapping_add(turns)))
    }

    #[inline(always)]
    pub fn stride_1(records: &mut [Record], channels: &[Channel; 4]) {
        let Some((first, last)) = bounds(records) else { return };
        // SAFETY: `first ..= last` are records of the slice, of whose four parts three words are read and two
        // written; saves and restores r6 and r7, and leaves the stack as it was.
        unsafe {
            asm!(
                // 0 constants, 4 first record, 8 last record, 12 end of the constants, 16 r6, 20 r7.
                "push {{r0, r1, r2, r3, r6, r7}}",
                "1:",
                "ldrd r12, lr, [sp]",
                "ldm r12, {{r0, r1, r2, r3, r4, r5}}",
                "add r12, r12, #32",
                "add r6, lr, #12",
                "strd r12, r6, [sp]",
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
                "blo 2b",
                "ldrd r6, r7, [sp, #8]",
                "ldr r12, [sp]",
                "add r6, r6, #12",
                "str r6, [sp, #8]",
                "cmp r12, r7",
                "bne 1b",
                "pop {{r0, r1, r2, r3, r6, r7}}",
                inlateout("r0") channels.as_ptr() => _, inlateout("r1") first => _, inlateout("r2") last => _,
                inlateout("r3") channels.as_ptr_range().end => _, out("r4") _, out("r5") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            );
        }
    }

    #[inline(always)]
    pub fn stride_2(records: &mut [Record], channels: &[Channel; 4]) {
        let Some((first, last)) = bounds(records) else { return };
        // SAFETY: as above, with one word written.
        unsafe {
            asm!(
                // 0 constants, 4 first record, 8 last record, 12 end of the constants, 16 r6, 20 r7.
                "push {{r0, r1, r2, r3, r6, r7}}",
                "1:",
                "ldrd r12, lr, [sp]",
                "ldm r12, {{r0, r1, r2, r3, r4, r5}}",
                "add r12, r12, #32",
                "add r6, lr, #12",
                "strd r12, r6, [sp]",
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
                "blo 2b",
                "ldrd r6, r7, [sp, #8]",
                "ldr r12, [sp]",
                "add r6, r6, #12",
                "str r6, [sp, #8]",
                "cmp r12, r7",
                "bne 1b",
                "pop {{r0, r1, r2, r3, r6, r7}}",
                inlateout("r0") channels.as_ptr() => _, inlateout("r1") first => _, inlateout("r2") last => _,
                inlateout("r3") channels.as_ptr_range().end => _, out("r4") _, out("r5") _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            );
        }
    }
}
