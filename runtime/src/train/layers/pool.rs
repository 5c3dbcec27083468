//! Pools over windows: the largest element (the first of equal ones) or the mean of those that exist.

use super::window::{Axis, Part};

/// A window over each channel of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub rows: Axis,
    pub columns: Axis,
    pub channels: usize,
}

impl Pool {
    /// Writes the largest element of each window.
    pub fn largest(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let mut y = y.chunks_exact_mut(self.channels.max(1));
        self.windows(|lines, part| {
            let y = y.next()?;
            y.fill(f32::NEG_INFINITY);
            self.taps(lines, part, |at, _| {
                let x = x.get(at * self.channels..)?.get(..self.channels)?;
                for (y, x) in y.iter_mut().zip(x) {
                    // A NaN comes through and stays.
                    *y = if *x <= *y || y.is_nan() { *y } else { *x };
                }
                Some(())
            })
        })
    }

    /// Writes the place in its window of each largest element.
    pub fn places(&self, x: &[f32], y: &[f32], places: &mut [u8]) -> Option<()> {
        places.fill(u8::MAX);
        let (mut y, mut places) =
            (y.chunks_exact(self.channels.max(1)), places.chunks_exact_mut(self.channels.max(1)));
        self.windows(|lines, part| {
            let (y, places) = (y.next()?, places.next()?);
            self.taps(lines, part, |at, tap| {
                let x = x.get(at * self.channels..)?.get(..self.channels)?;
                for (place, (y, x)) in places.iter_mut().zip(y.iter().zip(x)) {
                    if x == y && tap < usize::from(*place) {
                        *place = tap as u8;
                    }
                }
                Some(())
            })
        })
    }

    /// Writes the inputs' gradients of [`Pool::largest`]: each output's goes to the element that was the largest.
    pub fn largest_gradient(&self, dy: &[f32], places: &[u8], dx: &mut [f32]) -> Option<()> {
        dx.fill(0.0);
        let (mut dy, mut places) =
            (dy.chunks_exact(self.channels.max(1)), places.chunks_exact(self.channels.max(1)));
        self.windows(|lines, part| {
            let (dy, places) = (dy.next()?, places.next()?);
            self.taps(lines, part, |at, tap| {
                let dx = dx.get_mut(at * self.channels..)?.get_mut(..self.channels)?;
                for ((dx, dy), place) in dx.iter_mut().zip(dy).zip(places) {
                    if usize::from(*place) == tap {
                        *dx += dy;
                    }
                }
                Some(())
            })
        })
    }

    /// Writes the mean of the elements that exist in each window.
    pub fn mean(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let mut y = y.chunks_exact_mut(self.channels.max(1));
        self.windows(|lines, part| {
            let y = y.next()?;
            y.fill(0.0);
            self.taps(lines, part, |at, _| {
                let x = x.get(at * self.channels..)?.get(..self.channels)?;
                for (y, x) in y.iter_mut().zip(x) {
                    *y += x;
                }
                Some(())
            })?;
            let share = 1.0 / (lines.count * part.count).max(1) as f32;
            for y in y {
                *y *= share;
            }
            Some(())
        })
    }

    /// Writes the inputs' gradients of [`Pool::mean`].
    pub fn mean_gradient(&self, dy: &[f32], dx: &mut [f32]) -> Option<()> {
        dx.fill(0.0);
        let mut dy = dy.chunks_exact(self.channels.max(1));
        self.windows(|lines, part| {
            let dy = dy.next()?;
            let share = 1.0 / (lines.count * part.count).max(1) as f32;
            self.taps(lines, part, |at, _| {
                let dx = dx.get_mut(at * self.channels..)?.get_mut(..self.channels)?;
                for (dx, dy) in dx.iter_mut().zip(dy) {
                    *dx += dy * share;
                }
                Some(())
            })
        })
    }

    fn windows(&self, mut each: impl FnMut(Part, Part) -> Option<()>) -> Option<()> {
        for row in 0..self.rows.output()? {
            for column in 0..self.columns.output()? {
                each(self.rows.part(row), self.columns.part(column))?;
            }
        }
        Some(())
    }

    /// Tells (place in the input, place in the window).
    fn taps(&self, lines: Part, part: Part, mut each: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        for line in 0..lines.count {
            for i in 0..part.count {
                let at = (lines.start + line) * self.columns.input + part.start + i;
                each(at, (lines.tap + line) * self.columns.window + part.tap + i)?;
            }
        }
        Some(())
    }
}
