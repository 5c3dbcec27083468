//! Arm MPS2 with image AN505: a Cortex-M33 at 20 MHz, which starts in the secure state and stays there. QEMU:
//! `-M mps2-an505`.

use crate::{
    mps2::{Light, Uart},
    sbcon::SbCon,
};

pub const NAME: &str = "mps2-an505";
pub const CLOCK_HZ: u32 = 20_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 92;

pub type Console = Uart;
pub type Serial = Uart;
pub type Bus = SbCon;
pub type Led = Light;

pub fn console() -> Console {
    // SAFETY: UART0 of this board at its secure address, and nothing else in the crate uses it.
    unsafe { Uart::new(0x5020_0000, CLOCK_HZ / 115_200) }
}

pub fn serial() -> Serial {
    // SAFETY: UART1 of this board at its secure address, and nothing else in the crate uses it.
    unsafe { Uart::new(0x5020_1000, CLOCK_HZ / 921_600) }
}

pub fn bus() -> Bus {
    // SAFETY: the controller of shield 1 at its secure address, and nothing else in the crate uses it.
    unsafe { SbCon::new(0x5020_d000, CLOCK_HZ / 200_000) }
}

pub fn led() -> Led {
    // SAFETY: inputs and outputs of the FPGA at their secure address, and nothing else in the crate uses them.
    unsafe { Light::new(0x5030_2000, 0) }
}
