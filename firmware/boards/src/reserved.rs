//! Memory that the map of the board sets apart from the image: what a loader writes there before the program starts (the
//! emulator's generic loader, or a debugger), and memory to work in.

unsafe extern "C" {
    static _received: u8;
    static _received_end: u8;
    static mut _work: u8;
    static mut _work_end: u8;
}

/// All of the place for received bytes: what is in it has to tell its length.
pub fn received() -> &'static [u8] {
    let (start, end) = (&raw const _received, &raw const _received_end);
    // SAFETY: the memory map sets this memory apart, nothing writes it while the program runs, and any bytes are bytes.
    unsafe { core::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Memory to work in.
///
/// # Safety
/// To be called once.
pub unsafe fn work() -> &'static mut [u8] {
    let (start, end) = (&raw mut _work, &raw mut _work_end);
    // SAFETY: the memory map sets this memory apart; the caller makes this the only reference.
    unsafe { core::slice::from_raw_parts_mut(start, end.addr() - start.addr()) }
}
