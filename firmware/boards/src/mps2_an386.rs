//! Arm MPS2 with image AN386: a Cortex-M4F at 25 MHz. QEMU: `-M mps2-an386`.

use crate::mps2::Uart;

pub const NAME: &str = "mps2-an386";
pub const CLOCK_HZ: u32 = 25_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 32;

pub type Console = Uart;

pub fn console() -> Console {
    // SAFETY: UART0 of this board, and nothing else in the crate uses it.
    unsafe { Uart::new(0x4000_4000, CLOCK_HZ / 115_200) }
}
