//! Markers around what is measured.
//!
//! A marker is the hint `DBG #n`: one cycle and four bytes on hardware, not counted by
//! `tests/bench/qemu-count`, which keeps the same table of numbers. On an ARMv6-M core (Cortex-M0),
//! which lacks the hint, and on other architectures a marker is nothing at all.

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

#[inline(always)]
#[cfg(not(mote_dbg_hint))]
fn hint<const N: u32>() {
    const { assert!(N < 16) };
}
