//! `running_sum_s8_dsp`: `running_sum_s8` of channels in fours.
//!
//! Four sums at a time stay in registers while all columns of a row are added to them: one instruction a code
//! (`SXTAB`). No constants, no scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::running_sum::{RunningSumArgs, check_s8};
use mote_runtime::kernels::s8::require;
use mote_runtime::plan::Fault;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = check_s8(step) {
        return Err(fault);
    }
    require!(step.row_len(1).is_multiple_of(4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    rows(call, add)
}

/// Adds rows of whole columns to sums in fours, by `add`.
#[inline(always)]
pub(super) fn rows(
    call: Call<'_>,
    add: impl Fn(&mut [[i32; 4]], &[u8]) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = RunningSumArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    output.for_each(|slice, row, to| {
        let sums: &mut [i32] = bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?;
        let (sums, []) = sums.as_chunks_mut() else { return Err(Mismatch) };
        if 4 * sums.len() != args.channels as usize {
            return Err(Mismatch);
        }
        if slice == 0 {
            // Not by a function that fills memory, which plans with this kernel need for nothing else.
            sums.iter_mut().for_each(|sums| *sums = core::hint::black_box([0; 4]));
        }
        let window = source.window(slice, row);
        (0..window.len()).try_for_each(|k| {
            let row = window.called(k).ok_or(Mismatch)?;
            add(sums, row)
        })
    })
}

/// Adds all columns of a row.
fn add(sums: &mut [[i32; 4]], row: &[u8]) -> Result<(), Mismatch> {
    let columns = row.len().checked_div(4 * sums.len()).ok_or(Mismatch)?;
    if columns == 0 {
        return Err(Mismatch);
    }
    #[cfg(mote_dsp)]
    // SAFETY: there are a column and four sums; reads four bytes for each four sums of each column, all inside the row.
    // `LDR` reads words at any address.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldm r0, {{r5, r8, r9, r10}}",
            "mov r11, r2",
            "add r2, r2, #4",
            "mov r12, r4",
            "3:",
            "ldr lr, [r11]",
            "add r11, r11, r3",
            "subs r12, r12, #1",
            "sxtab r5, r5, lr",
            "sxtab r8, r8, lr, ror #8",
            "sxtab r9, r9, lr, ror #16",
            "sxtab r10, r10, lr, ror #24",
            "bne 3b",
            "stm r0!, {{r5, r8, r9, r10}}",
            "cmp r0, r1",
            "bne 2b",
            inlateout("r0") sums.as_mut_ptr() => _, in("r1") sums.as_ptr_range().end,
            inlateout("r2") row.as_ptr() => _, in("r3") 4 * sums.len(), in("r4") columns,
            out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            options(nostack),
        );
    }
    #[cfg(not(mote_dsp))]
    plain(sums, row);
    Ok(())
}

/// The same in plain Rust.
#[cfg(not(mote_mve))]
#[cfg_attr(mote_dsp, allow(dead_code))]
pub(super) fn plain(sums: &mut [[i32; 4]], row: &[u8]) {
    for pixel in row.chunks_exact((4 * sums.len()).max(1)) {
        for (sum, &code) in sums.as_flattened_mut().iter_mut().zip(pixel) {
            *sum = sum.wrapping_add((code as i8).into());
        }
    }
}
