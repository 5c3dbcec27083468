//! How a reshape and a transposition change places.
//!
//! A reshape splits into groups of neighbouring axes that hold the same elements before and after: in
//! `[1, 64, 7, 7] -> [1, 64, 49]` they are `1`, `64` and `7, 7`. A transposition that moves whole groups may as well
//! happen on the other side of the reshape.

use crate::graph::shape::{inverse, permuted};
use std::ops::Range;

/// The finest groups of axes, in order; `None` for scalars and empty tensors.
pub fn groups(from: &[usize], to: &[usize]) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    if from.is_empty() || to.is_empty() || from.contains(&0) || to.contains(&0) {
        return None;
    }
    let mut groups: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        let start = (i, j);
        let (mut a, mut b) = (from[i], to[j]);
        (i, j) = (i + 1, j + 1);
        while a != b {
            let (product, shape, next) = if a < b { (&mut a, from, &mut i) } else { (&mut b, to, &mut j) };
            *product = product.checked_mul(*shape.get(*next)?)?;
            *next += 1;
        }
        groups.push((start.0..i, start.1..j));
    }
    // Only ones can be left over.
    if from[i..].iter().chain(&to[j..]).any(|&length| length != 1) {
        return None;
    }
    let last = groups.last_mut()?;
    (last.0.end, last.1.end) = (from.len(), to.len());
    Some(groups)
}

/// `reshape(transpose(x, perm), to)` as `transpose(reshape(x, shape), perm)`: that shape and permutation.
pub fn reshape_first(perm: &[usize], x: &[usize], to: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let groups = groups(&permuted(x, perm), to)?;
    let places: Vec<usize> = perm.to_vec();
    let order = order_of_groups(groups.iter().map(|(from, _)| from.clone()), &places, &permuted(x, perm))?;
    let sources: Vec<usize> = order.iter().flat_map(|&g| groups[g].1.clone()).collect();
    Some((permuted(to, &sources), inverse(&sources)))
}

/// `transpose(reshape(x, to), perm)` as `reshape(transpose(x, perm), ..)`: that permutation.
pub fn transpose_first(x: &[usize], to: &[usize], perm: &[usize]) -> Option<Vec<usize>> {
    let groups = groups(x, to)?;
    let order = order_of_groups(groups.iter().map(|(_, to)| to.clone()), &inverse(perm), to)?;
    Some(order.iter().flat_map(|&g| groups[g].0.clone()).collect())
}

/// The order in which groups of axes stand at their new places; `None` if a group is torn apart. Axes of length 1
/// may be anywhere.
fn order_of_groups(
    groups: impl Iterator<Item = Range<usize>>,
    places: &[usize],
    lengths: &[usize],
) -> Option<Vec<usize>> {
    // Places counted without those of length 1.
    let mut solid: Vec<usize> = (0..places.len()).filter(|&i| lengths[i] != 1).map(|i| places[i]).collect();
    solid.sort_unstable();
    let mut keyed = Vec::new();
    for (g, group) in groups.enumerate() {
        let members: Vec<usize> = group.clone().filter(|&i| lengths[i] != 1).map(|i| places[i]).collect();
        let ranks: Vec<usize> = members.iter().filter_map(|place| solid.binary_search(place).ok()).collect();
        if ranks.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            return None;
        }
        let key = members.first().copied().or_else(|| group.clone().next().map(|i| places[i]))?;
        keyed.push((key, g));
    }
    keyed.sort_unstable();
    Some(keyed.into_iter().map(|(_, g)| g).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_the_finest() {
        assert_eq!(
            groups(&[1, 64, 7, 7], &[1, 64, 49]),
            Some(vec![(0..1, 0..1), (1..2, 1..2), (2..4, 2..3)])
        );
        assert_eq!(groups(&[1, 12], &[1, 3, 4, 1]), Some(vec![(0..1, 0..1), (1..2, 1..4)]));
        assert_eq!(groups(&[6, 4], &[4, 6]), Some(vec![(0..2, 0..2)]));
        assert_eq!(groups(&[2, 2], &[3]), None);
    }

    #[test]
    fn flattened_rows_and_columns_stay_together() {
        // [1, 7, 7, 64] -> NCHW -> [1, 64, 49] is [1, 49, 64] transposed.
        assert_eq!(
            reshape_first(&[0, 3, 1, 2], &[1, 7, 7, 64], &[1, 64, 49]),
            Some((vec![1, 49, 64], vec![0, 2, 1]))
        );
        // Channels split into heads.
        let (shape, perm) = reshape_first(&[0, 3, 1, 2], &[1, 7, 7, 64], &[1, 8, 8, 49]).unwrap();
        assert_eq!((shape, perm), (vec![1, 49, 8, 8], vec![0, 2, 3, 1]));
        // Channels mixed with rows.
        assert_eq!(reshape_first(&[0, 3, 1, 2], &[1, 7, 7, 64], &[1, 64 * 49]), None);
    }

    #[test]
    fn merged_heads_split_again() {
        // [1, 8, 16, 49] -> [1, 128, 7, 7] -> NHWC is [1, 49, 8, 16] reshaped.
        let perm = transpose_first(&[1, 8, 16, 49], &[1, 128, 7, 7], &[0, 2, 3, 1]);
        assert_eq!(perm, Some(vec![0, 3, 1, 2]));
        assert_eq!(transpose_first(&[1, 8, 16, 49], &[1, 128, 7, 7], &[0, 2, 1, 3]), None);
    }
}
