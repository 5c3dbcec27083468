//! Arm MPS3 with image AN547: a Cortex-M55 with Helium at 32 MHz, which starts in the secure state and stays there.
//! QEMU: `-M mps3-an547`.
//!
//! Helium lives in the coprocessors of the floating-point unit, so the start-up code of cortex-m-rt, which switches
//! that on for targets with hard floats, switches on both.

use crate::{
    mps2::{Light, Uart},
    sbcon::SbCon,
};

pub const NAME: &str = "mps3-an547";
pub const CLOCK_HZ: u32 = 32_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 96;

pub type Console = Uart;
pub type Serial = Uart;
pub type Bus = SbCon;
pub type Led = Light;

pub fn console() -> Console {
    // SAFETY: UART0 of this board at its secure address, and nothing else in the crate uses it.
    unsafe { Uart::new(0x5930_3000, CLOCK_HZ / 115_200) }
}

pub fn serial() -> Serial {
    // SAFETY: UART1 of this board at its secure address, and nothing else in the crate uses it.
    unsafe { Uart::new(0x5930_4000, CLOCK_HZ / 921_600) }
}

pub fn bus() -> Bus {
    // SAFETY: the controller of shield 1 at its secure address, and nothing else in the crate uses it.
    unsafe { SbCon::new(0x5920_6000, CLOCK_HZ / 200_000) }
}

pub fn led() -> Led {
    // SAFETY: inputs and outputs of the FPGA at their secure address, and nothing else in the crate uses them.
    unsafe { Light::new(0x5930_2000, 0) }
}
