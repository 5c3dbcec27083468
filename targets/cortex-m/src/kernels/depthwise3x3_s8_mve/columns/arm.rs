//! The same for Helium: a loop over channels in one over blocks of them. Sums are the even registers, which `VMLADAV` can write. Q4 holds the
//! addresses of four columns, and each load of a channel's first window moves them on. The channel's scales are scalars,
//! since the lanes are output columns. Codes are narrowed to 16 bits and stored column by column, as many as there are.

use core::arch::asm;

use super::{Channels, Compute};
use crate::kernels::depthwise3x3_s8_mve::LANES;
use crate::kernels::depthwise3x3_s8_mve::strip::{Strip, fill};
use crate::kernels::mve::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// All channels, 16 at a time: a strip, then its columns.
macro_rules! blocks {
    ($self:ident, $strip:ident, $room:ident, $outputs:ident, $to:ident, $base:expr, $text:expr) => {
        let mut first = 0;
        while first < $self.distance {
            let lanes = ($self.distance - first).min(LANES);
            fill($room, $strip, first, lanes);
            let scales = $self.scales.as_ptr().wrapping_add(first);
            // SAFETY: `compute` has compared all lengths. R6 and R7 are given back, and so is the stack pointer. The
            // predicate is nobody's in a function that has no other code with vectors.
            unsafe {
                asm!(
                    $text,
                    inlateout("r0") $room.as_ptr().wrapping_offset($base) => _,
                    inlateout("r1") $to.as_mut_ptr().wrapping_add(first) => _,
                    inlateout("r2") $self.distance => _,
                    inlateout("r3") $outputs => _,
                    inlateout("r4") $self.stage.zero_point => _,
                    inlateout("r5") scales.wrapping_add(lanes) => _,
                    out("r8") _,
                    inlateout("r9") scales => _,
                    inlateout("r10") $self.stage.min => _,
                    inlateout("r11") $self.weights.as_ptr().wrapping_add(1 + first) => _,
                    inlateout("r12") $self.stage.max => _,
                    out("lr") _,
                    out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                    out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                    out("d14") _, out("d15") _,
                );
            }
            first += LANES;
        }
    };
}

/// Addresses of columns, offsets of outputs (`size` bits), limits; then the loop: `sums`, from sums to codes (`finish`),
/// store.
macro_rules! text {
    ($size:literal, $sums:expr, $finish:expr) => {
        concat!(
            "push {{r6, r7}}\n",
            "mov r7, r1\n",
            "vctp.",
            $size,
            " r3\n",
            "vdup.",
            $size,
            " q6, r10\n",
            "vdup.",
            $size,
            " q7, r12\n",
            "movs r6, #0\n",
            "vidup.u",
            $size,
            " q5, r6, #1\n",
            "vmul.i",
            $size,
            " q5, q5, r2\n",
            "movs r6, #0\n",
            "vidup.u32 q4, r6, #1\n",
            "vshl.i32 q4, q4, #6\n",
            "vadd.i32 q4, q4, r0\n",
            "push {{r4, r5}}\n",
            "2:\n",
            "ldm r9!, {{r1, r3, r5}}\n",
            $sums,
            $finish,
            "vpst\n",
            "vstrbt.",
            $size,
            " q0, [r7, q5]\n",
            "adds r7, #1\n",
            "cmp r9, r2\n",
            "bne.w 2b\n",
            "add sp, #8\n",
            "pop {{r6, r7}}\n",
        )
    };
}

/// From sums of eight outputs to 16-bit codes: lane k is output k.
macro_rules! finish_eight {
    ($high:literal) => {
        concat!(
            "vmov d0, r0, r4\n",
            "vmov d1, r8, r12\n",
            "vmov d2, r2, r6\n",
            "vmov d3, r10, lr\n",
            "vadd.i32 q0, q0, r1\n",
            "vadd.i32 q1, q1, r1\n",
            $high,
            "vrshl.s32 q0, r5\n",
            "vrshl.s32 q1, r5\n",
            "ldrd r0, r2, [sp]\n",
            "vqmovnb.s32 q0, q0\n",
            "vqmovnt.s32 q0, q1\n",
            "vqadd.s16 q0, q0, r0\n",
            "vmax.s16 q0, q0, q6\n",
            "vmin.s16 q0, q0, q7\n",
        )
    };
}

macro_rules! finish_four {
    ($high:literal) => {
        concat!(
            "vmov d0, r0, r2\n",
            "vmov d1, r4, r6\n",
            "vadd.i32 q0, q0, r1\n",
            $high,
            "vrshl.s32 q0, r5\n",
            "ldrd r0, r2, [sp]\n",
            "vadd.i32 q0, q0, r0\n",
            "vmax.s32 q0, q0, q6\n",
            "vmin.s32 q0, q0, q7\n",
        )
    };
}

/// What a channel's first load adds to Q4: the next channel, less what the channel before went on by.
const STEP: isize = 4;
const STEP_BACK: isize = 4 - 512;

