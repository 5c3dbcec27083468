//! Arm MPS3 with image AN547: a Cortex-M55 with Helium at 32 MHz, which starts in the secure state and stays there.
//! QEMU: `-M mps3-an547`.
//!
//! Helium lives in the coprocessors of the floating-point unit, so the start-up code of cortex-m-rt, which switches
//! that on for targets with hard floats, switches on both.

use crate::mps2::Devices;
pub use crate::mps2::{Bus, Clock, Console, Led, Serial, bus, clock, console, led, serial};

pub const NAME: &str = "mps3-an547";
pub const CLOCK_HZ: u32 = 32_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 96;
/// At their secure addresses.
pub const DEVICES: Devices =
    Devices { console: 0x5930_3000, serial: 0x5930_4000, bus: 0x5920_6000, led: 0x5930_2000 };
