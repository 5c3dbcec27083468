//! What the boards of Arm's MPS2 family share: the CMSDK UART, and the lights of the user.

use core::{convert::Infallible, ptr::NonNull};

use embedded_hal::digital::{self, OutputPin};
use embedded_io::{ErrorType, Read, Write};

const DATA: usize = 0;
const STATE: usize = 1;
const CTRL: usize = 2;
const BAUD_DIV: usize = 4;

const STATE_TX_FULL: u32 = 1;
const STATE_RX_FULL: u32 = 2;
const CTRL_TX_RX: u32 = 3;

/// A CMSDK UART, polled.
pub struct Uart {
    base: NonNull<u32>,
}

impl Uart {
    /// Switches the UART on.
    ///
    /// # Safety
    /// `base` is the address of a CMSDK UART that nobody else drives.
    pub unsafe fn new(base: usize, baud_divider: u32) -> Self {
        // SAFETY: the caller names a device, and a device is not at address zero.
        let base = unsafe { NonNull::new_unchecked(base as *mut u32) };
        let mut uart = Self { base };
        uart.write_register(BAUD_DIV, baud_divider);
        uart.write_register(CTRL, CTRL_TX_RX);
        uart
    }

    fn read_register(&self, index: usize) -> u32 {
        // SAFETY: `base` is a UART, and `index` one of its five registers.
        unsafe { self.base.add(index).read_volatile() }
    }

    fn write_register(&mut self, index: usize, value: u32) {
        // SAFETY: as above; the UART is ours alone.
        unsafe { self.base.add(index).write_volatile(value) }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.read_register(STATE) & STATE_TX_FULL != 0 {}
            self.write_register(DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.read_register(STATE) & STATE_TX_FULL != 0 {}
        Ok(())
    }
}

impl Read for Uart {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = bytes.first_mut() else { return Ok(0) };
        while self.read_register(STATE) & STATE_RX_FULL == 0 {}
        *first = self.read_register(DATA) as u8;
        Ok(1)
    }
}

/// A light of the board: bit `index` of the first register of the FPGA's inputs and outputs.
pub struct Light {
    register: NonNull<u32>,
    mask: u32,
}

impl Light {
    /// # Safety
    /// `base` is the address of the FPGA's inputs and outputs, and nobody else drives its lights.
    pub unsafe fn new(base: usize, index: u32) -> Self {
        // SAFETY: the caller names a device, and a device is not at address zero.
        Self { register: unsafe { NonNull::new_unchecked(base as *mut u32) }, mask: 1 << index }
    }

    fn set(&mut self, on: bool) {
        // SAFETY: `register` is a register of lights, and they are ours alone.
        unsafe {
            let others = self.register.read_volatile() & !self.mask;
            self.register.write_volatile(if on { others | self.mask } else { others });
        }
    }
}

impl digital::ErrorType for Light {
    type Error = Infallible;
}

impl OutputPin for Light {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}
