//! Arm MPS2 with image AN386: a Cortex-M4F at 25 MHz. QEMU: `-M mps2-an386`.

use crate::{
    mps2::{Light, Uart},
    sbcon::SbCon,
};

pub const NAME: &str = "mps2-an386";
pub const CLOCK_HZ: u32 = 25_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 32;

pub type Console = Uart;
pub type Serial = Uart;
pub type Bus = SbCon;
pub type Led = Light;

pub fn console() -> Console {
    // SAFETY: UART0 of this board, and nothing else in the crate uses it.
    unsafe { Uart::new(0x4000_4000, CLOCK_HZ / 115_200) }
}

pub fn serial() -> Serial {
    // SAFETY: UART1 of this board, and nothing else in the crate uses it.
    unsafe { Uart::new(0x4000_5000, CLOCK_HZ / 921_600) }
}

pub fn bus() -> Bus {
    // SAFETY: the controller of shield 1, and nothing else in the crate uses it.
    unsafe { SbCon::new(0x4002_a000, CLOCK_HZ / 200_000) }
}

pub fn led() -> Led {
    // SAFETY: inputs and outputs of the FPGA, and nothing else in the crate uses them.
    unsafe { Light::new(0x4002_8000, 0) }
}
