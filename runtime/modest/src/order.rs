//! Who takes part in a round: all candidates ordered by a hash of their id and the round, and of that order the first.
//!
//! Hashing all members is what a view costs most, so [`List`] keeps the front of an order; a view drops it when a member
//! becomes a candidate of its round, or ceases to be one.

use crate::NodeId;
use blake2::{Blake2s256, Digest};

/// Place of a node in a round's order; ids decide where hashes are equal.
pub type Key = (u64, NodeId);

/// Places that a [`List`] keeps.
pub const FIRST: usize = 48;

/// What all keys of a round begin with: BLAKE2s-256 of the task's beacon (32 bytes) and the round (4 bytes,
/// little-endian).
pub fn seed(beacon: &[u8; 32], round: u32) -> [u8; 32] {
    Blake2s256::new().chain_update(beacon).chain_update(round.to_le_bytes()).finalize().into()
}

/// The first 8 bytes, little-endian, of BLAKE2s-256 of the round's seed and the id: one block of the hash.
pub fn key(seed: &[u8; 32], id: &NodeId) -> Key {
    let hash: [u8; 32] = Blake2s256::new().chain_update(seed).chain_update(id.0).finalize().into();
    let first = hash.first_chunk::<8>().copied().unwrap_or_default();
    (u64::from_le_bytes(first), *id)
}

/// Puts the first of `keys` behind `after` (from the start if none) into `out`, in order; returns how many there were.
/// One pass, no memory but `out`.
pub fn first(keys: impl Iterator<Item = Key>, after: Option<&Key>, out: &mut [Key]) -> usize {
    let mut count = 0;
    for key in keys.filter(|key| after.is_none_or(|after| key > after)) {
        if count == out.len() && out.last().is_none_or(|last| key > *last) {
            continue;
        }
        let place = out.iter().take(count).position(|k| *k > key).unwrap_or(count);
        if let Some(tail @ [_, ..]) = out.get_mut(place..) {
            tail.rotate_right(1);
            if let Some(first) = tail.first_mut() {
                *first = key;
            }
            count = (count + 1).min(out.len());
        }
    }
    count
}

/// The front of one round's order.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub round: u32,
    keys: [Key; FIRST],
    count: usize,
    valid: bool,
}

impl List {
    pub const NEW: List = List { round: 0, keys: [(0, NodeId([0; 32])); FIRST], count: 0, valid: false };

    pub fn is_of(&self, round: u32) -> bool {
        self.valid && self.round == round
    }

    pub fn fill(&mut self, round: u32, keys: impl Iterator<Item = Key>) {
        (self.round, self.valid) = (round, true);
        self.count = first(keys, None, &mut self.keys);
    }

    pub fn forget(&mut self) {
        self.valid = false;
    }

    pub fn keys(&self) -> &[Key] {
        self.keys.get(..self.count).unwrap_or_default()
    }

    /// Does it hold all candidates?
    pub fn whole(&self) -> bool {
        self.count < FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_an_order_are_the_order() {
        let seed = seed(&[7; 32], 3);
        let keys = || (0..100).map(|n| key(&seed, &NodeId([n; 32])));
        let mut sorted: Vec<Key> = keys().collect();
        sorted.sort();
        let (mut told, mut piece) = (Vec::new(), [(0, NodeId([0; 32])); 7]);
        loop {
            let count = first(keys(), told.last(), &mut piece);
            told.extend_from_slice(&piece[..count]);
            if count < piece.len() {
                break;
            }
        }
        assert_eq!(told, sorted);
        let mut list = List::NEW;
        list.fill(3, keys());
        assert_eq!((list.keys(), list.whole()), (&sorted[..FIRST], false));
        list.fill(3, keys().take(5));
        assert!(list.whole() && list.keys().len() == 5);
    }
}
