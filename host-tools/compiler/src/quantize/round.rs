//! Rounding of weights by what it does to the layer's output.
//!
//! A layer whose weights are off by `e` errs by `e^T H e` in the mean square, with `H` the covariance of the values that
//! one output's weights meet (the mean is the bias's matter). Rounded to the nearest code, each weight errs least on its
//! own; here each makes up for what the ones before it did. With `H = R^T R` the error is `|R e|^2`, a sum in which
//! weight `i` and those behind it make term `i`: from the last weight to the first, each code is the best one for its own
//! term. This is what GPTQ does column by column with an inverse of `H`, by importance, and damped (Frantar, Ashkboos,
//! Hoefler, Alistarh: GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, 2022,
//! section 3). Then single codes move as long as that lowers the error, on the objective that AdaRound minimises by
//! gradients (Nagel, Amjad, van Baalen, Louizos, Blankevoort: Up or Down? Adaptive Rounding for Post-Training
//! Quantization, 2020, section 3).

use super::weights::Weights;
use super::windows::Moments;

/// Longer windows would take too much time and memory: `n^2` numbers, `n^3 / 3` steps.
pub(super) const LONGEST: usize = 2304;
/// Windows so short that a coarser scale may meet all weights better; it is worth a search over this many scales
/// up to this factor.
const SHORT: usize = 32;
const SCALES: usize = 32;
const COARSEST: f64 = 1.3;
/// Passes over the weights in which single codes move.
const PASSES: usize = 4;
/// Added to the diagonal of `H`, as shares of its mean: always, and times `n / positions`. Few positions say
/// little about directions that they do not show.
const DAMPING: f64 = 0.001;
const DAMPING_BY_LENGTH: f64 = 0.5;

/// Rounds `reals`, whose first axis is the output channels, anew. `moments` has an entry for each group of the layer,
/// measured at so many positions. Whether any group's inputs vary at all; the others keep their codes.
pub(super) fn round(weights: &mut Weights, reals: &[f32], moments: &[Moments], positions: usize) -> bool {
    let rows = weights.scales.len() / moments.len().max(1);
    let n = reals.len() / weights.scales.len().max(1);
    let mut any = false;
    for (group, moments) in moments.iter().enumerate() {
        let Some(metric) = Metric::new(moments, n, positions) else { continue };
        any = true;
        for row in group * rows..(group + 1) * rows {
            let own = row * n..(row + 1) * n;
            let (scale, codes) = metric.round(&reals[own.clone()], weights.scales[row], weights.largest);
            weights.scales[row] = scale;
            weights.codes[own].copy_from_slice(&codes);
        }
    }
    any
}

/// How much errors of a window's weights matter, with the weights in another order: the important ones last.
struct Metric {
    n: usize,
    order: Vec<usize>,
    /// `[n, n]`, and its upper triangular factor.
    h: Vec<f64>,
    factor: Vec<f64>,
}

