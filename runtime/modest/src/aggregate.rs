//! How updates become one. All work on slices, one chunk of the parameters at a time if memory is short, with f32 sums
//! in the order of the updates, so that every aggregator gets the same bits.

use crate::Error;

/// # Errors
/// [`Error::NotFinite`] with the first place of a NaN or infinity.
pub fn finite(update: &[f32]) -> Result<(), Error> {
    update.iter().position(|v| !v.is_finite()).map_or(Ok(()), |at| Err(Error::NotFinite { at }))
}

/// Scales a difference to at most `limit` in the 2-norm; returns the factor. The norm is that of all its chunks
/// together: `norm` is what [`square_norm`] of each adds up to, under the root.
pub fn clip(update: &mut [f32], norm: f64, limit: f64) -> f32 {
    let factor = if norm > limit { (limit / norm) as f32 } else { 1.0 };
    if factor < 1.0 {
        update.iter_mut().for_each(|v| *v *= factor);
    }
    factor
}

/// Sum of squares, in f64.
pub fn square_norm(update: &[f32]) -> f64 {
    update.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
}

/// A weighted mean that needs one accumulator and sees each update once.
#[derive(Debug)]
pub struct Mean<'a> {
    sum: &'a mut [f32],
    weight: f32,
}

impl<'a> Mean<'a> {
    pub fn new(sum: &'a mut [f32]) -> Mean<'a> {
        sum.fill(0.0);
        Mean { sum, weight: 0.0 }
    }

    /// Adds an update with a weight: number of samples, or [`Participation::weight`], or their product.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`] (for a weight that is no positive number: at the update's length).
    pub fn add(&mut self, update: &[f32], weight: f32) -> Result<(), Error> {
        same_length(self.sum.len(), update.len())?;
        finite(update)?;
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::NotFinite { at: update.len() });
        }
        self.sum.iter_mut().zip(update).for_each(|(sum, v)| *sum += weight * v);
        self.weight += weight;
        Ok(())
    }

    /// Divides, and returns the sum of the weights; zeros stay if nothing was added.
    pub fn finish(self) -> f32 {
        if self.weight > 0.0 {
            self.sum.iter_mut().for_each(|v| *v /= self.weight);
        }
        self.weight
    }
}

/// The mean without the `trim` least and `trim` greatest values of each parameter (Yin et al. 2018): up to `trim` liars
/// cannot move it out of the range of the honest. `sorted` is memory for one value of each update.
///
/// # Errors
/// [`Error::Trim`] unless there are more than `2 * trim` updates; [`Error::Length`], [`Error::NotFinite`],
/// [`Error::Room`] in `sorted`.
pub fn trimmed_mean(
    updates: &[&[f32]],
    trim: usize,
    sorted: &mut [f32],
    out: &mut [f32],
) -> Result<(), Error> {
    let count = updates.len();
    let kept = count.checked_sub(2 * trim).filter(|kept| *kept > 0);
    let kept = kept.ok_or(Error::Trim { updates: count, trim })?;
    check(updates, out.len())?;
    let have = sorted.len();
    let sorted = sorted.get_mut(..count).ok_or(Error::Room { needed: count, have })?;
    for (i, out) in out.iter_mut().enumerate() {
        column(updates, i).zip(&mut *sorted).for_each(|(v, to)| *to = v);
        sorted.sort_unstable_by(f32::total_cmp);
        *out = sorted.iter().skip(trim).take(kept).sum::<f32>() / kept as f32;
    }
    Ok(())
}

/// Gives the mean of `tensor`s back the variance that averaging took: `w <- (w - m) sqrt((v* + 1e-4) / (v + 1e-4)) + m`,
/// `v*` the mean of the senders' variances of this tensor ([`moments`]).
pub fn correct_variance(tensor: &mut [f32], wanted: f32) {
    let (mean, variance) = moments(tensor);
    let factor = libm::sqrtf((wanted + 1e-4) / (variance + 1e-4));
    tensor.iter_mut().for_each(|w| *w = (*w - mean) * factor + mean);
}

/// Mean and (biased) variance; zeros of nothing.
pub fn moments(tensor: &[f32]) -> (f32, f32) {
    if tensor.is_empty() {
        return (0.0, 0.0);
    }
    let count = tensor.len() as f64;
    let mean = tensor.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let square = tensor.iter().map(|v| (f64::from(*v) - mean) * (f64::from(*v) - mean)).sum::<f64>();
    (mean as f32, (square / count) as f32)
}

