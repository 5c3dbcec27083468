//! Arm MPS2 with image AN500: a Cortex-M7 at 25 MHz. QEMU: `-M mps2-an500`.

pub use crate::mps2::{
    ARMV7M as DEVICES, Bus, Clock, Console, Led, Serial, bus, clock, console, led, serial,
};

pub const NAME: &str = "mps2-an500";
pub const CLOCK_HZ: u32 = 25_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 32;
