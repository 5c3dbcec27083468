//! What the boards of Arm's MPS2 family share: the CMSDK UART, the lights of the user, and which devices an app gets.

use core::convert::Infallible;

use embedded_hal::digital::{self, OutputPin};
use embedded_io::{ErrorType, Read, ReadReady, Write};

use crate::{
    board::{CLOCK_HZ, DEVICES},
    registers::Registers,
    sbcon::SbCon,
};

/// Where a board has its devices.
pub struct Devices {
    /// UART0.
    pub console: usize,
    /// UART1.
    pub serial: usize,
    /// The I2C controller of shield 1.
    pub bus: usize,
    /// Inputs and outputs of the FPGA.
    pub led: usize,
}

/// Devices of the images with ARMv7-M cores.
#[cfg(any(feature = "mps2-an386", feature = "mps2-an500"))]
pub const ARMV7M: Devices =
    Devices { console: 0x4000_4000, serial: 0x4000_5000, bus: 0x4002_a000, led: 0x4002_8000 };

pub type Console = Uart;
pub type Serial = Uart;
pub type Bus = SbCon;
pub type Led = Light;

pub fn console() -> Console {
    // SAFETY: UART0 of this board, and nothing else in the crate uses it.
    unsafe { Uart::new(DEVICES.console, CLOCK_HZ / 115_200) }
}

pub fn serial() -> Serial {
    // SAFETY: UART1 of this board, and nothing else in the crate uses it.
    unsafe { Uart::new(DEVICES.serial, CLOCK_HZ / 921_600) }
}

pub fn bus() -> Bus {
    // SAFETY: the controller of shield 1, and nothing else in the crate uses it.
    unsafe { SbCon::new(DEVICES.bus, CLOCK_HZ / 200_000) }
}

pub fn clock() -> Clock {
    // SAFETY: inputs and outputs of the FPGA; the light, which lies there too, uses another register.
    unsafe { Clock::new(DEVICES.led) }
}

pub fn led() -> Led {
    // SAFETY: inputs and outputs of the FPGA; the clock, which lies there too, uses another register.
    unsafe { Light::new(DEVICES.led, 0) }
}

const DATA: usize = 0;
const STATE: usize = 1;
const CTRL: usize = 2;
const BAUD_DIV: usize = 4;

const STATE_TX_FULL: u32 = 1;
const STATE_RX_FULL: u32 = 2;
const CTRL_TX_RX: u32 = 3;

/// A CMSDK UART, polled.
pub struct Uart {
    registers: Registers,
}

impl Uart {
    /// Switches the UART on.
    ///
    /// # Safety
    /// `base` is the address of a CMSDK UART that nobody else drives.
    pub unsafe fn new(base: usize, baud_divider: u32) -> Self {
        // SAFETY: the caller names a CMSDK UART, and the indices above are registers of one.
        let mut registers = unsafe { Registers::new(base) };
        registers.write(BAUD_DIV, baud_divider);
        registers.write(CTRL, CTRL_TX_RX);
        Self { registers }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while self.registers.read(STATE) & STATE_TX_FULL != 0 {}
            self.registers.write(DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.registers.read(STATE) & STATE_TX_FULL != 0 {}
        Ok(())
    }
}

impl Read for Uart {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = bytes.first_mut() else { return Ok(0) };
        while self.registers.read(STATE) & STATE_RX_FULL == 0 {}
        *first = self.registers.read(DATA) as u8;
        Ok(1)
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.registers.read(STATE) & STATE_RX_FULL != 0)
    }
}

const COUNTER: usize = 6;
const PRESCALE: usize = 7;

/// A clock: the FPGA's counter, a tick each millisecond.
pub struct Clock {
    registers: Registers,
    last: u32,
    passed: u64,
}

impl Clock {
    /// Starts the clock.
    ///
    /// # Safety
    /// `base` is the address of the FPGA's inputs and outputs, and nobody else drives its counter.
    pub unsafe fn new(base: usize) -> Self {
        // SAFETY: the caller names the inputs and outputs, of which only the counter is used.
        let mut registers = unsafe { Registers::new(base) };
        registers.write(PRESCALE, CLOCK_HZ / 1000 - 1);
        let last = registers.read(COUNTER);
        Self { registers, last, passed: 0 }
    }

    /// Milliseconds since the start; to be asked at least every 49 days, when the counter wraps.
    pub fn milliseconds(&mut self) -> u64 {
        let now = self.registers.read(COUNTER);
        self.passed += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.passed
    }
}

/// Register of the lights.
const LIGHTS: usize = 0;

/// A light of the board: bit `index` of the first register of the FPGA's inputs and outputs.
pub struct Light {
    registers: Registers,
    mask: u32,
}

impl Light {
    /// # Safety
    /// `base` is the address of the FPGA's inputs and outputs, and nobody else drives its lights.
    pub unsafe fn new(base: usize, index: u32) -> Self {
        // SAFETY: the caller names the inputs and outputs, of which only the lights are used.
        Self { registers: unsafe { Registers::new(base) }, mask: 1 << index }
    }

    fn set(&mut self, on: bool) {
        let others = self.registers.read(LIGHTS) & !self.mask;
        self.registers.write(LIGHTS, if on { others | self.mask } else { others });
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
