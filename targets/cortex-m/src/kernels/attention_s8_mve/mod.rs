//! `attention_s8_mve`: `attention_s8` for Helium. Operands, arguments, constants and scratch as of the portable kernel.
//!
//! The lanes are the elements of a head: 16 for scores, four for weighted sums.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
pub use mote_runtime::kernels::attention_s8::check;

#[cfg(not(mote_mve))]
use super::attention_s8_dsp::plain;
use super::attention_s8_dsp::{Loops, attend};

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    attend::<Lanes>(call)
}

/// Elements by lanes.
struct Lanes;

#[cfg(not(mote_mve))]
impl Loops for Lanes {
    fn scores(query: &[i8], zero: i32, keys: &[i8], distance: usize, scores: &mut [i32]) {
        plain::scores(query, zero, keys, distance, scores);
    }

    fn weigh(weights: &[i32], values: &[i8], distance: usize, sums: &mut [i32]) {
        plain::weigh(weights, values, distance, sums);
    }
}

#[cfg(mote_mve)]
impl Loops for Lanes {
    #[inline(never)]
    fn scores(query: &[i8], zero: i32, keys: &[i8], distance: usize, scores: &mut [i32]) {
        if !super::attention_s8_dsp::complete(query.len(), keys, distance, scores.len()) {
            return;
        }
        // SAFETY: all keys are there; of query and key only the elements that are left are read.
        unsafe {
            core::arch::asm!(
                "2:",
                "mov r0, r9",
                "mov r1, r11",
                "mov r10, #0",
                "mov r12, #0",
                "wlstp.8 lr, r4, 4f",
                "3:",
                "vldrb.u8 q0, [r0], #16",
                "vldrb.u8 q1, [r1], #16",
                "vmladava.s8 r10, q0, q1",
                "vaddva.s8 r12, q1",
                "letp lr, 3b",
                "4:",
                "mls r10, r12, r3, r10",
                "add r11, r11, r2",
                "str r10, [r5], #4",
                "cmp r5, r8",
                "bne 2b",
                out("r0") _, out("r1") _,
                in("r2") distance,
                in("r3") zero,
                in("r4") query.len(),
                inlateout("r5") scores.as_mut_ptr() => _,
                in("r8") scores.as_ptr_range().end,
                in("r9") query.as_ptr(),
                out("r10") _,
                inlateout("r11") keys.as_ptr() => _,
                out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack),
            );
        }
    }

    #[inline(never)]
    fn weigh(weights: &[i32], values: &[i8], distance: usize, sums: &mut [i32]) {
        if !super::attention_s8_dsp::complete(sums.len(), values, distance, weights.len()) {
            return;
        }
        // SAFETY: all values are there; of them and of the sums only the elements that are left are read and written. The
        // predicate is nobody's across a function that is not inlined.
        unsafe {
            core::arch::asm!(
                "2:",
                "vctp.32 r4",
                "mov r12, r1",
                "vpst",
                "vldrwt.u32 q0, [r0]",
                "mov r5, r2",
                "dls lr, r8",
                "3:",
                "ldr r9, [r12], #4",
                "vpst",
                "vldrbt.s32 q1, [r5]",
                "add r5, r5, r3",
                "vmla.i32 q0, q1, r9",
                "le lr, 3b",
                "vpst",
                "vstrwt.32 q0, [r0], #16",
                "add r2, r2, #4",
                "subs r4, r4, #4",
                "bhi 2b",
                inlateout("r0") sums.as_mut_ptr() => _,
                in("r1") weights.as_ptr(),
                inlateout("r2") values.as_ptr() => _,
                in("r3") distance,
                inlateout("r4") sums.len() => _,
                out("r5") _,
                in("r8") weights.len(),
                out("r9") _, out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                options(nostack),
            );
        }
    }
}
