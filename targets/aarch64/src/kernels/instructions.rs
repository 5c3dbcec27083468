//! Instructions for which the standard library has no stable function yet, and a word to the compiler.

use core::arch::aarch64::{int8x16_t, int32x4_t};
use core::arch::asm;

/// `sums[i] + a[4i] * b[4i] + .. + a[4i+3] * b[4i+3]`.
///
/// # Safety
/// The core has dot products.
#[inline(always)]
pub unsafe fn sdot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's; the instruction touches registers only.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// `sums + a * b` of matrices: sums and product are two rows of two numbers, `a` two rows of eight, `b` two columns of
/// eight.
///
/// # Safety
/// The core has matrix multiplication of bytes.
#[inline(always)]
pub unsafe fn smmla(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's; the instruction touches registers only.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// The pointer, of which the compiler forgets how it was computed: it would compute each position's from the first one's
/// anew in every step.
#[inline(always)]
pub fn opaque<T>(mut pointer: *const T) -> *const T {
    // SAFETY: there is no instruction.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, readonly, nostack, preserves_flags)) };
    pointer
}
