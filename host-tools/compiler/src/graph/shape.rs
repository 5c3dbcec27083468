//! Arithmetic on shapes and axis permutations.
//!
//! A permutation is written as in [`Op::Transpose`](super::Op::Transpose): `y.shape[i] = x.shape[perm[i]]`.

/// Distance between neighbours along each axis of a row-major tensor.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// Shape of an elementwise operation on `a` and `b` by numpy's rule; `None` if they don't fit.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let (a, b) = (aligned(a, rank), aligned(b, rank));
    let fit = |(&a, &b): (&usize, &usize)| match (a, b) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    };
    a.iter().zip(&b).map(fit).collect()
}

/// Places that padding by reflection reads, along an axis of `len`: `before` in front and `after` behind, mirrored at the
/// first and the last place, which stand once. `None` where the mirror is too short.
pub fn reflected(len: usize, before: usize, after: usize) -> Option<Vec<usize>> {
    let fits = before < len && after < len;
    let behind = move || (1..=after).map(move |i| len - 1 - i);
    fits.then(|| (1..=before).rev().chain(0..len).chain(behind()).collect())
}

/// `shape` with ones in front, so that it has `rank` axes (or its own rank, if that is higher).
pub fn aligned(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut out = vec![1; rank.saturating_sub(shape.len())];
    out.extend_from_slice(shape);
    out
}

/// Whether `perm` names each of `rank` axes once.
pub fn is_permutation(perm: &[usize], rank: usize) -> bool {
    let mut seen = vec![false; rank];
    perm.len() == rank && perm.iter().all(|&axis| axis < rank && !std::mem::replace(&mut seen[axis], true))
}

pub fn is_identity(perm: &[usize]) -> bool {
    perm.iter().enumerate().all(|(i, &axis)| i == axis)
}

/// The permutation that undoes `perm`.
pub fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut out = vec![0; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        out[axis] = i;
    }
    out
}

/// `first`, and then `second`, as one permutation.
pub fn compose(first: &[usize], second: &[usize]) -> Vec<usize> {
    second.iter().map(|&axis| first[axis]).collect()
}

/// `shape` after a transposition by `perm`.
pub fn permuted(shape: &[usize], perm: &[usize]) -> Vec<usize> {
    perm.iter().map(|&axis| shape[axis]).collect()
}

/// Whether transposing `shape` by `perm` leaves every element where it is, because only axes of length 1 move.
pub fn moves_only_units(perm: &[usize], shape: &[usize]) -> bool {
    let moved: Vec<usize> = perm.iter().copied().filter(|&axis| shape[axis] != 1).collect();
    moved.is_sorted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_compose_and_invert() {
        let perm = [0, 3, 1, 2];
        assert!(is_identity(&compose(&perm, &inverse(&perm))));
        assert_eq!(permuted(&[1, 7, 8, 3], &perm), [1, 3, 7, 8]);
        assert!(is_permutation(&perm, 4) && !is_permutation(&[0, 0], 2) && !is_permutation(&[0, 2], 2));
        assert!(moves_only_units(&perm, &[1, 1, 1, 3]) && !moves_only_units(&perm, &[1, 2, 1, 3]));
    }

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        assert_eq!(reflected(4, 2, 3), Some(vec![2, 1, 0, 1, 2, 3, 2, 1, 0]));
        assert_eq!(reflected(1, 0, 0), Some(vec![0]));
        assert_eq!((reflected(3, 3, 0), reflected(3, 0, 3), reflected(0, 0, 0)), (None, None, None));
    }

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]), Some(vec![2, 4, 3]));
        assert_eq!(broadcast(&[2], &[3]), None);
        assert_eq!(strides(&[2, 3, 4]), [12, 4, 1]);
    }
}
