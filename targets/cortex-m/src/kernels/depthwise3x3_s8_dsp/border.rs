//! The ends of the columns' way, in assembler: unpacking to records, and making codes of sums. What these leave over, and
//! on other cores everything, is done in Rust.

use core::arch::asm;

use super::Channel;
use super::columns::Record;
use crate::kernels::memory::FourChannels;
use crate::kernels::stage::{DOUBLE, SINGLE};

/// Unpacks pairs of columns from `column` on, all of which must lie inside the rows: `None`, if they don't.
#[inline(always)]
pub fn unpack(columns: &FourChannels<'_>, column: usize, records: &mut [Record]) -> Option<()> {
    let [p0, p1, p2] = columns.part(column, 2 * records.len())?;
    if records.is_empty() {
        return Some(());
    }
    // SAFETY: `part` gives rows of as many columns as are read, and each turn writes a record; restores r6 and r7 and
    // the stack. `LDR` reads words at any address.
    unsafe {
        asm!(
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
            in("r3") columns.step(),
            inlateout("r4") records.as_mut_ptr() => _, in("r5") records.as_ptr_range().end,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
        );
    }
    Some(())
}

/// Codes of four channels from `channel` on, of two outputs for each record; how many outputs that was.
#[inline(always)]
pub fn finish_two<const ROUNDING: u8>(
    records: &[Record],
    channel: usize,
    channels: usize,
    constants: &[Channel; 4],
    zero_point: i32,
    to: &mut [i8],
) -> usize {
    let pairs = to.len().checked_div(2 * channels).unwrap_or(0).min(records.len());
    let Some(records) = records.get(..pairs).filter(|_| pairs > 0 && channel + 4 <= channels) else {
        return 0;
    };
    let first = to.as_mut_ptr().wrapping_add(channel);
    macro_rules! codes {
        ($high:literal, $away:literal) => {
            // SAFETY: `to` has `channels` bytes for each of two outputs a record, four of which are written; restores r6
            // and r7 and the stack.
            unsafe {
                asm!(
                    ".macro mote_code r",
                    $high,
                    $away,
                    r"smmlar \r, \r, r7, lr",
                    r"ssat \r, #8, \r",
                    ".endm",
                    ".macro mote_channel k",
                    r"ldrd r8, r9, [r0, #(12 * \k)]",
                    r"ldrd r6, r7, [r1, #(32 * \k + 24)]",
                    "mote_code r8",
                    "mote_code r9",
                    r"strb r8, [r2, #\k]",
                    r"strb r9, [r3, #\k]",
                    ".endm",
                    "push {{r6, r7}}",
                    "2:",
                    "mote_channel 0",
                    "mote_channel 1",
                    "mote_channel 2",
                    "mote_channel 3",
                    "add r0, r0, #48",
                    "add r2, r2, r4",
                    "add r3, r3, r4",
                    "cmp r0, r5",
                    "bne 2b",
                    "pop {{r6, r7}}",
                    ".purgem mote_code",
                    ".purgem mote_channel",
                    inlateout("r0") records.as_ptr() => _, in("r1") constants.as_ptr(),
                    inlateout("r2") first => _, inlateout("r3") first.wrapping_add(channels) => _,
                    in("r4") 2 * channels, in("r5") records.as_ptr_range().end, in("lr") zero_point,
                    out("r8") _, out("r9") _,
                );
            }
        };
    }
    match ROUNDING {
        SINGLE => codes!(r"smmul \r, \r, r6", ""),
        DOUBLE => codes!(r"smmulr \r, \r, r6", r"add \r, \r, \r, asr #31"),
        _ => codes!(r"smmulr \r, \r, r6", ""),
    }
    2 * pairs
}

/// The same with one output for each record.
#[inline(always)]
pub fn finish_one<const ROUNDING: u8>(
    records: &[Record],
    channel: usize,
    channels: usize,
    constants: &[Channel; 4],
    zero_point: i32,
    to: &mut [i8],
) -> usize {
    let outputs = to.len().checked_div(channels).unwrap_or(0).min(records.len());
    let Some(records) = records.get(..outputs).filter(|_| outputs > 0 && channel + 4 <= channels) else {
        return 0;
    };
    macro_rules! codes {
        ($high:literal, $away:literal) => {
            // SAFETY: as above, with one output a record.
            unsafe {
                asm!(
                    ".macro mote_channel k",
                    r"ldr r8, [r0, #(12 * \k)]",
                    r"ldrd r6, r7, [r1, #(32 * \k + 24)]",
                    $high,
                    $away,
                    "smmlar r8, r8, r7, lr",
                    "ssat r8, #8, r8",
                    r"strb r8, [r2, #\k]",
                    ".endm",
                    "push {{r6, r7}}",
                    "2:",
                    "mote_channel 0",
                    "mote_channel 1",
                    "mote_channel 2",
                    "mote_channel 3",
                    "add r0, r0, #48",
                    "add r2, r2, r4",
                    "cmp r0, r5",
                    "bne 2b",
                    "pop {{r6, r7}}",
                    ".purgem mote_channel",
                    inlateout("r0") records.as_ptr() => _, in("r1") constants.as_ptr(),
                    inlateout("r2") to.as_mut_ptr().wrapping_add(channel) => _,
                    in("r4") channels, in("r5") records.as_ptr_range().end, in("lr") zero_point,
                    out("r8") _,
                );
            }
        };
    }
    match ROUNDING {
        SINGLE => codes!("smmul r8, r8, r6", ""),
        DOUBLE => codes!("smmulr r8, r8, r6", "add r8, r8, r8, asr #31"),
        _ => codes!("smmulr r8, r8, r6", ""),
    }
    outputs
}