impl Metric {
    /// `None` if the inputs never change.
    fn new(moments: &Moments, n: usize, positions: usize) -> Option<Self> {
        let own = |i: usize, j: usize| moments.0[i * n + j];
        let mean = (0..n).map(|i| own(i, i)).sum::<f64>() / n as f64;
        if !(mean > 0.0 && mean.is_finite()) {
            return None;
        }
        let damping = mean * (DAMPING + DAMPING_BY_LENGTH * n as f64 / positions.max(1) as f64);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| own(a, a).total_cmp(&own(b, b)));
        let mut h = Vec::with_capacity(n * n);
        for &i in &order {
            h.extend(order.iter().map(|&j| own(i, j) + if i == j { damping } else { 0.0 }));
        }
        let factor = cholesky(&h, n)?;
        Some(Self { n, order, h, factor })
    }

    /// One output's scale and codes. The scale is at least the given one, so that the bias still fits.
    fn round(&self, reals: &[f32], scale: f32, largest: i8) -> (f32, Vec<i8>) {
        let goal: Vec<f64> = self.order.iter().map(|&i| reals[i].into()).collect();
        let (mut best, mut least) = (scale, self.codes(&goal, scale.into(), largest));
        let steps = if self.n <= SHORT { SCALES } else { 0 };
        for step in 1..=steps {
            let scale = (f64::from(scale) * (1.0 + (COARSEST - 1.0) * step as f64 / SCALES as f64)) as f32;
            let found = self.codes(&goal, scale.into(), largest);
            if found.1 < least.1 {
                (best, least) = (scale, found);
            }
        }
        let mut codes = vec![0; self.n];
        self.order.iter().zip(least.0).for_each(|(&i, code)| codes[i] = code as i8);
        (best, codes)
    }

    /// Codes for weights, both in this order, and their error.
    fn codes(&self, goal: &[f64], scale: f64, largest: i8) -> (Vec<f64>, f64) {
        let (n, limit) = (self.n, f64::from(largest));
        let (mut codes, mut errors) = (vec![0.0; n], vec![0.0; n]);
        let nearest = |x: f64| (x / scale).round().clamp(-limit, limit);
        // What was pruned stays so.
        let pruned = |i: usize| goal[i] == 0.0;
        for i in (0..n).rev() {
            let row = &self.factor[i * n + i..(i + 1) * n];
            let carried = dot(&row[1..], &errors[i + 1..]) / row[0];
            codes[i] = if pruned(i) { 0.0 } else { nearest(goal[i] + carried) };
            errors[i] = goal[i] - codes[i] * scale;
        }
        let mut slopes: Vec<f64> = (0..n).map(|i| dot(&self.h[i * n..(i + 1) * n], &errors)).collect();
        for _ in 0..PASSES {
            let mut moved = false;
            for i in (0..n).filter(|&i| !pruned(i)) {
                let wanted = slopes[i] / (self.h[i * n + i] * scale);
                let code = (codes[i] + wanted.round()).clamp(-limit, limit);
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
        (codes, error)
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

#[cfg(test)]
mod tests {
    use super::super::weights::quantize;
    use super::*;

    fn values(n: usize, mut state: u64) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// Covariances of neighbours that resemble each other.
    fn neighbours(n: usize) -> Moments {
        Moments((0..n * n).map(|k| 0.9f64.powi((k / n).abs_diff(k % n) as i32)).collect())
    }

    fn error(weights: &Weights, reals: &[f32], Moments(h): &Moments) -> f64 {
        let n = reals.len() / weights.scales.len();
        let errors: Vec<f64> = weights.reals().iter().zip(reals).map(|(q, w)| f64::from(q - w)).collect();
        let row = |e: &[f64]| (0..n * n).map(|k| e[k / n] * h[k] * e[k % n]).sum::<f64>();
        errors.chunks(n).map(row).sum()
    }

    #[test]
    fn outputs_err_less_than_with_nearest_codes() {
        // Independent errors cost the mean of the diagonal each; errors that cancel at best the determinant's n-th root,
        // 1 / 0.19^((n - 1) / n) less for these neighbours: 5.12 for 64. Few weights get a better scale, too.
        for (n, least) in [(9, 5.0), (64, 0.9 * 5.12)] {
            let reals = values(40 * n, n as u64);
            let moments = neighbours(n);
            let nearest = quantize(&reals, &[], 40, 0.1, 127);
            let mut rounded = quantize(&reals, &[], 40, 0.1, 127);
            assert!(round(&mut rounded, &reals, std::slice::from_ref(&moments), 100_000));
            let (before, after) = (error(&nearest, &reals, &moments), error(&rounded, &reals, &moments));
            assert!(after * least < before, "{n} weights: {before:e} became {after:e}");
            assert!(rounded.codes.iter().all(|&code| code != -128));
            let scales = nearest.scales.iter().zip(&rounded.scales);
            assert!(scales.clone().all(|(a, b)| a <= b), "a bias might no longer fit");
            assert!(n <= SHORT || scales.clone().all(|(a, b)| a == b));
        }
    }

    #[test]
    fn no_rounding_up_or_down_is_much_better() {
        // All 2^9 roundings at the same scale.
        let (n, moments) = (9, neighbours(9));
        let metric = Metric::new(&moments, n, 100_000).unwrap();
        let (mut found, mut least) = (0.0, 0.0);
        for seed in 0..20 {
            let goal: Vec<f64> = values(n, seed).into_iter().map(f64::from).collect();
            let scale = 1.0 / 127.0;
            found += metric.codes(&goal, scale, 127).1;
            let error = |choice: usize| {
                let error =
                    |i: usize| goal[i] - ((goal[i] / scale).floor() + (choice >> i & 1) as f64) * scale;
                let e: Vec<f64> = (0..n).map(error).collect();
                (0..n * n).map(|k| e[k / n] * metric.h[k] * e[k % n]).sum::<f64>()
            };
            least += (0..1 << n).map(error).min_by(f64::total_cmp).unwrap();
        }
        assert!(found < 1.25 * least, "{found:e}, best {least:e}");
    }

    #[test]
    fn groups_are_rounded_by_their_own_inputs_and_dead_ones_not() {
        let reals = values(4 * 6, 7);
        let nearest = quantize(&reals, &[], 4, 0.1, 127);
        let mut rounded = quantize(&reals, &[], 4, 0.1, 127);
        assert!(round(&mut rounded, &reals, &[Moments(vec![0.0; 36]), neighbours(6)], 1000));
        assert_eq!(rounded.codes[..12], nearest.codes[..12]);
        assert_ne!(rounded.codes[12..], nearest.codes[12..]);
        assert!(!round(&mut rounded, &reals, &[Moments(vec![0.0; 36]), Moments(vec![f64::NAN; 36])], 1000));
    }

    #[test]
    fn the_factor_gives_the_matrix_back() {
        let n = 13;
        let Moments(h) = neighbours(n);
        let r = cholesky(&h, n).unwrap();
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let product: f64 = (0..n).map(|k| r[k * n + i] * r[k * n + j]).sum();
            assert!((product - h[i * n + j]).abs() < 1e-12 && (j >= i || r[i * n + j] == 0.0));
        }
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