/// Keeps the `keep` values that are greatest without their sign, of equal ones the first, and zeroes the rest: the first
/// step of TIES, and what top-k compression sends. `scratch` is memory for as many numbers as the update has.
///
/// # Errors
/// [`Error::NotFinite`], [`Error::Room`] in `scratch`.
pub fn trim(update: &mut [f32], keep: usize, scratch: &mut [f32]) -> Result<(), Error> {
    finite(update)?;
    let (count, have) = (update.len(), scratch.len());
    let scratch = scratch.get_mut(..count).ok_or(Error::Room { needed: count, have })?;
    if keep >= count {
        return Ok(());
    }
    scratch.iter_mut().zip(&*update).for_each(|(to, v)| *to = v.abs());
    let (_, least, above) = scratch.select_nth_unstable_by(count - keep.max(1), f32::total_cmp);
    let (least, above) = (*least, &*above);
    let mut equal = keep.saturating_sub(above.iter().filter(|v| **v > least).count());
    for value in update.iter_mut() {
        let size = value.abs();
        let stays = keep > 0 && (size > least || (size == least && equal > 0));
        if stays && size == least {
            equal -= 1;
        }
        if !stays {
            *value = 0.0;
        }
    }
    Ok(())
}

/// Elects a sign for each parameter by the sum of the differences, which [`trim`] has made sparse, and averages those
/// that agree: the second and third step of TIES (arXiv 2306.01708).
///
/// # Errors
/// [`Error::Length`], [`Error::NotFinite`].
pub fn elect_and_merge(updates: &[&[f32]], out: &mut [f32]) -> Result<(), Error> {
    check(updates, out.len())?;
    for (i, out) in out.iter_mut().enumerate() {
        let sign = column(updates, i).sum::<f32>();
        let agree = column(updates, i).filter(|v| v * sign > 0.0);
        let (sum, count) = agree.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0f32));
        *out = sum / count.max(1.0);
    }
    Ok(())
}

/// FedAU's weight of a node (arXiv 2306.03401): the mean of the intervals between its rounds of participation, so that
/// who takes part rarely counts more; an interval is cut at `cutoff`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Participation {
    mean: f32,
    intervals: u32,
    since: u32,
    cutoff: u32,
}

impl Participation {
    pub fn new(cutoff: u32) -> Participation {
        Participation { mean: 1.0, intervals: 0, since: 0, cutoff: cutoff.max(1) }
    }

    /// A round has passed.
    pub fn round(&mut self, took_part: bool) {
        self.since += 1;
        if took_part || self.since >= self.cutoff {
            let seen = self.intervals as f32;
            self.mean = (seen * self.mean + self.since as f32) / (seen + 1.0);
            self.intervals = self.intervals.saturating_add(1);
            self.since = 0;
        }
    }

    pub fn weight(&self) -> f32 {
        self.mean
    }
}

fn column<'a>(updates: &'a [&[f32]], i: usize) -> impl Iterator<Item = f32> + 'a {
    updates.iter().filter_map(move |u| u.get(i).copied())
}

fn check(updates: &[&[f32]], length: usize) -> Result<(), Error> {
    updates.iter().try_for_each(|u| same_length(length, u.len()).and_then(|()| finite(u)))
}

