//! A piece in assembler: all channels in one loop, four of them a turn.

use core::arch::asm;

use super::{Layer, Record, Source};
use crate::kernels::stage::{DOUBLE, SINGLE};

/// What the loops keep on the stack. All pointers are those of the first four channels.
#[repr(C)]
struct Frame {
    rows: [*const u8; 3],
    /// From four channels to the next ones, by row; none in a row of padding.
    next: [usize; 3],
    /// From column to column, by row.
    steps: [usize; 3],
    records: *mut Record,
    /// Behind the records that are unpacked from two columns each.
    whole: *mut Record,
    /// 1: the first record's second column alone is inside; 2: the last one's first column; 4: stride 2.
    flags: usize,
    padding: u32,
    zero_point: i32,
    constants: *const super::Channel,
    constants_end: *const super::Channel,
    /// Behind the records from which all outputs are made; a byte less if one output is made of the next one.
    made: *mut u8,
    odd_turns: usize,
    to: *mut i8,
    channels: usize,
    /// Behind the records whose outputs are written two (one at stride 2) at a time, and whether one is left.
    written: *mut Record,
    odd_outputs: usize,
    /// Place for the constants and the record of a channel.
    room: [usize; 2],
}

const WORDS: usize = 24;

/// `None` if there are not enough records. The rest was checked by the caller.
#[inline(always)]
pub fn compute<const ROUNDING: u8>(
    layer: &Layer<'_>,
    source: &Source<'_>,
    outputs: usize,
    records: &mut [Record],
    to: &mut [i8],
) -> Option<()> {
    const { assert!(size_of::<Frame>() == WORDS * 4) };
    let Source { rows, width, first } = *source;
    let channels = layer.constants.len();
    let twice = layer.stride == 2;
    let turns = if twice { outputs } else { outputs.div_ceil(2) };
    let records = records.get_mut(..turns.checked_add(1)?)?;
    let zero = layer.input_zero_point;
    let padding = u32::from(zero as i16 as u16) * 0x1_0001;

    let left = first < 0;
    let column = if left { 1 } else { first as usize };
    let whole = (width.saturating_sub(column) / 2).min(records.len() - usize::from(left));
    let filled = usize::from(left) + whole;
    let right = column + 2 * whole + 1 == width && filled < records.len();
    if left {
        records.first_mut()?.first_chunk_mut::<4>()?.fill(padding);
    }
    let behind = records.get_mut(filled..)?;
    match behind.split_first_mut() {
        Some((record, behind)) if right => {
            record.get_mut(4..8)?.fill(padding);
            behind.as_flattened_mut().fill(padding);
        }
        _ => behind.as_flattened_mut().fill(padding),
    }

    let zeros = u32::from(zero as u8) * 0x0101_0101;
    let from = if left { 0 } else { column * channels };
    let start = |row: Option<&[u8]>| match row {
        Some(row) => row.as_ptr().wrapping_add(from),
        None => (&raw const zeros).cast(),
    };
    let or_none = |bytes| rows.map(|row| if row.is_some() { bytes } else { 0 });
    let begin = records.as_mut_ptr();
    if begin.addr() % 16 != 0 {
        return None;
    }
    let pairs = if twice { outputs } else { outputs / 2 };
    // A single output is made as one of two.
    let whole_turns = pairs.max(1);
    let made = begin.wrapping_add(whole_turns).cast::<u8>();
    let frame = Frame {
        rows: rows.map(start),
        next: or_none(4),
        steps: or_none(channels),
        records: begin,
        whole: begin.wrapping_add(filled),
        flags: usize::from(left) | usize::from(right) << 1 | usize::from(twice) << 2,
        padding,
        zero_point: layer.stage.zero_point,
        constants: layer.constants.as_ptr(),
        constants_end: layer.constants.as_ptr_range().end,
        made: made.wrapping_sub(usize::from(turns > whole_turns)),
        odd_turns: whole_turns % 2,
        to: to.as_mut_ptr(),
        channels,
        written: begin.wrapping_add(pairs),
        odd_outputs: usize::from(!twice) & outputs,
        room: [0; 2],
    };
    macro_rules! four_channels {
        ($high:literal, $away:literal) => {
            // SAFETY: the caller has compared all lengths: in each row, columns from the frame's first one on as many as
            // records are unpacked from lie inside (a row of padding is four bytes, read again for each column). The
            // records up to the last one are ours, and `to` has `channels` bytes for each output. Restores r6 and r7
            // and the stack. `LDR` reads words at any address.
            unsafe {
                asm!(
                    // Rows 0 and 1 of a column, in r6 and r7, to the first or second words of a record.
                    ".macro mote_pairs",
                    "sxtb16 r8, r6",
                    "sxtb16 r9, r7",
                    "sxtb16 r6, r6, ror #8",
                    "sxtb16 r7, r7, ror #8",
                    "pkhbt r10, r8, r9, lsl #16",
                    "pkhtb r12, r9, r8, asr #16",
                    "pkhbt r11, r6, r7, lsl #16",
                    "pkhtb lr, r7, r6, asr #16",
                    "stm r4!, {{r10, r11, r12, lr}}",
                    ".endm",
                    // Two outputs at stride 1, one at stride 2, of a record in a, b, r and the next one in c, d, s. The
                    // first one goes to r12, the second one to a.
                    ".macro mote_first a, b, r, c, s",
                    r"smlad r12, \a, r0, r5",
                    r"smlad r12, \b, r1, r12",
                    r"smlad r12, \c, r2, r12",
                    r"smlad r12, \r, r3, r12",
                    r"smlabt r12, \s, r4, r12",
                    ".endm",
                    ".macro mote_second a, b, r, c, d, s",
                    r"smlad \a, \b, r0, r5",
                    r"smlad \a, \c, r1, \a",
                    r"smlad \a, \d, r2, \a",
                    r"smlatb \a, \r, r3, \a",
                    r"smlad \a, \s, r4, \a",
                    ".endm",
                    ".macro mote_load a, b, r, at",
                    r"ldr \a, [lr, #\at]",
                    r"ldr \b, [lr, #(\at + 16)]",
                    r"ldr \r, [lr, #(\at + 32)]",
                    ".endm",
                    // Weights of a channel, and its record in lr.
                    ".macro mote_channel",
                    "ldrd r12, lr, [sp, #88]",
                    "ldm r12!, {{r0, r1, r2, r3, r4, r5}}",
                    "add r12, r12, #8",
                    "add r6, lr, #4",
                    "strd r12, r6, [sp, #88]",
                    "ldr r6, [sp, #68]",
                    ".endm",
                    ".macro mote_code r, m, p",
                    $high,
                    $away,
                    r"smmlar \r, \r, \p, r10",
                    r"ssat \r, #8, \r",
                    ".endm",
                    // Four codes at `to` from the sums `at` bytes behind r11.
                    ".macro mote_pixel to, at",
                    r"ldrd r8, r9, [r11, #\at]",
                    "mote_code r8, r0, r4",
                    "mote_code r9, r1, r5",
                    r"strb r8, [\to]",
                    r"strb r9, [\to, #1]",
                    r"ldrd r8, r9, [r11, #(\at + 8)]",
                    "mote_code r8, r2, r6",
                    "mote_code r9, r3, r7",
                    r"strb r8, [\to, #2]",
                    r"strb r9, [\to, #3]",
                    ".endm",

                    "push {{r6, r7}}",
                    "add r0, r0, #96",
                    "ldmdb r0!, {{r1, r2, r3, r4, r5, r6, r7, r8}}",
                    "push {{r1, r2, r3, r4, r5, r6, r7, r8}}",
                    "ldmdb r0!, {{r1, r2, r3, r4, r5, r6, r7, r8}}",
                    "push {{r1, r2, r3, r4, r5, r6, r7, r8}}",
                    "ldmdb r0!, {{r1, r2, r3, r4, r5, r6, r7, r8}}",
                    "push {{r1, r2, r3, r4, r5, r6, r7, r8}}",

                    // Unpack four channels.
                    "1:",
                    "ldm sp, {{r0, r1, r2, r8, r9, r10}}",
                    "add r8, r8, r0",
                    "add r9, r9, r1",
                    "add r10, r10, r2",
                    "stm sp, {{r8, r9, r10}}",
                    "ldrd r3, r5, [sp, #24]",
                    "ldr r4, [sp, #36]",
                    "ldr r8, [sp, #44]",
                    "lsls r8, r8, #31",
                    "bpl 2f",
                    "ldr r6, [r0]",
                    "ldr r7, [r1]",
                    "add r4, r4, #16",
                    "add r0, r0, r3",
                    "add r1, r1, r5",
                    "mote_pairs",
                    "ldr r6, [r2]",
                    "ldr r7, [sp, #48]",
                    "ldr r10, [sp, #32]",
                    "sxtb16 r8, r6",
                    "sxtb16 r9, r6, ror #8",
                    "add r2, r2, r10",
                    "pkhbt r10, r7, r8, lsl #16",
                    "pkhtb r12, r8, r7, asr #16",
                    "pkhbt r11, r7, r9, lsl #16",
                    "pkhtb lr, r9, r7, asr #16",
                    "stm r4!, {{r10, r11, r12, lr}}",
                    "2:",
                    "ldr r12, [sp, #40]",
                    "cmp r4, r12",
                    "beq 4f",
                    "3:",
                    "ldr r6, [r0]",
                    "ldr r7, [r1]",
                    "mote_pairs",
                    "ldr r6, [r0, r3]",
                    "ldr r7, [r1, r5]",
                    "mote_pairs",
                    "ldr r12, [sp, #32]",
                    "ldr r6, [r2]",
                    "ldr r7, [r2, r12]",
                    "add r0, r0, r3, lsl #1",
                    "add r1, r1, r5, lsl #1",
                    "add r2, r2, r12, lsl #1",
                    "mote_pairs",
                    "ldr r12, [sp, #40]",
                    "cmp r4, r12",
                    "bne 3b",
                    "4:",
                    "ldr r8, [sp, #44]",
                    "lsls r8, r8, #30",
                    "bpl 5f",
                    "ldr r6, [r0]",
                    "ldr r7, [r1]",
                    "mote_pairs",
                    "ldr r6, [r2]",
                    "ldr r7, [sp, #48]",
                    "add r4, r4, #16",
                    "sxtb16 r8, r6",
                    "sxtb16 r9, r6, ror #8",
                    "pkhbt r10, r8, r7, lsl #16",
                    "pkhtb r12, r7, r8, asr #16",
                    "pkhbt r11, r9, r7, lsl #16",
                    "pkhtb lr, r7, r9, asr #16",
                    "stm r4!, {{r10, r11, r12, lr}}",

                    // Multiply, channel by channel.
                    "5:",
                    "ldr r12, [sp, #56]",
                    "ldr lr, [sp, #36]",
                    "ldr r8, [sp, #44]",
                    "strd r12, lr, [sp, #88]",
                    "lsls r8, r8, #29",
                    "bmi 10f",
                    "6:",
                    "mote_channel",
                    "cbz r6, 7f",
                    // An odd number of turns begins with the second half.
                    "mote_load r9, r10, r11, 0",
                    "sub lr, lr, #48",
                    "b 9f",
                    "7:",
                    "mote_load r6, r7, r8, 0",
                    "8:",
                    "mote_load r9, r10, r11, 48",
                    "mote_first r6, r7, r8, r9, r11",
                    "mote_second r6, r7, r8, r9, r10, r11",
                    "str r12, [lr, #16]",
                    "str r6, [lr, #32]",
                    "9:",
                    "mote_load r6, r7, r8, 96",
                    "mote_first r9, r10, r11, r6, r8",
                    "mote_second r9, r10, r11, r6, r7, r8",
                    "str r12, [lr, #64]",
                    "str r9, [lr, #80]",
                    "ldr r12, [sp, #64]",
                    "add lr, lr, #96",
                    "cmp lr, r12",
                    "blo 8b",
                    "lsls r12, r12, #31",
                    "beq 20f",
                    // The last one of an odd number of outputs.
                    "ldr r9, [lr, #48]",
                    "ldr r11, [lr, #80]",
                    "mote_first r6, r7, r8, r9, r11",
                    "str r12, [lr, #16]",
                    "20:",
                    "ldr r12, [sp, #92]",
                    "tst r12, #15",
                    "bne 6b",
                    "b 14f",
                    "10:",
                    "mote_channel",
                    "cbz r6, 11f",
                    "mote_load r9, r10, r11, 0",
                    "sub lr, lr, #48",
                    "b 13f",
                    "11:",
                    "mote_load r6, r7, r8, 0",
                    "12:",
                    "mote_load r9, r10, r11, 48",
                    "mote_first r6, r7, r8, r9, r11",
                    "str r12, [lr, #16]",
                    "13:",
                    "mote_load r6, r7, r8, 96",
                    "mote_first r9, r10, r11, r6, r8",
                    "str r12, [lr, #64]",
                    "ldr r12, [sp, #64]",
                    "add lr, lr, #96",
                    "cmp lr, r12",
                    "blo 12b",
                    "ldr r12, [sp, #92]",
                    "tst r12, #15",
                    "bne 10b",

                    // Make codes of the sums.
                    "14:",
                    "ldr r12, [sp, #56]",
                    "ldrd r0, r4, [r12, #24]",
                    "ldrd r1, r5, [r12, #56]",
                    "ldrd r2, r6, [r12, #88]",
                    "ldrd r3, r7, [r12, #120]",
                    "add r12, r12, #128",
                    "str r12, [sp, #56]",
                    "ldr r12, [sp, #72]",
                    "ldr r10, [sp, #52]",
                    "ldr r11, [sp, #36]",
                    "add r8, r12, #4",
                    "str r8, [sp, #72]",
                    "ldr r8, [sp, #44]",
                    "lsls r8, r8, #29",
                    "bmi 17f",
                    "b 16f",
                    "15:",
                    "ldr r8, [sp, #76]",
                    "add lr, r12, r8",
                    "mote_pixel lr, 32",
                    "mote_pixel r12, 16",
                    "ldr r8, [sp, #76]",
                    "add r11, r11, #48",
                    "add r12, lr, r8",
                    "16:",
                    "ldr r8, [sp, #80]",
                    "cmp r11, r8",
                    "bne 15b",
                    "ldr r8, [sp, #84]",
                    "lsls r8, r8, #31",
                    "bpl 19f",
                    "mote_pixel r12, 16",
                    "b 19f",
                    "17:",
                    "ldr lr, [sp, #80]",
                    "18:",
                    "mote_pixel r12, 16",
                    "ldr r8, [sp, #76]",
                    "add r11, r11, #48",
                    "add r12, r12, r8",
                    "cmp r11, lr",
                    "bne 18b",
                    "19:",
                    "ldrd r8, r9, [sp, #56]",
                    "cmp r8, r9",
                    "bne 1b",

                    "add sp, sp, #96",
                    "pop {{r6, r7}}",
                    ".purgem mote_pairs",
                    ".purgem mote_first",
                    ".purgem mote_second",
                    ".purgem mote_load",
                    ".purgem mote_channel",
                    ".purgem mote_code",
                    ".purgem mote_pixel",
                    inlateout("r0") &raw const frame => _,
                    out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _,
                    out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                );
            }
        };
    }
    match ROUNDING {
        SINGLE => four_channels!(r"smmul \r, \r, \m", ""),
        DOUBLE => four_channels!(r"smmulr \r, \r, \m", r"add \r, \r, \r, asr #31"),
        _ => four_channels!(r"smmulr \r, \r, \m", ""),
    }
    Some(())
}
