//! All channels of one output column, for Helium.

use core::arch::asm;

use super::reciprocal;
use crate::kernels::pool_s8_dsp::Average;
use crate::kernels::taps::Taps;

/// The largest code of each channel; there is a tap.
#[inline(never)]
pub fn max(taps: &Taps<'_>, to: &mut [i8]) {
    let channels = to.len();
    if taps.starts().is_empty() || channels == 0 || channels > taps.channels() {
        return;
    }
    // SAFETY: there are a tap and a channel, and each tap has as many channels as `to`, of which only those that are left
    // are read and written. The predicate is nobody's across a function that is not inlined.
    unsafe {
        asm!(
            "mvn r10, #127",
            "1:",
            "vctp.8 r3",
            "vdup.8 q0, r10",
            "mov r5, r0",
            "dls lr, r4",
            "2:",
            "ldr r12, [r5], #4",
            "add r12, r12, r1",
            "vpst",
            "vldrbt.u8 q1, [r12]",
            "vmax.s8 q0, q0, q1",
            "le lr, 2b",
            "vpst",
            "vstrbt.8 q0, [r2], #16",
            "add r1, r1, #16",
            "subs r3, r3, #16",
            "bhi 1b",
            in("r0") taps.starts().as_ptr(),
            inlateout("r1") 0 => _,
            inlateout("r2") to.as_mut_ptr() => _,
            inlateout("r3") channels => _,
            in("r4") taps.starts().len(),
            out("r5") _, out("r10") _, out("r12") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

/// The average of each channel, as [`Average`] says.
#[inline(never)]
pub fn average(taps: &Taps<'_>, average: Average, to: &mut [i8]) {
    let channels = to.len();
    if taps.starts().is_empty() || channels == 0 || channels > taps.channels() || average.count == 0 {
        return;
    }
    let (factor, k) = reciprocal(average.count);
    // SAFETY: as above.
    unsafe {
        asm!(
            "vdup.16 q4, r8",
            "1:",
            "vctp.16 r3",
            "vdup.16 q0, r10",
            "mov r12, r0",
            "dls lr, r4",
            "2:",
            "ldr r5, [r12], #4",
            "add r5, r5, r1",
            "vpst",
            "vldrbt.s16 q1, [r5]",
            "vadd.i16 q0, q0, q1",
            "le lr, 2b",
            "vabs.s16 q1, q0",
            "vshl.i16 q1, q1, #1",
            "vadd.i16 q1, q1, r9",
            "vshr.s16 q2, q0, #15",
            "vmulh.u16 q1, q1, q4",
            "vshl.u16 q1, r11",
            "veor q1, q1, q2",
            "vsub.i16 q1, q1, q2",
            "vpst",
            "vstrbt.16 q1, [r2], #8",
            "add r1, r1, #8",
            "subs r3, r3, #8",
            "bhi 1b",
            in("r0") taps.starts().as_ptr(),
            inlateout("r1") 0 => _,
            inlateout("r2") to.as_mut_ptr() => _,
            inlateout("r3") channels => _,
            in("r4") taps.starts().len(),
            out("r5") _,
            in("r8") u32::from(factor),
            in("r9") u32::from(average.count / 2 * 2),
            in("r10") i32::from(average.start),
            in("r11") (k as i32).wrapping_neg(),
            out("r12") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}
