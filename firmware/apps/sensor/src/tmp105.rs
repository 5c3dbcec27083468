//! The temperature sensor TMP105 (Texas Instruments SBOS219): 12 bits, 1/16 degree.

use embedded_hal::i2c::I2c;

/// Address with all address pins at ground.
pub const ADDRESS: u8 = 0x48;

const TEMPERATURE: u8 = 0;
const CONFIGURATION: u8 = 1;

/// Resolution of 12 bits (R1 and R0), conversions all the time.
const TWELVE_BITS: u8 = 0b0110_0000;
const PER_DEGREE: f32 = 256.0;

/// The sensor on a bus.
pub struct Tmp105<B> {
    bus: B,
    address: u8,
}

impl<B: I2c> Tmp105<B> {
    pub fn new(bus: B, address: u8) -> Self {
        Self { bus, address }
    }

    /// Sets the resolution; the sensor wakes up with 9 bits.
    pub fn configure(&mut self) -> Result<(), B::Error> {
        self.bus.write(self.address, &[CONFIGURATION, TWELVE_BITS])
    }

    /// The last temperature that was measured, in degrees Celsius.
    pub fn celsius(&mut self) -> Result<f32, B::Error> {
        let mut bytes = [0; 2];
        self.bus.write_read(self.address, &[TEMPERATURE], &mut bytes)?;
        Ok(f32::from(i16::from_be_bytes(bytes)) / PER_DEGREE)
    }
}
