//! What happens to updates on their way: coded, falsified, clipped, made one.

use mote_modest::aggregate::{self, Mean};
use mote_modest::compress::Codec;
use std::sync::Arc;

/// How updates become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Merge {
    Mean,
    /// Without so many of the least and the greatest of each parameter.
    Trimmed(usize),
    /// The mean with the variance of its parts.
    VarianceCorrected,
    /// TIES, keeping so many of 1000.
    Ties(u16),
}

/// What counts how much in [`Merge::Mean`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weigh {
    Evenly,
    /// By the node's samples.
    Samples,
    /// FedAU: who takes part rarely counts more ([`aggregate::Participation`]).
    Participation,
}

/// An update as the aggregator sees it.
#[derive(Clone, Debug)]
pub struct Update {
    pub values: Arc<Vec<f32>>,
    pub weight: f32,
}

/// A mean.
#[derive(Clone, Debug)]
pub struct Handed {
    /// What participants see.
    pub seen: Vec<f32>,
    /// What the next aggregator goes on with.
    pub whole: Vec<f32>,
}

/// What liars make of their update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lie {
    Scaled(f32),
    Flipped,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Of updates, which travel as differences from the round's base where this is not [`Codec::F32`].
    pub up: Codec,
    /// Of means.
    pub down: Codec,
    /// Of means on their way to the next aggregator, if it does not go on with what participants saw but with this: what
    /// `down` lacks is not lost then, and comes later.
    pub kept: Option<Codec>,
    pub merge: Merge,
    pub weigh: Weigh,
    /// Differences longer than the round's median are shortened to it.
    pub clip: bool,
    /// The first so many nodes lie.
    pub liars: usize,
    pub lie: Lie,
}

impl Rules {
    pub const PLAIN: Rules = Rules {
        up: Codec::F32,
        down: Codec::F32,
        kept: None,
        merge: Merge::Mean,
        weigh: Weigh::Evenly,
        clip: false,
        liars: 0,
        lie: Lie::Flipped,
    };

    /// Means are made of differences from the round's base.
    pub fn needs_base(&self) -> bool {
        self.up != Codec::F32 || self.kept.is_some() || self.clip || matches!(self.merge, Merge::Ties(_))
    }

    /// Bytes of an update of so many parameters.
    pub fn update_bytes(&self, parameters: usize) -> usize {
        self.up.bytes(parameters) + if self.weigh == Weigh::Evenly { 0 } else { 4 }
    }

    /// What the aggregator sees of an update, which began at `base`; `error` is the node's memory of what earlier ones
    /// lacked.
    pub fn sent(
        &self,
        node: usize,
        round: u32,
        base: &[f32],
        mut new: Vec<f32>,
        error: &mut Vec<f32>,
    ) -> Vec<f32> {
        let lies = node < self.liars;
        if !lies && self.up == Codec::F32 {
            return new;
        }
        new.iter_mut().zip(base).for_each(|(new, base)| *new -= base);
        if lies {
            let factor = if let Lie::Scaled(factor) = self.lie { factor } else { -1.0 };
            new.iter_mut().for_each(|v| *v *= factor);
        }
        error.resize(new.len(), 0.0);
        let (mut scratch, mut bytes) = (vec![0.0; new.len()], vec![0; self.up.bytes(new.len())]);
        let seed = u64::from(round) << 32 | node as u64;
        // What is not finite stays as it is, and is left out by the aggregator.
        let _ = self.up.encode_with_feedback(&mut new, error, seed, &mut scratch, &mut bytes);
        new.iter_mut().zip(base).for_each(|(new, base)| *new += base);
        new
    }

    /// What participants see of a mean, and what the next aggregator goes on with: `seen` is what they saw of the mean
    /// before, `whole` what this one went on with.
    pub fn handed_out(&self, mut mean: Vec<f32>, seen: &[f32], whole: &[f32], round: u32) -> Handed {
        let code = |codec: Codec, values: &mut Vec<f32>| {
            if codec != Codec::F32 {
                let (mut scratch, mut bytes) = (vec![0.0; values.len()], vec![0; codec.bytes(values.len())]);
                let _ = codec.encode(values, u64::from(round), &mut scratch, &mut bytes);
            }
        };
        let Some(kept) = self.kept else {
            code(self.down, &mut mean);
            return Handed { whole: mean.clone(), seen: mean };
        };
        mean.iter_mut().zip(whole.iter().zip(seen)).for_each(|(mean, (whole, seen))| *mean += whole - seen);
        code(kept, &mut mean);
        let whole = mean.clone();
        code(self.down, &mut mean);
        Handed { seen: mean, whole }
    }

    /// Bytes of the base that an aggregator has to be sent.
    pub fn base_bytes(&self, parameters: usize) -> usize {
        self.kept.unwrap_or(self.down).bytes(parameters)
    }

