//! Memory that the map of the board sets apart from the image: what a loader writes there before the program starts (the
//! emulator's generic loader, or a debugger), memory to work in, and memory that outlives resets.

use crate::registers::Registers;

unsafe extern "C" {
    static _received: u8;
    static _received_end: u8;
    static mut _work: u8;
    static mut _work_end: u8;
    static mut _kept: u8;
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

/// Words that outlive resets, and the loss of power where the board has such memory (the emulator: a file behind it).
pub struct Kept {
    words: Registers,
}

impl Kept {
    pub const WORDS: usize = 1024;

    /// To be made once: whoever has the board has it.
    pub(crate) fn new() -> Self {
        let start = &raw mut _kept;
        // SAFETY: the memory map sets this memory apart, and the board makes this the only one who uses it.
        Self { words: unsafe { Registers::new(start.addr()) } }
    }

    /// The word; 0 behind the last one.
    pub fn read(&self, index: usize) -> u32 {
        if index < Self::WORDS { self.words.read(index) } else { 0 }
    }

    /// Writes the word, at once and in order with others; nothing behind the last one.
    pub fn write(&mut self, index: usize, value: u32) {
        if index < Self::WORDS {
            self.words.write(index, value);
        }
    }
}
