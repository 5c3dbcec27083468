//! Convolution and dense layers: `y[o] = b[o] + sum over taps t, channels c of w[t][c][o] * x[t][c]`.
//!
//! Pictures are rows of columns of channels; weights are `[height][width][channels in][channels out]`, so that what one
//! row of a window reads of both is contiguous, at the borders, too. Eight output channels are made at once for four
//! positions, in fixed order: sums are the same on every machine.

use super::window::Axis;

/// Output channels in registers.
const LANES: usize = 8;
/// Positions that share a weight that was read.
const POSITIONS: usize = 4;

/// A convolution over pictures; a dense layer is one of height and width 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    pub rows: Axis,
    pub columns: Axis,
    pub channels: usize,
    pub outputs: usize,
}

/// Positions of an output row that see the same part of a row of their windows.
struct Run {
    /// First position.
    column: usize,
    positions: usize,
    /// First column of the first window's part in the picture, in elements of its row.
    start: usize,
    /// First weight.
    tap: usize,
    /// Elements of each part.
    len: usize,
}

impl Conv {
    pub const fn dense(inputs: usize, outputs: usize) -> Self {
        let one = Axis { input: 1, window: 1, stride: 1, before: 0, after: 0 };
        Self { rows: one, columns: one, channels: inputs, outputs }
    }

    pub const fn weights(&self) -> Option<usize> {
        let Some(taps) = self.rows.window.checked_mul(self.columns.window) else { return None };
        let Some(inputs) = taps.checked_mul(self.channels) else { return None };
        inputs.checked_mul(self.outputs)
    }

    /// Numbers that [`Conv::input_gradient`] works with: eight rows of weights, transposed.
    pub const fn scratch(&self) -> usize {
        self.columns.window * self.channels * LANES
    }

    /// Writes all outputs.
    pub fn forward(&self, x: &[f32], weights: &[f32], bias: &[f32], y: &mut [f32]) -> Option<()> {
        for position in y.chunks_exact_mut(self.outputs.max(1)) {
            position.copy_from_slice(bias.get(..position.len())?);
        }
        let (wide, row_len) = (self.columns.output()?, self.columns.input * self.channels);
        for (row, outputs) in y.chunks_exact_mut((wide * self.outputs).max(1)).enumerate() {
            let part = self.rows.part(row);
            for line in 0..part.count {
                let input = x.get((part.start + line) * row_len..)?.get(..row_len)?;
                let weights = weights.get((part.tap + line) * self.line()..)?.get(..self.line())?;
                self.runs(|run| {
                    let weights = weights.get(run.tap * self.outputs..)?.get(..run.len * self.outputs)?;
                    let input = input.get(run.start..)?;
                    let outputs = outputs.get_mut(run.column * self.outputs..)?;
                    let step = self.columns.stride * self.channels;
                    let mut first = 0;
                    for group in outputs
                        .get_mut(..run.positions * self.outputs)?
                        .chunks_mut((POSITIONS * self.outputs).max(1))
                    {
                        let input = input.get(first * step..)?;
                        if group.len() == POSITIONS * self.outputs {
                            self.forward_group::<POSITIONS>(input, step, run.len, weights, group)?;
                            first += POSITIONS;
                        } else {
                            for (i, position) in group.chunks_exact_mut(self.outputs.max(1)).enumerate() {
                                self.forward_group::<1>(
                                    input.get(i * step..)?,
                                    step,
                                    run.len,
                                    weights,
                                    position,
                                )?;
                                first += 1;
                            }
                        }
                    }
                    Some(())
                })?;
            }
        }
        Some(())
    }

    /// Adds what a row of their windows gives to `P` positions.
    #[inline]
    fn forward_group<const P: usize>(
        &self,
        input: &[f32],
        step: usize,
        len: usize,
        weights: &[f32],
        y: &mut [f32],
    ) -> Option<()> {
        let mut inputs = [&[] as &[f32]; P];
        for (i, part) in inputs.iter_mut().enumerate() {
            *part = input.get(i * step..)?.get(..len)?;
        }
        let mut first = 0;
        while first + LANES <= self.outputs {
            self.forward_block::<P, LANES>(&inputs, weights, first, y)?;
            first += LANES;
        }
        while first < self.outputs {
            self.forward_block::<P, 1>(&inputs, weights, first, y)?;
            first += 1;
        }
        Some(())
    }

