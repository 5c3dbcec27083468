//! All channels of one output column. Channels come in eights, of which the last ones may overlap those before them.

use super::Average;
use crate::kernels::taps::Taps;

/// Channels of a turn.
#[cfg(mote_dsp)]
const LANES: usize = 8;

/// The largest code of each channel; there is a tap.
#[inline(always)]
pub fn max(taps: &Taps<'_>, to: &mut [i8]) {
    #[cfg(mote_dsp)]
    if arm::fits(taps, to) {
        return arm::max(taps, to);
    }
    plain(taps, to, i32::from(i8::MIN), |most, code| most.max(code), |most| most as i8);
}

/// The average of each channel, as [`Average`] says.
#[inline(always)]
pub fn average(taps: &Taps<'_>, average: Average, to: &mut [i8]) {
    #[cfg(mote_dsp)]
    if arm::fits(taps, to) {
        return arm::average(taps, average, to);
    }
    plain(
        taps,
        to,
        average.start.into(),
        |sum, code| sum.wrapping_add(code),
        |sum| rounded(sum, average.count.into()),
    );
}

/// Code by code.
#[inline(never)]
pub fn plain(
    taps: &Taps<'_>,
    to: &mut [i8],
    start: i32,
    combine: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32) -> i8,
) {
    for (channel, to) in to.iter_mut().enumerate() {
        let codes = taps.places().filter_map(|place| place.get(channel));
        *to = finish(codes.fold(start, |acc, &code| combine(acc, i32::from(code as i8))));
    }
}

/// `sum / count` to nearest, ties away from zero.
pub fn rounded(sum: i32, count: i32) -> i8 {
    let half = ((count >> 1) ^ (sum >> 31)).wrapping_sub(sum >> 31);
    sum.wrapping_add(half).checked_div(count).unwrap_or(0) as i8
}

#[cfg(mote_dsp)]
mod arm {
    use super::{Average, LANES, Taps};
    use core::arch::asm;

    /// Whether there is a whole turn, and a tap.
    #[inline(always)]
    pub fn fits(taps: &Taps<'_>, to: &[i8]) -> bool {
        !taps.starts().is_empty() && to.len() >= LANES && to.len() <= taps.channels()
    }

    /// The loop over turns: `$before` the taps, `$tap` for each (its address in r12), `$after` them. What it is given is
    /// in r4.
    macro_rules! turns {
        ($taps:ident, $to:ident, $given:expr, [$($before:literal),*], [$($tap:literal),*], [$($after:literal),*]) => {
            // SAFETY: there is a tap and a turn, and each tap has as many channels as `to`, of which each turn reads
            // and writes eight: the last one those at the end. `LDR` and `STR` take words at any address. R6 and R7
            // are given back, and so is the stack pointer.
            unsafe {
                asm!(
                    "push {{r4, r6, r7}}",
                    "mov r2, #0",
                    "1:",
                    "mov r5, r0",
                    $($before,)*
                    "2:",
                    "ldr r12, [r5], #4",
                    "cmp r5, r1",
                    "add r12, r12, r2",
                    $($tap,)*
                    "bne 2b",
                    "add r12, r3, r2",
                    $($after,)*
                    "ldr lr, [sp]",
                    "ldr lr, [lr]",
                    "cmp r2, lr",
                    "add r2, r2, #8",
                    "beq 4f",
                    "cmp r2, lr",
                    "it hi",
                    "movhi r2, lr",
                    "b 1b",
                    "4:",
                    "pop {{r4, r6, r7}}",
                    in("r0") $taps.starts().as_ptr(),
                    in("r1") $taps.starts().as_ptr_range().end,
                    out("r2") _,
                    in("r3") $to.as_mut_ptr(),
                    inlateout("r4") $given => _,
                    out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                );
            }
        };
    }

    #[inline(never)]
    pub fn max(taps: &Taps<'_>, to: &mut [i8]) {
        let last = to.len() - LANES;
        turns!(
            taps,
            to,
            &raw const last,
            ["mov r8, #0x80808080", "mov r9, #0x80808080"],
            [
                "ldr r10, [r12]",
                "ldr r11, [r12, #4]",
                "ssub8 lr, r8, r10",
                "sel r8, r8, r10",
                "ssub8 lr, r9, r11",
                "sel r9, r9, r11"
            ],
            ["str r8, [r12]", "str r9, [r12, #4]"]
        );
    }

    #[inline(never)]
    pub fn average(taps: &Taps<'_>, average: Average, to: &mut [i8]) {
        let start = u32::from(average.start as u16) * 0x1_0001;
        let given = [(to.len() - LANES) as u32, start, average.count.into(), (average.count / 2).into()];
        turns!(
            taps,
            to,
            given.as_ptr(),
            ["ldr r8, [r4, #4]", "mov r9, r8", "mov r10, r8", "mov r11, r8"],
            [
                "ldr lr, [r12]",
                "sxtab16 r8, r8, lr",
                "sxtab16 r9, r9, lr, ror #8",
                "ldr lr, [r12, #4]",
                "sxtab16 r10, r10, lr",
                "sxtab16 r11, r11, lr, ror #8"
            ],
            [
                ".macro mote_code r, at",
                r"eor lr, r7, \r, asr #31",
                r"sub lr, lr, \r, asr #31",
                r"add \r, \r, lr",
                r"sdiv \r, \r, r6",
                r"strb \r, [r12, #\at]",
                ".endm",
                ".macro mote_codes r, at",
                r"sxth r5, \r",
                r"asr \r, \r, #16",
                r"mote_code r5, \at",
                r"mote_code \r, \at+2",
                ".endm",
                "ldrd r6, r7, [r4, #8]",
                "mote_codes r8, 0",
                "mote_codes r9, 1",
                "mote_codes r10, 4",
                "mote_codes r11, 5",
                ".purgem mote_code",
                ".purgem mote_codes"
            ]
        );
    }
}