    /// Makes one of the updates of a round that began at `base`.
    pub fn merge(&self, updates: &[Update], base: &[f32]) -> Vec<f32> {
        let finite = |u: &&Update| u.values.len() == base.len() && aggregate::finite(&u.values).is_ok();
        let updates: Vec<&Update> = updates.iter().filter(finite).collect();
        let weights: Vec<f32> = updates.iter().map(|u| u.weight).collect();
        let mut updates: Vec<Vec<f32>> = updates.iter().map(|u| u.values.to_vec()).collect();
        let mut out = vec![0.0; base.len()];
        let average = |updates: &[Vec<f32>], out: &mut [f32]| {
            let mut mean = Mean::new(out);
            updates.iter().zip(&weights).for_each(|(update, weight)| _ = mean.add(update, *weight));
            mean.finish()
        };
        if self.merge == Merge::Mean && !self.clip {
            average(&updates, &mut out);
            return out;
        }
        let (mut parts, mut variances) = (updates.len().max(1) as f32, 0.0);
        if self.merge == Merge::VarianceCorrected {
            variances = updates.iter().map(|u| aggregate::moments(u).1).sum::<f32>() / parts;
        }
        updates.iter_mut().for_each(|u| u.iter_mut().zip(base).for_each(|(u, base)| *u -= base));
        if self.clip {
            let norms: Vec<f64> = updates.iter().map(|u| aggregate::square_norm(u).sqrt()).collect();
            let mut sorted = norms.clone();
            sorted.sort_by(f64::total_cmp);
            let limit = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
            updates.iter_mut().zip(norms).for_each(|(u, norm)| _ = aggregate::clip(u, norm, limit));
        }
        match self.merge {
            Merge::Trimmed(trim) => {
                let trim = trim.min(updates.len().saturating_sub(1) / 2);
                let slices: Vec<&[f32]> = updates.iter().map(Vec::as_slice).collect();
                let mut sorted = vec![0.0; slices.len()];
                let _ = aggregate::trimmed_mean(&slices, trim, &mut sorted, &mut out);
            }
            Merge::Ties(permille) => {
                let (keep, mut scratch) = (base.len() * usize::from(permille) / 1000, vec![0.0; base.len()]);
                updates.iter_mut().for_each(|u| _ = aggregate::trim(u, keep, &mut scratch));
                let slices: Vec<&[f32]> = updates.iter().map(Vec::as_slice).collect();
                let _ = aggregate::elect_and_merge(&slices, &mut out);
            }
            Merge::Mean | Merge::VarianceCorrected => parts = average(&updates, &mut out),
        }
        out.iter_mut().zip(base).for_each(|(new, base)| *new += base);
        if self.merge == Merge::VarianceCorrected && parts > 0.0 {
            aggregate::correct_variance(&mut out, variances);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liars_move_the_mean_and_not_the_trimmed_mean_of_clipped_updates() {
        let base = vec![1.0; 100];
        let honest = |n: usize| (0..100).map(|i| 1.1 + 0.01 * ((i * 7 + n) % 5) as f32).collect::<Vec<f32>>();
        let with = |rules: Rules| {
            let sent = |n| Arc::new(rules.sent(n, 1, &base, honest(n), &mut Vec::new()));
            let updates = (0..10).map(|n| Update { values: sent(n), weight: 1.0 });
            rules.merge(&updates.collect::<Vec<_>>(), &base).iter().sum::<f32>() / 100.0
        };
        let lying = Rules { liars: 1, lie: Lie::Scaled(-20.0), ..Rules::PLAIN };
        assert!((with(Rules::PLAIN) - 1.12).abs() < 1e-3);
        assert!(with(lying) < 0.9);
        assert!((with(Rules { clip: true, merge: Merge::Trimmed(2), ..lying }) - 1.12).abs() < 0.01);
    }

    #[test]
    fn weights_count_in_means_and_clipped_ones() {
        let updates = [(1.0, 3.0), (5.0, 1.0)]
            .map(|(value, weight)| Update { values: Arc::new(vec![value; 4]), weight });
        assert_eq!(Rules::PLAIN.merge(&updates, &[0.0; 4]), [2.0; 4]);
        // The median of two lengths is the greater one, so nothing is shortened.
        assert_eq!(Rules { clip: true, ..Rules::PLAIN }.merge(&updates, &[0.0; 4]), [2.0; 4]);
    }

    #[test]
    fn variance_is_kept_by_the_corrected_mean() {
        let mut random = mote_runtime::random::Random::new(1);
        let mut values = || Arc::new((0..1000).map(|_| random.unit()).collect::<Vec<f32>>());
        let updates: Vec<_> = (0..10).map(|_| Update { values: values(), weight: 1.0 }).collect();
        let variance =
            |merge| aggregate::moments(&Rules { merge, ..Rules::PLAIN }.merge(&updates, &[0.0; 1000])).1;
        assert!(variance(Merge::Mean) < 0.01);
        assert!((variance(Merge::VarianceCorrected) - 1.0 / 12.0).abs() < 0.01);
    }
}
