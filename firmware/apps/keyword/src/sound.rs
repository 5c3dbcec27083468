//! What the network listens to: its front end, and where samples come from. Any `embedded_io::Read` that gives i16
//! samples, little-endian, is a source; it ends with a read of nothing.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};
#[cfg(not(feature = "wakeword"))]
pub use mote_audio::digits::{NEW, RECIPE};
#[cfg(feature = "wakeword")]
pub use mote_audio::wakeword::{NEW, RECIPE};
use mote_audio::{FrontEnd, Rounding};

/// The front end that the network was trained on.
pub type Front = FrontEnd<'static, { RECIPE.fft }, { RECIPE.mels }>;
pub const MELS: usize = RECIPE.mels;
pub const HOP: usize = RECIPE.hop;

/// How a frame becomes an int8 input.
pub const ROUNDING: Rounding =
    if cfg!(feature = "wakeword") { Rounding::TowardsZero } else { Rounding::Nearest };

/// Classes that are no keyword.
pub const IGNORED: &[&str] =
    if cfg!(feature = "wakeword") { &["silence", "unknown"] } else { &["background"] };

/// A keyword is detected when so many results in a row are so sure of it.
pub const THRESHOLD: f32 = 0.6;
pub const HOLD: u32 = if cfg!(feature = "wakeword") { 2 } else { 6 };

/// The sound in the image.
#[cfg_attr(feature = "serial", allow(dead_code))]
pub const EMBEDDED: Embedded = Embedded { rest: include_bytes!(concat!(env!("OUT_DIR"), "/sound.raw")) };

/// Milliseconds of sound up to the end of this frame.
pub fn milliseconds(frame: u32) -> u32 {
    let samples = RECIPE.window as u64 + RECIPE.hop as u64 * u64::from(frame);
    (samples * 1000 / u64::from(RECIPE.rate)) as u32
}

/// Fills `samples` as far as the source goes; how many there were.
pub fn read<S: Read>(source: &mut S, samples: &mut [i16]) -> Result<usize, S::Error> {
    let mut count = 0;
    for sample in samples {
        let mut bytes = [0; 2];
        for byte in &mut bytes {
            if source.read(core::slice::from_mut(byte))? == 0 {
                return Ok(count);
            }
        }
        *sample = i16::from_le_bytes(bytes);
        count += 1;
    }
    Ok(count)
}

/// Bytes in memory. (`embedded_io` reads from slices too, but with a way to a panic.)
#[cfg_attr(feature = "serial", allow(dead_code))]
pub struct Embedded {
    rest: &'static [u8],
}

impl ErrorType for Embedded {
    type Error = Infallible;
}

impl Read for Embedded {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let count = bytes.len().min(self.rest.len());
        let (now, rest) = self.rest.split_at_checked(count).unwrap_or_default();
        bytes.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        self.rest = rest;
        Ok(count)
    }
}

/// A serial port on whose other side a host has the sound. So that no byte is lost while the device computes, the host
/// sends only what it is asked for: the device writes how many bytes it wants (u16, little-endian), the host writes how
/// many it sends, at most so many (0 at the end of the sound), and then the bytes.
#[cfg_attr(not(feature = "serial"), allow(dead_code))]
pub struct Serial<P> {
    port: P,
    /// Bytes that were announced and did not come yet.
    coming: u16,
}

#[cfg_attr(not(feature = "serial"), allow(dead_code))]
impl<P: Read + Write> Serial<P> {
    /// Bytes asked for at a time: a hop.
    const REQUEST: u16 = 2 * HOP as u16;

    pub fn new(port: P) -> Self {
        Self { port, coming: 0 }
    }

    fn byte(&mut self) -> Result<u8, P::Error> {
        let mut byte = [0];
        while self.port.read(&mut byte)? == 0 {}
        Ok(byte[0])
    }
}

impl<P: ErrorType> ErrorType for Serial<P> {
    type Error = P::Error;
}

impl<P: Read + Write> Read for Serial<P> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, P::Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.coming == 0 {
            self.port.write_all(&Self::REQUEST.to_le_bytes())?;
            self.coming = u16::from_le_bytes([self.byte()?, self.byte()?]);
        }
        let mut count = 0;
        for byte in bytes {
            let Some(left) = self.coming.checked_sub(1) else { break };
            *byte = self.byte()?;
            self.coming = left;
            count += 1;
        }
        Ok(count)
    }
}
