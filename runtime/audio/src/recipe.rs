//! What the features are.

use crate::Error;
use crate::tables::filters;

/// Everything that defines the features of a network. Samples are fractions of full scale.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Recipe {
    /// Samples per second.
    pub rate: u32,
    /// `c` in `y[i] = x[i] - c x[i-1]`, over the whole stream, `x[-1] = 0`. 0 turns it off.
    pub preemphasis: f32,
    /// Samples of a frame.
    pub window: usize,
    /// Shape of the window function.
    pub shape: Window,
    /// The window function ends one sample before it would return to its start (for spectra), instead of being
    /// symmetric (for filters).
    pub periodic: bool,
    /// Samples from one frame to the next; may exceed the window.
    pub hop: usize,
    /// Size of the FFT; the window is filled up with zeros behind its end.
    pub fft: usize,
    /// Number of mel filters, triangles on HTK's scale 1127 ln(1 + f / 700). The constant component is in none.
    pub mels: usize,
    /// Lower edge of the first filter, Hz.
    pub low: f32,
    /// Upper edge of the last filter, Hz.
    pub high: f32,
    /// Least value of each bin of the power spectrum `|FFT|^2 / window`.
    pub power_floor: f32,
    /// Least energy of a filter, before the logarithm.
    pub mel_floor: f32,
    pub logarithm: Logarithm,
    /// The feature is `(log + offset) * scale`, clipped to `clip.0 ..= clip.1`.
    pub offset: f32,
    pub scale: f32,
    pub clip: (f32, f32),
}

/// Shape of the window function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Window {
    /// 0.54 - 0.46 cos
    Hamming,
    /// 0.5 - 0.5 cos
    Hann,
    /// All ones.
    Rectangular,
}

/// The logarithm of a filter's energy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Logarithm {
    Natural,
    /// 10 log10
    Decibel,
}

impl Recipe {
    /// How many weights the mel filters have together: the length of their table.
    pub const fn weights(&self) -> usize {
        match self.check() {
            Ok(()) => filters(self, &mut [], &mut []),
            Err(_) => 0,
        }
    }

    /// Everything that can be wrong with a recipe alone.
    pub const fn check(&self) -> Result<(), Error> {
        if self.rate == 0 {
            return Err(Error::Rate);
        }
        if !(self.preemphasis >= -1.0 && self.preemphasis <= 1.0) {
            return Err(Error::Preemphasis { value: self.preemphasis });
        }
        if !self.fft.is_power_of_two() || self.fft > 65_536 {
            return Err(Error::FftSize { size: self.fft });
        }
        if self.window < 2 || self.window > self.fft {
            return Err(Error::Window { window: self.window, fft: self.fft });
        }
        if self.hop == 0 {
            return Err(Error::Hop);
        }
        if !(self.low >= 0.0 && self.low < self.high && self.high <= self.rate as f32 / 2.0) {
            return Err(Error::Band { low: self.low, high: self.high });
        }
        if self.mels == 0 {
            return Err(Error::NoMels);
        }
        let floors = self.power_floor >= 0.0 && self.mel_floor >= f32::MIN_POSITIVE;
        let finite = self.power_floor.is_finite()
            && self.mel_floor.is_finite()
            && self.offset.is_finite()
            && self.scale.is_finite();
        if !(floors && finite && self.clip.0 <= self.clip.1) {
            return Err(Error::Scaling);
        }
        Ok(())
    }

    /// How many samples `frames` frames need.
    pub const fn samples(&self, frames: usize) -> usize {
        match frames {
            0 => 0,
            _ => (frames - 1).saturating_mul(self.hop).saturating_add(self.window),
        }
    }
}
