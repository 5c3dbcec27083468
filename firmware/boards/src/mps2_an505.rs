//! Arm MPS2 with image AN505: a Cortex-M33 at 20 MHz, which starts in the secure state and stays there. QEMU:
//! `-M mps2-an505`.

use crate::mps2::Uart;

pub const NAME: &str = "mps2-an505";
pub const CLOCK_HZ: u32 = 20_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 92;

pub type Console = Uart;

pub fn console() -> Console {
    // SAFETY: UART0 of this board at its secure address, and nothing else in the crate uses it.
    unsafe { Uart::new(0x5020_0000, CLOCK_HZ / 115_200) }
}
