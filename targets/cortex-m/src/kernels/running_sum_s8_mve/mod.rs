//! `running_sum_s8_mve`: `running_sum_s8` of channels in fours.
//!
//! Sums of 16 channels, or of four at the end, stay in registers while all columns of a row are added to them: a load
//! that widens and an addition for four codes. No constants, no scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};

pub use super::running_sum_s8_dsp::check;
#[cfg(not(mote_mve))]
use super::running_sum_s8_dsp::plain;
use super::running_sum_s8_dsp::rows;

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    rows(call, add)
}

/// Adds all columns of a row.
fn add(sums: &mut [[i32; 4]], row: &[u8]) -> Result<(), Mismatch> {
    let channels = 4 * sums.len();
    let columns = row.len().checked_div(channels).ok_or(Mismatch)?;
    if columns == 0 {
        return Err(Mismatch);
    }
    #[cfg(not(mote_mve))]
    plain(sums, row);
    #[cfg(mote_mve)]
    // SAFETY: there are a column and four sums; reads and writes the sums, and reads a byte for each sum of each column,
    // all inside the row.
    unsafe {
        core::arch::asm!(
            "2:",
            "cmp r4, #16",
            "blt 4f",
            "vldrw.u32 q4, [r0]",
            "vldrw.u32 q5, [r0, #16]",
            "vldrw.u32 q6, [r0, #32]",
            "vldrw.u32 q7, [r0, #48]",
            "mov r5, r2",
            "dls lr, r1",
            "3:",
            "vldrb.s32 q0, [r5]",
            "vldrb.s32 q1, [r5, #4]",
            "vadd.i32 q4, q4, q0",
            "vldrb.s32 q2, [r5, #8]",
            "vadd.i32 q5, q5, q1",
            "vldrb.s32 q3, [r5, #12]",
            "vadd.i32 q6, q6, q2",
            "add r5, r3",
            "vadd.i32 q7, q7, q3",
            "le lr, 3b",
            "vstrw.32 q4, [r0], #16",
            "vstrw.32 q5, [r0], #16",
            "vstrw.32 q6, [r0], #16",
            "vstrw.32 q7, [r0], #16",
            "adds r2, #16",
            "subs r4, #16",
            "b 2b",
            "4:",
            "cbz r4, 6f",
            "vldrw.u32 q4, [r0]",
            "mov r5, r2",
            "dls lr, r1",
            "5:",
            "vldrb.s32 q0, [r5]",
            "add r5, r3",
            "vadd.i32 q4, q4, q0",
            "le lr, 5b",
            "vstrw.32 q4, [r0], #16",
            "adds r2, #4",
            "subs r4, #4",
            "b 4b",
            "6:",
            inlateout("r0") sums.as_mut_ptr() => _,
            in("r1") columns,
            inlateout("r2") row.as_ptr() => _,
            in("r3") channels,
            inlateout("r4") channels => _,
            out("r5") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _,
            out("d15") _,
            options(nostack),
        );
    }
    Ok(())
}
