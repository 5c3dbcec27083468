//! Markers around what is measured.
//!
//! A marker is the hint `DBG #n`: one cycle and four bytes on hardware, not counted by
//! `tests/bench/qemu-count`, which keeps the same table of numbers. An ARMv6-M core (Cortex-M0) lacks the hint; there it
//! is a move of a register to itself, one cycle and two bytes, which compilers never write. On other architectures a
//! marker is nothing at all.

/// An inference begins.
#[inline(always)]
pub fn begin_inference() {
    hint::<1>();
}

/// The inference ends.
#[inline(always)]
pub fn end_inference() {
    hint::<2>();
}

/// A step of the plan is done: per-step counts are taken from lap to lap.
#[inline(always)]
pub fn lap() {
    hint::<3>();
}

/// Start-up (parse, check, bind) begins.
#[inline(always)]
pub fn begin_start_up() {
    hint::<4>();
}

/// Start-up ends.
#[inline(always)]
pub fn end_start_up() {
    hint::<5>();
}

/// Any other measured section begins.
#[inline(always)]
pub fn begin_section() {
    hint::<6>();
}

/// The other section ends.
#[inline(always)]
pub fn end_section() {
    hint::<7>();
}

/// What follows is not counted, not even inside a section, until [`resume`]: for what only the measuring
/// itself needs.
#[inline(always)]
pub fn pause() {
    hint::<8>();
}

/// Counting goes on.
#[inline(always)]
pub fn resume() {
    hint::<9>();
}

/// `DBG #N`. The compiler may not move memory accesses across it (no `nomem`), so that work stays
/// inside its section.
#[inline(always)]
#[cfg(mote_dbg_hint)]
fn hint<const N: u32>() {
    const { assert!(N < 16) };
    // SAFETY: DBG is a hint in the NOP space of ARMv7-M and ARMv8-M Mainline: it changes no
    // register, flag or memory.
    unsafe {
        core::arch::asm!(
            ".inst.w 0xf3af80f0 + {n}",
            n = const N,
            options(nostack, preserves_flags),
        );
    }
}

/// The same with `MOV Rn, Rn`, where n is `N`, or `N + 2` from 8 on: `MOV R8, R8` pads code.
#[inline(always)]
#[cfg(mote_small_core)]
fn hint<const N: u32>() {
    const { assert!(N < 11) };
    // SAFETY: a register keeps its value, and flags and memory are left alone.
    unsafe {
        core::arch::asm!(
            ".inst.n 0x4600 + {d} * 128 + {m} * 8 + {low}",
            d = const if N < 8 { 0 } else { 1 },
            m = const if N < 8 { N } else { N + 2 },
            low = const if N < 8 { N } else { (N + 2) % 8 },
            options(nostack, preserves_flags),
        );
    }
}

#[inline(always)]
#[cfg(not(any(mote_dbg_hint, mote_small_core)))]
fn hint<const N: u32>() {
    const { assert!(N < 16) };
}
