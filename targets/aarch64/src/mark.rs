//! Markers around what is measured.
//!
//! A marker is a hint that no core gives a meaning: `HINT #(96 + n)`, one cycle and four bytes on hardware, not counted
//! by `tests/bench/qemu-count`, which keeps the same table of numbers. On other architectures a marker is nothing at all.

/// An inference begins.
#[inline(always)]
pub fn begin_inference() {
    hint::<97>();
}

/// The inference ends.
#[inline(always)]
pub fn end_inference() {
    hint::<98>();
}

/// A step of the plan is done: per-step counts are taken from lap to lap.
#[inline(always)]
pub fn lap() {
    hint::<99>();
}

/// What follows is not counted, not even inside a section, until [`resume`]: for what only the measuring itself needs.
#[inline(always)]
pub fn pause() {
    hint::<104>();
}

/// Counting goes on.
#[inline(always)]
pub fn resume() {
    hint::<105>();
}

#[inline(always)]
fn hint<const N: u32>() {
    // SAFETY: an unallocated hint does nothing.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("hint #{}", const N, options(nostack, preserves_flags));
    }
}
