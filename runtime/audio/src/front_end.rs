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
        self.take(now);
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

    fn take<S: Sample>(&mut self, mut samples: &[S]) {
        while !samples.is_empty() {
            // Up to the ring's end, then from its start on.
            let room = self.recipe.window.saturating_sub(self.next).max(1);
            let (now, later) = samples.split_at_checked(samples.len().min(room)).unwrap_or_default();
            let slots = self.history.get_mut(self.next..).unwrap_or_default();
            for (slot, sample) in slots.iter_mut().zip(now) {
                let sample = sample.fraction();
                *slot = sample - self.recipe.preemphasis * self.previous;
                self.previous = sample;
            }
            self.next += now.len();
            if self.next >= self.recipe.window {
                self.next = 0;
            }
            samples = later;
        }
    }

    fn frame(&mut self, frame: &mut [f32; MELS]) {
        // The oldest sample stands where the next one will go.
        let ring = self.history.get(..self.recipe.window).unwrap_or_default();
        let (new, old) = ring.split_at_checked(self.next).unwrap_or_default();
        let (first, second) = self.tables.window.split_at_checked(old.len()).unwrap_or_default();
        let (slots, rest) = self.work.split_at_mut_checked(old.len()).unwrap_or_default();
        weigh(slots, old, first);
        let (slots, zeros) = rest.split_at_mut_checked(new.len()).unwrap_or_default();
        weigh(slots, new, second);
        zeros.fill(0.0);
        let spectrum = self.work.transform();

        // Powers go to the real parts. The bin at half the sample rate came packed into the first one.
        let (length, floor) = (self.recipe.window as f32, self.recipe.power_floor);
        let mut last = 0.0;
        if let Some(first) = spectrum.first_mut() {
            last = at_least(first.im * first.im / length, floor);
            first.im = 0.0;
        }
        for bin in spectrum.iter_mut() {
            bin.re = at_least((bin.re * bin.re + bin.im * bin.im) / length, floor);
        }

        let mut weights = self.tables.weights;
        for (feature, filter) in frame.iter_mut().zip(self.tables.filters) {
            let (own, others) = weights.split_at_checked(filter.count as usize).unwrap_or_default();
            weights = others;
            let bins = spectrum.get(filter.first as usize..).unwrap_or_default();
            let mut energy: f32 = bins.iter().zip(own).map(|(bin, weight)| bin.re * weight).sum();
            if let Some(weight) = own.get(bins.len()) {
                energy += last * weight;
            }
            let energy = at_least(energy, self.recipe.mel_floor);
            let log = match self.recipe.logarithm {
                Logarithm::Natural => libm::logf(energy),
                Logarithm::Decibel => 10.0 * libm::log10f(energy),
            };
            let value = (log + self.recipe.offset) * self.recipe.scale;
            let value = at_least(value, self.recipe.clip.0);
            *feature = if value < self.recipe.clip.1 { value } else { self.recipe.clip.1 };
        }
    }
}

/// Samples times window function.
fn weigh(slots: &mut [f32], samples: &[f32], factors: &[f32]) {
    for (slot, (sample, factor)) in slots.iter_mut().zip(samples.iter().zip(factors)) {
        *slot = sample * factor;
    }
}

/// `x`, or the floor if that is higher or `x` is no number: `f32::max` is a call where the core has no instruction.
fn at_least(x: f32, floor: f32) -> f32 {
    if x > floor { x } else { floor }
}
