//! Samples in, frames out.

use crate::{Error, Logarithm, RealFft, Recipe, Tables};

/// A front end with its memory: `FFT` samples of history and `FFT` of working memory, 8 bytes together for each.
///
/// `FFT` is the recipe's FFT size, `MELS` its number of filters.
#[derive(Clone, Debug)]
pub struct FrontEnd<'t, const FFT: usize, const MELS: usize> {
    recipe: Recipe,
    tables: Tables<'t>,
    /// The last `recipe.window` samples behind the pre-emphasis, as a ring; `next` is where the next one goes.
    history: [f32; FFT],
    next: usize,
    /// Samples until the next frame is complete; at least 1.
    missing: usize,
    /// The last sample before pre-emphasis.
    previous: f32,
    work: [f32; FFT],
}

/// A type of sample.
pub trait Sample: Copy + sealed::Sealed {
    /// As a fraction of full scale.
    fn fraction(self) -> f32;
}

impl Sample for i16 {
    fn fraction(self) -> f32 {
        f32::from(self) / 32768.0
    }
}

impl Sample for f32 {
    fn fraction(self) -> f32 {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for f32 {}
}

impl<'t, const FFT: usize, const MELS: usize> FrontEnd<'t, FFT, MELS>
where
    [f32; FFT]: RealFft,
{
    /// A front end at the start of a stream.
    ///
    /// # Errors
    /// A recipe or tables that contradict themselves, each other, or `FFT` and `MELS`. Nothing can fail later.
    pub const fn new(recipe: &Recipe, tables: Tables<'t>) -> Result<Self, Error> {
        if let Err(error) = recipe.check() {
            return Err(error);
        }
        if recipe.fft != FFT {
            return Err(Error::Fft { recipe: recipe.fft, compiled: FFT });
        }
        if recipe.mels != MELS {
            return Err(Error::Mels { recipe: recipe.mels, compiled: MELS });
        }
        if let Err(error) = tables.check(recipe) {
            return Err(error);
        }
        Ok(Self {
            recipe: *recipe,
            tables,
            history: [0.0; FFT],
            next: 0,
            missing: recipe.window,
            previous: 0.0,
            work: [0.0; FFT],
        })
    }

    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Takes samples until a frame is complete, writes it and returns the samples that are left; `None` once all
    /// samples are taken and no frame is complete.
    pub fn push<'s, S: Sample>(&mut self, samples: &'s [S], frame: &mut [f32; MELS]) -> Option<&'s [S]> {
        let taken = samples.len().min(self.missing);
        let (now, rest) = samples.split_at_checked(taken)?;
        for sample in now {
            self.take(sample.fraction());
        }
        self.missing -= taken;
        if self.missing > 0 {
            return None;
        }
        self.missing = self.recipe.hop;
        self.frame(frame);
        Some(rest)
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        self.next = 0;
        self.missing = self.recipe.window;
        self.previous = 0.0;
    }

    fn take(&mut self, sample: f32) {
        if let Some(slot) = self.history.get_mut(self.next) {
            *slot = sample - self.recipe.preemphasis * self.previous;
        }
        self.previous = sample;
        self.next = if self.next + 1 < self.recipe.window { self.next + 1 } else { 0 };
    }

    fn frame(&mut self, frame: &mut [f32; MELS]) {
        // The oldest sample stands where the next one will go.
        let ring = self.history.get(..self.recipe.window).unwrap_or_default();
        let (new, old) = ring.split_at_checked(self.next).unwrap_or_default();
        let ordered = old.iter().chain(new).zip(self.tables.window);
        self.work.fill(0.0);
        for (slot, (sample, factor)) in self.work.iter_mut().zip(ordered) {
            *slot = sample * factor;
        }
        let spectrum = self.work.transform();

        // Powers go to the real parts. The bin at half the sample rate came packed into the first one.
        let (length, floor) = (self.recipe.window as f32, self.recipe.power_floor);
        let mut last = 0.0;
        if let Some(first) = spectrum.first_mut() {
            last = (first.im * first.im / length).max(floor);
            first.im = 0.0;
        }
        for bin in spectrum.iter_mut() {
            bin.re = ((bin.re * bin.re + bin.im * bin.im) / length).max(floor);
        }

        let mut weights = self.tables.weights.iter();
        for (feature, filter) in frame.iter_mut().zip(self.tables.filters) {
            // `by_ref` leaves the weights of the other filters, and here the one of the last bin.
            let mut own = weights.by_ref().take(filter.count as usize);
            let bins = spectrum.get(filter.first as usize..).unwrap_or_default();
            let mut energy: f32 = bins.iter().zip(own.by_ref()).map(|(bin, weight)| bin.re * weight).sum();
            if let Some(weight) = own.next() {
                energy += last * weight;
            }
            let energy = energy.max(self.recipe.mel_floor);
            let log = match self.recipe.logarithm {
                Logarithm::Natural => libm::logf(energy),
                Logarithm::Decibel => 10.0 * libm::log10f(energy),
            };
            let value = (log + self.recipe.offset) * self.recipe.scale;
            *feature = value.max(self.recipe.clip.0).min(self.recipe.clip.1);
        }
    }
}
