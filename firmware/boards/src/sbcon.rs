//! The I2C controller of Arm's MPS2 family ("SBCon"): two lines that software moves. Master only, 7-bit addresses.
//!
//! The controller reads the data line alone, so a device that stretches the clock is not waited for.

use cortex_m::asm::delay;
use embedded_hal::i2c::{self, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use crate::registers::Registers;

/// Reads the lines; written ones are released, that is, pulled up.
const RELEASE: usize = 0;
/// Written ones are pulled down.
const PULL: usize = 1;

const CLOCK: u32 = 1;
const DATA: u32 = 2;

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "log", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// No device has this address.
    NoDevice,
    /// The device refused a byte.
    Refused,
    /// The data line is held down, and nine clocks did not free it.
    Stuck,
}

impl i2c::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoDevice => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
            Self::Refused => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data),
            Self::Stuck => ErrorKind::Bus,
        }
    }
}

/// The controller, polled.
pub struct SbCon {
    registers: Registers,
    /// Cycles of half a bit.
    half: u32,
}

impl SbCon {
    /// A bus at `clock_hz / (2 * half)` bits a second, or less.
    ///
    /// # Safety
    /// `base` is the address of an SBCon that nobody else drives.
    pub unsafe fn new(base: usize, half: u32) -> Self {
        // Both lines are released after a reset.
        // SAFETY: the caller names an SBCon, and the indices above are its registers.
        Self { registers: unsafe { Registers::new(base) }, half }
    }

    fn set(&mut self, lines: u32, high: bool) {
        let register = if high { RELEASE } else { PULL };
        self.registers.write(register, lines);
        delay(self.half);
    }

    fn data(&self) -> bool {
        self.registers.read(RELEASE) & DATA != 0
    }

    /// Data falls while the clock is high. From a running transfer this is a repeated start.
    fn start(&mut self) -> Result<(), Error> {
        self.set(DATA, true);
        self.set(CLOCK, true);
        // A device that was interrupted within a byte holds the line until it has sent the rest.
        for _ in 0..9 {
            if self.data() {
                break;
            }
            self.set(CLOCK, false);
            self.set(CLOCK, true);
        }
        if !self.data() {
            return Err(Error::Stuck);
        }
        self.set(DATA, false);
        self.set(CLOCK, false);
        Ok(())
    }

    /// Data rises while the clock is high.
    fn stop(&mut self) {
        self.set(DATA, false);
        self.set(CLOCK, true);
        self.set(DATA, true);
    }

    fn write_bit(&mut self, bit: bool) {
        self.set(DATA, bit);
        self.set(CLOCK, true);
        self.set(CLOCK, false);
    }

    fn read_bit(&mut self) -> bool {
        self.set(DATA, true);
        self.set(CLOCK, true);
        let bit = self.data();
        self.set(CLOCK, false);
        bit
    }

    /// Whether the device took the byte.
    fn write_byte(&mut self, byte: u8) -> bool {
        for bit in (0..8).rev() {
            self.write_bit(byte >> bit & 1 != 0);
        }
        !self.read_bit()
    }

    fn read_byte(&mut self, more: bool) -> u8 {
        let byte = (0..8).fold(0, |byte, _| byte << 1 | u8::from(self.read_bit()));
        self.write_bit(!more);
        byte
    }

    fn operations(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Error> {
        let mut before = None;
        let mut rest = operations.iter_mut().peekable();
        while let Some(operation) = rest.next() {
            let reads = matches!(operation, Operation::Read(_));
            // Neighbours of one direction are one transfer, without a start between them.
            if before != Some(reads) {
                self.start()?;
                if !self.write_byte(address << 1 | u8::from(reads)) {
                    return Err(Error::NoDevice);
                }
                before = Some(reads);
            }
            match operation {
                Operation::Write(bytes) => {
                    for byte in *bytes {
                        if !self.write_byte(*byte) {
                            return Err(Error::Refused);
                        }
                    }
                }
                Operation::Read(bytes) => {
                    let goes_on = matches!(rest.peek(), Some(Operation::Read(_)));
                    if let Some((last, others)) = bytes.split_last_mut() {
                        others.iter_mut().for_each(|byte| *byte = self.read_byte(true));
                        *last = self.read_byte(goes_on);
                    }
                }
            }
        }
        Ok(())
    }
}

impl ErrorType for SbCon {
    type Error = Error;
}

impl I2c for SbCon {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Error> {
        let result = self.operations(address, operations);
        self.stop();
        result
    }
}
