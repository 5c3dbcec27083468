//! Many updates become one.

use mote_modest::NodeId;
use mote_modest::aggregate::{Mean, clip, square_norm, trimmed_mean};
use std::sync::Arc;

/// What a member sent: the difference to the parameters with this hash.
#[derive(Clone, Debug)]
pub struct Update {
    pub from: NodeId,
    pub base: [u8; 32],
    pub difference: Vec<f32>,
}

/// The base that most updates have; of equally many the least.
pub fn common_base(updates: &[Update]) -> Option<[u8; 32]> {
    let count = |base: &[u8; 32]| updates.iter().filter(|u| u.base == *base).count();
    updates.iter().map(|u| u.base).max_by_key(|base| (count(base), std::cmp::Reverse(*base)))
}

/// `base` and the mean of the updates made from it, each clipped, `trim` values a side left out where there are enough.
/// Sums are in the order of ids, so that it does not matter in which order updates came.
pub fn combine(
    base: &[f32],
    hash: &[u8; 32],
    mut updates: Vec<Update>,
    limit: f32,
    trim: usize,
) -> Arc<Vec<f32>> {
    updates.retain(|u| u.base == *hash && u.difference.len() == base.len());
    updates.sort_by_key(|u| u.from);
    for update in &mut updates {
        let norm = square_norm(&update.difference).sqrt();
        clip(&mut update.difference, norm, limit.into());
    }
    let differences: Vec<&[f32]> = updates.iter().map(|u| &u.difference[..]).collect();
    let mut out = vec![0.0; base.len()];
    let trim = trim.min(updates.len().saturating_sub(1) / 2);
    if trim > 0 {
        let mut sorted = vec![0.0; updates.len()];
        if trimmed_mean(&differences, trim, &mut sorted, &mut out).is_err() {
            out.fill(0.0);
        }
    } else {
        let mut mean = Mean::new(&mut out);
        // Lengths are right, and numbers were checked when they came.
        differences.iter().for_each(|d| _ = mean.add(d, 1.0));
        mean.finish();
    }
    Arc::new(base.iter().zip(out).map(|(base, d)| base + d).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(n: u8, difference: &[f32]) -> Update {
        Update { from: NodeId([n; 32]), base: [1; 32], difference: difference.to_vec() }
    }

    #[test]
    fn the_order_in_which_updates_come_is_no_matter_and_a_liar_is_bounded() {
        let updates = vec![update(1, &[0.1, 0.3]), update(2, &[1e-8, 0.7]), update(3, &[0.3, -0.1])];
        let mut other = updates.clone();
        other.reverse();
        let mean = combine(&[1.0, 2.0], &[1; 32], updates.clone(), 100.0, 0);
        assert_eq!(mean, combine(&[1.0, 2.0], &[1; 32], other, 100.0, 0));
        let lie = update(9, &[1e9, -1e9]);
        let lied = combine(&[1.0, 2.0], &[1; 32], [updates, vec![lie]].concat(), 2.0, 1);
        assert!((lied[0] - 1.0).abs() < 0.5 && (lied[1] - 2.0).abs() < 1.0, "{lied:?}");
    }

    #[test]
    fn updates_of_another_base_are_left_out() {
        let stray = Update { base: [2; 32], ..update(3, &[50.0]) };
        let updates = vec![update(1, &[1.0]), stray, update(2, &[3.0])];
        assert_eq!(common_base(&updates), Some([1; 32]));
        assert_eq!(*combine(&[0.0], &[1; 32], updates, 100.0, 0), [2.0]);
    }
}
