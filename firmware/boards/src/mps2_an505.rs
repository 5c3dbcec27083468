//! Arm MPS2 with image AN505: a Cortex-M33 at 20 MHz, which starts in the secure state and stays there. QEMU:
//! `-M mps2-an505`.

use crate::mps2::Devices;
pub use crate::mps2::{Bus, Clock, Console, Led, Serial, bus, clock, console, led, serial};

pub const NAME: &str = "mps2-an505";
pub const CLOCK_HZ: u32 = 20_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 92;
/// At their secure addresses.
pub const DEVICES: Devices =
    Devices { console: 0x5020_0000, serial: 0x5020_1000, bus: 0x5020_d000, led: 0x5030_2000 };
