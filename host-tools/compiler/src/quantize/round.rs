//! Rounding of weights by what it does to the layer's output.
//!
//! A layer that reads `x` with weights `w + e` errs by `e^T H e` in the mean square, with `H` the covariance of the
//! values that one output's weights meet (the mean is the bias's matter). To the nearest code, each weight errs least on its
//! own; here each is rounded so that it makes up for what those before it did. With `H = R^T R` the error is
//! `|R e|^2`, a sum in which weight `i` and those behind it make term `i`: from the last weight to the first, each code is
//! the best for its own term. This is the column-wise procedure of GPTQ (Frantar, Ashkboos, Hoefler, Alistarh: GPTQ,
//! 2022, sections 3.2 and 3.3, with its step 3's order by importance) without an inverse. Then single codes move as
//! long as that lowers the error, the search for the rounding that AdaRound does by gradients
//! (Nagel, Amjad, van Baalen, Louizos, Blankevoort: Up or Down?, 2020, section 3).

use super::weights::Weights;
use super::windows::Moments;

/// Windows that are short enough for a search over scales.
const SHORT: usize = 32;
/// Passes over the weights in which single codes move.
const PASSES: usize = 4;

fn env(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}

/// Rounds `reals`, whose first axis are the output channels, anew. `moments` holds one entry per group,
/// measured at `positions` positions.
pub(super) fn round(weights: &mut Weights, reals: &[f32], moments: &[Moments], positions: usize) {
    let rows = weights.scales.len() / moments.len().max(1);
    let n = reals.len() / weights.scales.len().max(1);
    for (group, moments) in moments.iter().enumerate() {
        let Some(metric) = Metric::new(moments, n, positions) else { continue };
        for row in group * rows..(group + 1) * rows {
            let own = row * n..(row + 1) * n;
            let goal = metric.goal(&reals[own.clone()], moments);
            let scale = f64::from(weights.scales[row]);
            let mut best: Option<(f64, f64, Vec<f64>)> = None;
            let steps = if n <= SHORT { env("MOTE_SCALES", 32.0) as usize } else { 0 };
            for step in 0..=steps {
                let scale = f64::from(
                    (scale * (1.0 + env("MOTE_SPAN", 0.3) * step as f64 / steps.max(1) as f64)) as f32,
                );
                let (codes, error) = metric.codes(&goal, scale);
                if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                    best = Some((error, scale, codes));
                }
            }
            if let Some((_, scale, codes)) = best {
                weights.scales[row] = scale as f32;
                weights.codes[own].iter_mut().zip(codes).for_each(|(code, found)| *code = found as i8);
            }
        }
    }
}

/// How much errors of a window's weights matter, with the weights in another order: the important ones last.
struct Metric {
    n: usize,
    order: Vec<usize>,
    /// `[n, n]`, and its upper triangular factor.
    h: Vec<f64>,
    factor: Vec<f64>,
    /// What was added to the diagonal.
    damping: f64,
}

impl Metric {
    /// `None` if the inputs never change.
    fn new(moments: &Moments, n: usize, positions: usize) -> Option<Self> {
        let own = |i: usize, j: usize| moments.own[i * n + j];
        let mean = (0..n).map(|i| own(i, i)).sum::<f64>() / n as f64;
        if !(mean > 0.0 && mean.is_finite()) {
            return None;
        }
        // Few positions say little about directions that they do not show.
        let damping = mean * (env("MOTE_L0", 0.003) + env("MOTE_K", 0.05) * n as f64 / positions as f64);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| own(a, a).total_cmp(&own(b, b)));
        let mut h = Vec::with_capacity(n * n);
        for &i in &order {
            h.extend(order.iter().map(|&j| own(i, j) + if i == j { damping } else { 0.0 }));
        }
        let factor = cholesky(&h, n)?;
        Some(Self { n, order, h, factor, damping })
    }

    /// What one output's weights should be before rounding, in this order: those that bring the quantized input
    /// nearest to the float layer's output.
    fn goal(&self, reals: &[f32], moments: &Moments) -> Vec<f64> {
        let n = self.n;
        let plain: Vec<f64> = self.order.iter().map(|&i| reals[i].into()).collect();
        if env("MOTE_ASYM", 0.0) == 0.0 {
            return plain;
        }
        let wide: Vec<f64> = reals.iter().map(|&x| x.into()).collect();
        let mut x: Vec<f64> = self
            .order
            .iter()
            .map(|&i| dot(&moments.cross[i * n..(i + 1) * n], &wide) + self.damping * wide[i])
            .collect();
        // R^T y = x, then R w = y.
        for i in 0..n {
            x[i] /= self.factor[i * n + i];
            let (solved, rest) = x.split_at_mut(i + 1);
            let row = &self.factor[i * n + i + 1..(i + 1) * n];
            rest.iter_mut().zip(row).for_each(|(x, r)| *x -= r * solved[i]);
        }
        for i in (0..n).rev() {
            let row = &self.factor[i * n + i + 1..(i + 1) * n];
            x[i] = (x[i] - dot(row, &x[i + 1..])) / self.factor[i * n + i];
        }
        x
    }

    /// Codes in the layer's order for weights in this order, and their error.
    fn codes(&self, goal: &[f64], scale: f64) -> (Vec<f64>, f64) {
        let n = self.n;
        let (mut codes, mut errors) = (vec![0.0; n], vec![0.0; n]);
        let nearest = |x: f64| (x / scale).round().clamp(-127.0, 127.0);
        for i in (0..n).rev() {
            let row = &self.factor[i * n + i..(i + 1) * n];
            let carried = dot(&row[1..], &errors[i + 1..]) / row[0];
            codes[i] = nearest(goal[i] + carried);
            errors[i] = goal[i] - codes[i] * scale;
        }
        let mut slopes: Vec<f64> = (0..n).map(|i| dot(&self.h[i * n..(i + 1) * n], &errors)).collect();
        for _ in 0..PASSES {
            let mut moved = false;
            for i in 0..n {
                let wanted = slopes[i] / (self.h[i * n + i] * scale);
                let code = (codes[i] + wanted.round()).clamp(-127.0, 127.0);
                let change = code - codes[i];
                if change != 0.0 {
                    moved = true;
                    codes[i] = code;
                    errors[i] -= change * scale;
                    let row = &self.h[i * n..(i + 1) * n];
                    slopes.iter_mut().zip(row).for_each(|(slope, h)| *slope -= h * change * scale);
                }
            }
            if !moved {
                break;
            }
        }
        let error = dot(&slopes, &errors);
        let mut found = vec![0.0; n];
        self.order.iter().zip(codes).for_each(|(&i, code)| found[i] = code);
        (found, error)
    }
}

/// The upper triangular `R` with `R^T R = h`; `None` if `h` is not positive definite.
fn cholesky(h: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut r = h.to_vec();
    for k in 0..n {
        let (done, rest) = r.split_at_mut((k + 1) * n);
        let row = &mut done[k * n..];
        let pivot = row[k].sqrt();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        row[..k].fill(0.0);
        row[k..].iter_mut().for_each(|x| *x /= pivot);
        for (i, other) in rest.chunks_mut(n).enumerate() {
            let i = k + 1 + i;
            let factor = row[i];
            other[i..].iter_mut().zip(&row[i..]).for_each(|(x, r)| *x -= factor * r);
        }
    }
    Some(r)
}

/// Four sums side by side, which the compiler makes vectors of.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