fn same_length(expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f32; 4] = [1.0, -2.0, 3.0, 0.0];
    const B: [f32; 4] = [3.0, 4.0, -1.0, 0.0];
    const C: [f32; 4] = [100.0, 1.0, 1.0, -6.0];

    #[test]
    fn weighted_mean() {
        let mut out = [9.0; 4];
        let mut mean = Mean::new(&mut out);
        mean.add(&A, 1.0).unwrap();
        mean.add(&B, 3.0).unwrap();
        assert_eq!(mean.add(&[0.0, 0.0, f32::NAN, 0.0], 1.0), Err(Error::NotFinite { at: 2 }));
        assert_eq!(mean.add(&[f32::INFINITY, 0.0, 0.0, 0.0], 1.0), Err(Error::NotFinite { at: 0 }));
        assert_eq!(mean.add(&A, -1.0), Err(Error::NotFinite { at: 4 }));
        assert_eq!(mean.add(&A[..3], 1.0), Err(Error::Length { expected: 4, found: 3 }));
        assert_eq!(mean.finish(), 4.0);
        assert_eq!(out, [2.5, 2.5, 0.0, 0.0], "what was refused has left no trace");
    }

    #[test]
    fn one_liar_cannot_leave_the_range_of_the_honest() {
        let (mut out, mut sorted) = ([0.0; 4], [0.0; 3]);
        trimmed_mean(&[&A, &B, &C], 1, &mut sorted, &mut out).unwrap();
        assert_eq!(out, [3.0, 1.0, 1.0, 0.0]);
        let few = trimmed_mean(&[&A, &B], 1, &mut sorted, &mut out);
        assert_eq!(few, Err(Error::Trim { updates: 2, trim: 1 }));
    }

    #[test]
    fn clipped_to_the_norm() {
        let mut update = [3.0, 4.0];
        let norm = square_norm(&update).sqrt();
        assert_eq!(clip(&mut update, norm, 10.0), 1.0);
        assert_eq!(clip(&mut update, norm, 1.0), 0.2);
        assert!((square_norm(&update).sqrt() - 1.0).abs() < 1e-7);
    }

    #[test]
    fn signs_are_elected() {
        let mut out = [0.0; 4];
        elect_and_merge(&[&A, &B, &C], &mut out).unwrap();
        assert_eq!(out, [104.0 / 3.0, 2.5, 2.0, -6.0]);
    }

    #[test]
    fn ties_forgets_what_is_small_before_it_elects() {
        let (mut scratch, mut out) = ([0.0; 4], [0.0; 4]);
        // Two small values would win the election against a large one, and then be the mean.
        let mut updates = [[5.0, -3.0, 0.5, 2.0], [-2.0, 4.0, 0.5, -4.0], [-3.5, 4.5, 0.5, 1.0]];
        updates.iter_mut().for_each(|u| trim(u, 2, &mut scratch).unwrap());
        assert_eq!(updates, [[5.0, -3.0, 0.0, 0.0], [0.0, 4.0, 0.0, -4.0], [-3.5, 4.5, 0.0, 0.0]]);
        let [a, b, c] = &updates;
        elect_and_merge(&[a, b, c], &mut out).unwrap();
        assert_eq!(out, [5.0, 4.25, 0.0, -4.0]);
    }

    #[test]
    fn exactly_as_many_stay_as_are_to() {
        let mut random = mote_runtime::random::Random::new(1);
        let mut scratch = [0.0; 50];
        for _ in 0..200 {
            // Many equal ones.
            let values: [f32; 50] = core::array::from_fn(|_| random.below(9) as f32 - 4.5);
            let keep = random.below(52) as usize;
            let mut trimmed = values;
            trim(&mut trimmed, keep, &mut scratch).unwrap();
            let kept: Vec<usize> = (0..50).filter(|i| trimmed[*i] != 0.0).collect();
            assert_eq!(kept.len(), keep.min(50));
            let least = kept.iter().map(|i| values[*i].abs()).fold(f32::INFINITY, f32::min);
            assert!((0..50).all(|i| kept.contains(&i) || values[i].abs() <= least));
        }
        assert_eq!(trim(&mut [1.0, f32::NAN], 1, &mut scratch), Err(Error::NotFinite { at: 1 }));
        assert_eq!(trim(&mut [1.0; 51], 1, &mut scratch), Err(Error::Room { needed: 51, have: 50 }));
    }

    #[test]
    fn variance_is_restored_and_the_mean_kept() {
        let mut tensor: Vec<f32> = (0..1000).map(|i| ((i * 37) % 101) as f32 / 50.0).collect();
        let before = moments(&tensor);
        correct_variance(&mut tensor, 4.0 * before.1);
        let after = moments(&tensor);
        assert!((after.0 - before.0).abs() < 1e-5);
        assert!((after.1 / (4.0 * before.1) - 1.0).abs() < 1e-3, "{before:?} {after:?}");
    }

    #[test]
    fn weight_is_the_mean_interval() {
        let mut node = Participation::new(5);
        for round in 1..=12 {
            node.round(round % 3 == 0);
        }
        assert_eq!(node.weight(), 3.0);
        let mut never = Participation::new(5);
        (0..20).for_each(|_| never.round(false));
        assert_eq!(never.weight(), 5.0);
    }
}