    #[inline(always)]
    fn forward_block<const P: usize, const L: usize>(
        &self,
        inputs: &[&[f32]; P],
        weights: &[f32],
        first: usize,
        y: &mut [f32],
    ) -> Option<()> {
        let mut sums = [[0f32; L]; P];
        for (sums, y) in sums.iter_mut().zip(y.chunks_exact(self.outputs.max(1))) {
            sums.copy_from_slice(y.get(first..first + L)?);
        }
        for (i, weights) in weights.chunks_exact(self.outputs.max(1)).enumerate() {
            let weights: &[f32; L] = weights.get(first..first + L)?.try_into().ok()?;
            for (sums, input) in sums.iter_mut().zip(inputs) {
                let x = *input.get(i)?;
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += x * weight;
                }
            }
        }
        for (sums, y) in sums.iter().zip(y.chunks_exact_mut(self.outputs.max(1))) {
            y.get_mut(first..first + L)?.copy_from_slice(sums);
        }
        Some(())
    }

    /// Adds to the weights' gradients: `dw[t][c][o] += sum over positions of x[t][c] * dy[o]`.
    pub fn weight_gradient(&self, x: &[f32], dy: &[f32], gradient: &mut [f32]) -> Option<()> {
        let (wide, row_len) = (self.columns.output()?, self.columns.input * self.channels);
        let step = self.columns.stride * self.channels;
        for (row, dy) in dy.chunks_exact((wide * self.outputs).max(1)).enumerate() {
            let part = self.rows.part(row);
            for line in 0..part.count {
                let input = x.get((part.start + line) * row_len..)?.get(..row_len)?;
                let gradient = gradient.get_mut((part.tap + line) * self.line()..)?.get_mut(..self.line())?;
                self.runs(|run| {
                    let gradient =
                        gradient.get_mut(run.tap * self.outputs..)?.get_mut(..run.len * self.outputs)?;
                    let dy = dy.get(run.column * self.outputs..)?.get(..run.positions * self.outputs)?;
                    let mut groups = dy.chunks_exact((POSITIONS * self.outputs).max(1));
                    let mut first = run.start;
                    for dy in &mut groups {
                        self.weight_group::<POSITIONS>(input.get(first..)?, step, dy, gradient)?;
                        first += POSITIONS * step;
                    }
                    for dy in groups.remainder().chunks_exact(self.outputs.max(1)) {
                        self.weight_group::<1>(input.get(first..)?, step, dy, gradient)?;
                        first += step;
                    }
                    Some(())
                })?;
            }
        }
        Some(())
    }

    #[inline]
    fn weight_group<const P: usize>(
        &self,
        input: &[f32],
        step: usize,
        dy: &[f32],
        gradient: &mut [f32],
    ) -> Option<()> {
        let len = gradient.len() / self.outputs.max(1);
        let mut inputs = [&[] as &[f32]; P];
        for (i, part) in inputs.iter_mut().enumerate() {
            *part = input.get(i * step..)?.get(..len)?;
        }
        let mut first = 0;
        while first + LANES <= self.outputs {
            self.weight_block::<P, LANES>(&inputs, dy, first, gradient)?;
            first += LANES;
        }
        while first < self.outputs {
            self.weight_block::<P, 1>(&inputs, dy, first, gradient)?;
            first += 1;
        }
        Some(())
    }

    #[inline(always)]
    fn weight_block<const P: usize, const L: usize>(
        &self,
        inputs: &[&[f32]; P],
        dy: &[f32],
        first: usize,
        gradient: &mut [f32],
    ) -> Option<()> {
        let mut slopes = [[0f32; L]; P];
        for (slopes, dy) in slopes.iter_mut().zip(dy.chunks_exact(self.outputs.max(1))) {
            slopes.copy_from_slice(dy.get(first..first + L)?);
        }
        for (i, gradient) in gradient.chunks_exact_mut(self.outputs.max(1)).enumerate() {
            let gradient: &mut [f32; L] = gradient.get_mut(first..first + L)?.try_into().ok()?;
            let mut sums = *gradient;
            for (slopes, input) in slopes.iter().zip(inputs) {
                let x = *input.get(i)?;
                for (sum, slope) in sums.iter_mut().zip(slopes) {
                    *sum += x * slope;
                }
            }
            *gradient = sums;
        }
        Some(())
    }

    /// Writes the inputs' gradients: `dx[t][c] = sum over positions, o of w[t][c][o] * dy[o]`. `scratch` holds
    /// [`Conv::scratch`] numbers.
    pub fn input_gradient(
        &self,
        dy: &[f32],
        weights: &[f32],
        scratch: &mut [f32],
        dx: &mut [f32],
    ) -> Option<()> {
        dx.fill(0.0);
        let (wide, row_len) = (self.columns.output()?, self.columns.input * self.channels);
        let step = self.columns.stride * self.channels;
        let line_len = self.columns.window * self.channels;
        for (line, weights) in weights.chunks_exact(self.line().max(1)).enumerate() {
            let mut first = 0;
            while first < self.outputs {
                let lanes = LANES.min(self.outputs - first);
                let turned = scratch.get_mut(..lanes * line_len)?;
                for (lane, turned) in turned.chunks_exact_mut(line_len.max(1)).enumerate() {
                    for (to, weights) in turned.iter_mut().zip(weights.chunks_exact(self.outputs.max(1))) {
                        *to = *weights.get(first + lane)?;
                    }
                }
                for (row, dy) in dy.chunks_exact((wide * self.outputs).max(1)).enumerate() {
                    let part = self.rows.part(row);
                    let Some(at) = line.checked_sub(part.tap).filter(|at| *at < part.count) else { continue };
                    let dx = dx.get_mut((part.start + at) * row_len..)?.get_mut(..row_len)?;
                    self.runs(|run| {
                        for position in 0..run.positions {
                            let dy =
                                dy.get((run.column + position) * self.outputs + first..)?.get(..lanes)?;
                            let dx = dx.get_mut(run.start + position * step..)?.get_mut(..run.len)?;
                            back(turned, line_len, run.tap, dy, dx)?;
                        }
                        Some(())
                    })?;
                }
                first += lanes;
            }
        }
        Some(())
    }

    /// Weights of one row of the window.
    fn line(&self) -> usize {
        self.columns.window * self.channels * self.outputs
    }

    /// Tells the positions of an output row, grouped by the part of their windows that exists.
    fn runs(&self, mut each: impl FnMut(Run) -> Option<()>) -> Option<()> {
        let wide = self.columns.output()?;
        let mut column = 0;
        while column < wide {
            let part = self.columns.part(column);
            let mut positions = 1;
            while column + positions < wide && {
                let next = self.columns.part(column + positions);
                (next.tap, next.count) == (part.tap, part.count)
            } {
                positions += 1;
            }
            if part.count > 0 {
                each(Run {
                    column,
                    positions,
                    start: part.start * self.channels,
                    tap: part.tap * self.channels,
                    len: part.count * self.channels,
                })?;
            }
            column += positions;
        }
        Some(())
    }
}

