//! Window function and mel filters: made once from a recipe, or taken from elsewhere and checked.

use crate::math::{cos_turns, ln};
use crate::{Error, Recipe, Window};

/// One mel filter: `count` neighbouring bins of the spectrum from `first` on. Its weights follow those of the filter
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Filter {
    pub first: u16,
    pub count: u16,
}

/// The tables of a front end, wherever they are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tables<'t> {
    /// One factor for each sample of a frame.
    pub window: &'t [f32],
    pub filters: &'t [Filter],
    /// The weights of all filters, one filter behind the other.
    pub weights: &'t [f32],
}

/// Tables made from a recipe: `static TABLES: Built<..> = ..` puts them into flash, a local one computes them.
///
/// `WEIGHTS` is [`Recipe::weights`].
#[derive(Clone, Debug, PartialEq)]
pub struct Built<const WINDOW: usize, const MELS: usize, const WEIGHTS: usize> {
    window: [f32; WINDOW],
    filters: [Filter; MELS],
    weights: [f32; WEIGHTS],
}

impl<const WINDOW: usize, const MELS: usize, const WEIGHTS: usize> Built<WINDOW, MELS, WEIGHTS> {
    /// # Errors
    /// Whatever [`Recipe::check`] finds, an empty filter, or array lengths that are not the recipe's.
    pub const fn new(recipe: &Recipe) -> Result<Self, Error> {
        if let Err(error) = recipe.check() {
            return Err(error);
        }
        if recipe.window != WINDOW {
            return Err(Error::WindowTable { needed: recipe.window, given: WINDOW });
        }
        if recipe.mels != MELS {
            return Err(Error::Mels { recipe: recipe.mels, compiled: MELS });
        }
        let mut built = Self {
            window: [0.0; WINDOW],
            filters: [Filter { first: 0, count: 0 }; MELS],
            weights: [0.0; WEIGHTS],
        };
        let needed = filters(recipe, &mut built.filters, &mut built.weights);
        if needed != WEIGHTS {
            return Err(Error::Weights { needed, given: WEIGHTS });
        }
        let mut i = 0;
        while i < WINDOW {
            built.window[i] = window(recipe, i);
            i += 1;
        }
        match built.tables().check(recipe) {
            Ok(()) => Ok(built),
            Err(error) => Err(error),
        }
    }

    pub const fn tables(&self) -> Tables<'_> {
        Tables { window: &self.window, filters: &self.filters, weights: &self.weights }
    }
}

impl Tables<'_> {
    /// Everything that the front end relies on.
    pub(crate) const fn check(&self, recipe: &Recipe) -> Result<(), Error> {
        if self.window.len() != recipe.window {
            return Err(Error::WindowTable { needed: recipe.window, given: self.window.len() });
        }
        if self.filters.len() != recipe.mels {
            return Err(Error::Mels { recipe: recipe.mels, compiled: self.filters.len() });
        }
        let (mut i, mut weights) = (0, 0);
        while i < self.filters.len() {
            let Filter { first, count } = self.filters[i];
            if count == 0 || first as usize + count as usize > recipe.fft / 2 + 1 {
                return Err(Error::Filter { index: i });
            }
            weights += count as usize;
            i += 1;
        }
        if weights != self.weights.len() {
            return Err(Error::Weights { needed: weights, given: self.weights.len() });
        }
        if !(all_finite(self.window) && all_finite(self.weights)) {
            return Err(Error::NotFinite);
        }
        Ok(())
    }
}

/// Fills in the filters and their weights as far as there is room for them; returns how many weights there are.
pub(crate) const fn filters(recipe: &Recipe, filters: &mut [Filter], weights: &mut [f32]) -> usize {
    let (low, high) = (mel(recipe.low as f64), mel(recipe.high as f64));
    let width = (high - low) / (recipe.mels as f64 + 1.0);
    let hertz_per_bin = recipe.rate as f64 / recipe.fft as f64;
    // Filters and bins both ascend, so a filter starts no earlier than the one before it.
    let (mut m, mut start, mut total) = (0, 1, 0);
    while m < recipe.mels {
        let left = low + width * m as f64;
        while start <= recipe.fft / 2 && mel(start as f64 * hertz_per_bin) <= left {
            start += 1;
        }
        let (mut bin, first_total) = (start, total);
        while bin <= recipe.fft / 2 {
            let distance = (mel(bin as f64 * hertz_per_bin) - left) / width;
            if distance >= 2.0 {
                break;
            }
            if total < weights.len() {
                weights[total] = if distance < 1.0 { distance } else { 2.0 - distance } as f32;
            }
            total += 1;
            bin += 1;
        }
        if m < filters.len() {
            filters[m] = Filter { first: start as u16, count: (total - first_total) as u16 };
        }
        m += 1;
    }
    total
}

const fn mel(hertz: f64) -> f64 {
    1127.0 * ln(1.0 + hertz / 700.0)
}

const fn window(recipe: &Recipe, i: usize) -> f32 {
    let length = if recipe.periodic { recipe.window } else { recipe.window - 1 };
    let cosine = cos_turns(i as f64 / length as f64);
    match recipe.shape {
        Window::Hamming => (0.54 - 0.46 * cosine) as f32,
        Window::Hann => (0.5 - 0.5 * cosine) as f32,
        Window::Rectangular => 1.0,
    }
}

const fn all_finite(values: &[f32]) -> bool {
    let mut i = 0;
    while i < values.len() {
        if !values[i].is_finite() {
            return false;
        }
        i += 1;
    }
    true
}
