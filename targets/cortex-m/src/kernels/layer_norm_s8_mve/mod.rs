//! `layer_norm_s8_mve`: `layer_norm_s8` of vectors whose elements come in fours. Works in place.
//!
//! Input 0 and output: rows of one or more vectors. Constant 0: for each four channels their scales, then their offsets.
//! No scratch. What is computed is that of `layer_norm_s8_dsp`, four elements at a time.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::layer_norm_s8::LayerNormArgs;
use mote_runtime::kernels::s8::{arguments, require};
use mote_runtime::plan::Fault;

use super::layer_norm_s8_dsp::{self, Vector, vectors};

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = layer_norm_s8_dsp::check(step) {
        return Err(fault);
    }
    let args = arguments!(LayerNormArgs, step);
    require!(args.depth.is_multiple_of(4), Arguments);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    vectors(call, loops::sums, loops::codes)
}

#[cfg(not(mote_mve))]
mod loops {
    use super::Vector;
    use crate::kernels::layer_norm_s8_dsp::plain;
    pub use plain::sums;

    pub fn codes(with: &Vector, channels: &[[i32; 2]], vector: &mut [i8]) {
        let blocks = channels.as_flattened().as_chunks::<8>().0;
        for (codes, &[s0, s1, s2, s3, o0, o1, o2, o3]) in vector.as_chunks_mut::<4>().0.iter_mut().zip(blocks)
        {
            plain::codes(with, &[[s0, o0], [s1, o1], [s2, o2], [s3, o3]], codes);
        }
    }
}

#[cfg(mote_mve)]
mod loops {
    use super::Vector;
    use core::arch::asm;

    #[inline(never)]
    pub fn sums(vector: &[i8]) -> [i32; 2] {
        let (sum, squares);
        // SAFETY: of the vector only the elements that are left are read.
        unsafe {
            asm!(
                "wlstp.8 lr, r1, 3f",
                "2:",
                "vldrb.u8 q0, [r0], #16",
                "vaddva.s8 r2, q0",
                "vmladava.s8 r4, q0, q0",
                "letp lr, 2b",
                "3:",
                inlateout("r0") vector.as_ptr() => _,
                in("r1") vector.len(),
                inlateout("r2") 0 => sum,
                inlateout("r4") 0 => squares,
                out("lr") _, out("d0") _, out("d1") _,
                options(nostack, readonly),
            );
        }
        [sum, squares]
    }

    #[inline(never)]
    pub fn codes(with: &Vector, channels: &[[i32; 2]], vector: &mut [i8]) {
        let fours = (vector.len() / 4).min(channels.len() / 4);
        // SAFETY: so many times four elements, and so many times 32 bytes of constants, are there.
        unsafe {
            asm!(
                "vdup.32 q5, r3",
                "mvn r3, #127",
                "vdup.32 q6, r3",
                "mov r3, #127",
                "vdup.32 q7, r3",
                "wls lr, lr, 3f",
                "2:",
                "vldrb.s32 q0, [r0]",
                "vmul.i32 q0, q0, r2",
                "vadd.i32 q0, q0, r4",
                "vmulh.s32 q0, q0, q5",
                "vadd.i32 q0, q0, r5",
                "vshl.s32 q0, r8",
                "vshl.s32 q0, r9",
                "vldrw.u32 q1, [r1], #16",
                "vrmulh.s32 q0, q0, q1",
                "vldrw.u32 q1, [r1], #16",
                "vadd.i32 q0, q0, q1",
                "vshr.s32 q0, q0, #16",
                "vmax.s32 q0, q0, q6",
                "vmin.s32 q0, q0, q7",
                "vstrb.32 q0, [r0], #4",
                "le lr, 2b",
                "3:",
                inlateout("r0") vector.as_mut_ptr() => _,
                inlateout("r1") channels.as_ptr() => _,
                in("r2") with.n,
                inlateout("r3") with.root => _,
                in("r4") with.sum.wrapping_neg(),
                in("r5") with.half,
                in("r8") (with.right as i32).wrapping_neg(),
                in("r9") with.left,
                inlateout("lr") fours => _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d10") _, out("d11") _, out("d12") _,
                out("d13") _, out("d14") _, out("d15") _,
                options(nostack),
            );
        }
    }
}