/// `dx[i] += sum over o of dy[o] * turned[o][tap + i]`.
#[inline(always)]
fn back(turned: &[f32], line_len: usize, tap: usize, dy: &[f32], dx: &mut [f32]) -> Option<()> {
    if let Ok(dy) = <&[f32; LANES]>::try_from(dy) {
        let mut rows = [&[] as &[f32]; LANES];
        for (row, turned) in rows.iter_mut().zip(turned.chunks_exact(line_len.max(1))) {
            *row = turned.get(tap..)?.get(..dx.len())?;
        }
        let [a, b, c, d, e, f, g, h] = rows;
        let first = a.iter().zip(b).zip(c.iter().zip(d));
        let second = e.iter().zip(f).zip(g.iter().zip(h));
        for (dx, (((a, b), (c, d)), ((e, f), (g, h)))) in dx.iter_mut().zip(first.zip(second)) {
            let [y0, y1, y2, y3, y4, y5, y6, y7] = dy;
            *dx += ((a * y0 + b * y1) + (c * y2 + d * y3)) + ((e * y4 + f * y5) + (g * y6 + h * y7));
        }
    } else {
        for (dy, row) in dy.iter().zip(turned.chunks_exact(line_len.max(1))) {
            for (dx, weight) in dx.iter_mut().zip(row.get(tap..)?) {
                *dx += weight * dy;
            }
        }
    }
    Some(())
}
