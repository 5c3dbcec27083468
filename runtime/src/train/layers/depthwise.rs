//! Depthwise convolution: `y[c] = b[c] + sum over taps t of w[t][c] * x[t][c]`. Weights are `[height][width][channels]`.

use super::window::Axis;

/// A filter for each channel of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depthwise {
    pub rows: Axis,
    pub columns: Axis,
    pub channels: usize,
}

impl Depthwise {
    pub const fn weights(&self) -> Option<usize> {
        let Some(taps) = self.rows.window.checked_mul(self.columns.window) else { return None };
        taps.checked_mul(self.channels)
    }

    /// Writes all outputs.
    pub fn forward(&self, x: &[f32], weights: &[f32], bias: &[f32], y: &mut [f32]) -> Option<()> {
        for position in y.chunks_exact_mut(self.channels.max(1)) {
            position.copy_from_slice(bias.get(..position.len())?);
        }
        self.taps(|at, tap, position| {
            let (x, weights) = (self.pixel(x, at)?, self.pixel(weights, tap)?);
            let y = y.get_mut(position * self.channels..)?.get_mut(..self.channels)?;
            add_products(y, x, weights);
            Some(())
        })
    }

    /// Adds to the weights' gradients.
    pub fn weight_gradient(&self, x: &[f32], dy: &[f32], gradient: &mut [f32]) -> Option<()> {
        self.taps(|at, tap, position| {
            let (x, dy) = (self.pixel(x, at)?, self.pixel(dy, position)?);
            add_products(gradient.get_mut(tap * self.channels..)?.get_mut(..self.channels)?, x, dy);
            Some(())
        })
    }

    /// Writes the inputs' gradients.
    pub fn input_gradient(&self, dy: &[f32], weights: &[f32], dx: &mut [f32]) -> Option<()> {
        dx.fill(0.0);
        self.taps(|at, tap, position| {
            let (weights, dy) = (self.pixel(weights, tap)?, self.pixel(dy, position)?);
            add_products(dx.get_mut(at * self.channels..)?.get_mut(..self.channels)?, weights, dy);
            Some(())
        })
    }

    /// Tells all (place in the input, place in the window, position), in order of positions.
    fn taps(&self, mut each: impl FnMut(usize, usize, usize) -> Option<()>) -> Option<()> {
        let (high, wide) = (self.rows.output()?, self.columns.output()?);
        for row in 0..high {
            let lines = self.rows.part(row);
            for column in 0..wide {
                let part = self.columns.part(column);
                for line in 0..lines.count {
                    for i in 0..part.count {
                        each(
                            (lines.start + line) * self.columns.input + part.start + i,
                            (lines.tap + line) * self.columns.window + part.tap + i,
                            row * wide + column,
                        )?;
                    }
                }
            }
        }
        Some(())
    }

    fn pixel<'p>(&self, picture: &'p [f32], at: usize) -> Option<&'p [f32]> {
        picture.get(at * self.channels..)?.get(..self.channels)
    }
}

fn add_products(sums: &mut [f32], a: &[f32], b: &[f32]) {
    for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
        *sum += a * b;
    }
}