macro_rules! loops {
    ($rounding:ident, $high:literal, $high_both:literal) => {
        impl Compute<$rounding> for Channels<'_> {
            #[inline(never)]
            fn eight(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
                blocks!(
                    self,
                    strip,
                    room,
                    outputs,
                    to,
                    -STEP,
                    text!(
                        "16",
                        concat!(
                            "vldrw.u32 q3, [r11, #-4]\n",
                            "vldrw.u32 q2, [r11], #16\n",
                            "vldrw.u32 q0, [q4, #4]!\n",
                            "vmladav.s8 r0, q0, q2\n",
                            "vmladav.s8 r2, q0, q3\n",
                            "vldrw.u32 q1, [q4, #128]\n",
                            "vmladav.s8 r4, q1, q2\n",
                            "vmladav.s8 r6, q1, q3\n",
                            "vldrw.u32 q0, [q4, #256]\n",
                            "vmladav.s8 r8, q0, q2\n",
                            "vmladav.s8 r10, q0, q3\n",
                            "vldrw.u32 q1, [q4, #384]\n",
                            "vmladav.s8 r12, q1, q2\n",
                            "vmladav.s8 lr, q1, q3\n",
                        ),
                        finish_eight!($high_both)
                    )
                );
            }

            #[inline(never)]
            fn four(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
                blocks!(
                    self,
                    strip,
                    room,
                    outputs,
                    to,
                    -STEP,
                    text!(
                        "32",
                        concat!(
                            "vldrw.u32 q3, [r11, #-4]\n",
                            "vldrw.u32 q2, [r11], #16\n",
                            "vldrw.u32 q0, [q4, #4]!\n",
                            "vmladav.s8 r0, q0, q2\n",
                            "vmladav.s8 r2, q0, q3\n",
                            "vldrw.u32 q1, [q4, #128]\n",
                            "vmladav.s8 r4, q1, q2\n",
                            "vmladav.s8 r6, q1, q3\n",
                        ),
                        finish_four!($high)
                    )
                );
            }

            #[inline(never)]
            fn eight_apart(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
                blocks!(
                    self,
                    strip,
                    room,
                    outputs,
                    to,
                    -STEP_BACK,
                    text!(
                        "16",
                        concat!(
                            "vldrw.u32 q2, [r11], #16\n",
                            "vldrw.u32 q0, [q4, #-508]!\n",
                            "vmladav.s8 r0, q0, q2\n",
                            "vldrw.u32 q1, [q4, #128]\n",
                            "vmladav.s8 r2, q1, q2\n",
                            "vldrw.u32 q0, [q4, #256]!\n",
                            "vmladav.s8 r4, q0, q2\n",
                            "vldrw.u32 q1, [q4, #128]\n",
                            "vmladav.s8 r6, q1, q2\n",
                            "vldrw.u32 q0, [q4, #256]!\n",
                            "vmladav.s8 r8, q0, q2\n",
                            "vldrw.u32 q1, [q4, #128]\n",
                            "vmladav.s8 r10, q1, q2\n",
                            "vldrw.u32 q0, [q4, #256]\n",
                            "vmladav.s8 r12, q0, q2\n",
                            "vldrw.u32 q1, [q4, #384]\n",
                            "vmladav.s8 lr, q1, q2\n",
                        ),
                        finish_eight!($high_both)
                    )
                );
            }

            #[inline(never)]
            fn four_apart(&self, strip: &Strip<'_>, room: &mut [i8], outputs: usize, to: &mut [i8]) {
                blocks!(
                    self,
                    strip,
                    room,
                    outputs,
                    to,
                    -STEP,
                    text!(
                        "32",
                        concat!(
                            "vldrw.u32 q2, [r11], #16\n",
                            "vldrw.u32 q0, [q4, #4]!\n",
                            "vmladav.s8 r0, q0, q2\n",
                            "vldrw.u32 q1, [q4, #128]\n",
                            "vmladav.s8 r2, q1, q2\n",
                            "vldrw.u32 q0, [q4, #256]\n",
                            "vmladav.s8 r4, q0, q2\n",
                            "vldrw.u32 q1, [q4, #384]\n",
                            "vmladav.s8 r6, q1, q2\n",
                        ),
                        finish_four!($high)
                    )
                );
            }
        }
    };
}

// `VMULH` takes no scalar.
loops!(
    SINGLE,
    "vdup.32 q2, r3\nvmulh.s32 q0, q0, q2\n",
    "vdup.32 q2, r3\nvmulh.s32 q0, q0, q2\nvmulh.s32 q1, q1, q2\n"
);
loops!(
    DOUBLE,
    "vqrdmulh.s32 q0, q0, r3\nvshr.s32 q1, q0, #31\nvadd.i32 q0, q0, q1\n",
    "vqrdmulh.s32 q0, q0, r3\nvqrdmulh.s32 q1, q1, r3\n\
     vshr.s32 q2, q0, #31\nvadd.i32 q0, q0, q2\nvshr.s32 q3, q1, #31\nvadd.i32 q1, q1, q3\n"
);
loops!(DOUBLE_CLAMPED, "vqrdmulh.s32 q0, q0, r3\n", "vqrdmulh.s32 q0, q0, r3\nvqrdmulh.s32 q1, q1, r3\n");
