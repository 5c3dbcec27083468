//! The end of the columns' way in assembler: codes from sums.

use core::arch::asm;

use super::columns::{Channel, Record};
use crate::kernels::stage::{DOUBLE, SINGLE};

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
    let outputs = to.len().checked_div(channels).unwrap_or(0).min(2 * records.len());
    let Some(records) = records.get(..outputs.div_ceil(2)) else { return 0 };
    if outputs == 0 || channel + 4 > channels {
        return 0;
    }
    let first = to.as_mut_ptr().wrapping_add(channel);
    // Where the last of an odd number of outputs is, its missing neighbour goes first, to be written over.
    let odd = outputs % 2 * channels;
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
                    r"strb r9, [r3, #\k]",
                    r"strb r8, [r2, #\k]",
                    ".endm",
                    "push {{r6, r7}}",
                    "2:",
                    "sub r6, r5, r0",
                    "cmp r6, #48",
                    "it eq",
                    "subeq r3, r3, r10",
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
                    out("r8") _, out("r9") _, in("r10") odd,
                );
            }
        };
    }
    match ROUNDING {
        SINGLE => codes!(r"smmul \r, \r, r6", ""),
        DOUBLE => codes!(r"smmulr \r, \r, r6", r"add \r, \r, \r, asr #31"),
        _ => codes!(r"smmulr \r, \r, r6", ""),
    }
    outputs
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
