//! BBC micro:bit, the first one: an nRF51822, a Cortex-M0 at 16 MHz. QEMU: `-M microbit`.

use core::convert::Infallible;

use embedded_io::{ErrorType, Write};

use crate::registers::Registers;

pub const NAME: &str = "microbit";
pub const CLOCK_HZ: u32 = 16_000_000;
/// Entries of the vector table behind those of the core.
pub const INTERRUPTS: usize = 26;

pub type Console = Uart;

pub fn console() -> Console {
    // SAFETY: the UART of this chip, and nothing else in the crate uses it.
    unsafe { Uart::new(0x4000_2000) }
}

const START_TX: usize = 0x008 / 4;
const TX_READY: usize = 0x11c / 4;
const ENABLE: usize = 0x500 / 4;
const PIN_TX: usize = 0x50c / 4;
const DATA: usize = 0x51c / 4;
const BAUD_RATE: usize = 0x524 / 4;

const ENABLED: u32 = 4;
const BAUD_115200: u32 = 0x01d7_e000;
/// The pin that the interface chip, and so the USB cable, listens to.
const USB_TX_PIN: u32 = 24;

/// The UART of the nRF51, polled; it sends only.
pub struct Uart {
    registers: Registers,
}

impl Uart {
    /// Switches the UART on.
    ///
    /// # Safety
    /// `base` is the address of an nRF51 UART that nobody else drives.
    unsafe fn new(base: usize) -> Self {
        // SAFETY: the caller names an nRF51 UART, and the indices above are registers of one.
        let mut registers = unsafe { Registers::new(base) };
        registers.write(PIN_TX, USB_TX_PIN);
        registers.write(BAUD_RATE, BAUD_115200);
        registers.write(ENABLE, ENABLED);
        registers.write(START_TX, 1);
        Self { registers }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            self.registers.write(TX_READY, 0);
            self.registers.write(DATA, byte.into());
            while self.registers.read(TX_READY) == 0 {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
