//! The registers of a device.

use core::ptr::NonNull;

/// Registers of 32 bits, one behind the other, of a device that is ours alone.
pub struct Registers {
    base: NonNull<u32>,
}

impl Registers {
    /// # Safety
    /// `base` is the address of a device that nobody else drives, and whoever holds this reads and writes its registers
    /// only.
    pub unsafe fn new(base: usize) -> Self {
        // SAFETY: the caller names a device, and a device is not at address zero.
        Self { base: unsafe { NonNull::new_unchecked(base as *mut u32) } }
    }

    pub fn read(&self, index: usize) -> u32 {
        // SAFETY: `base` is a device, and `index` one of its registers.
        unsafe { self.base.add(index).read_volatile() }
    }

    pub fn write(&mut self, index: usize, value: u32) {
        // SAFETY: as above; the device is ours alone.
        unsafe { self.base.add(index).write_volatile(value) }
    }
}
