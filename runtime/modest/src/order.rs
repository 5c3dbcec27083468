//! Who takes part in a round: all candidates ordered by a hash of their id and the round, and of that order the first.

use crate::view::{Store, View};
use crate::{NodeId, Params};
use blake2::{Blake2s256, Digest};

/// Place of a node in a round's order.
pub type Key = [u8; 32];

/// BLAKE2s-256 of the task's beacon (32 bytes), the round (4 bytes, little-endian) and the id (32 bytes).
pub fn key(beacon: &[u8; 32], round: u32, id: &NodeId) -> Key {
    let mut hash = Blake2s256::new();
    hash.update(beacon);
    hash.update(round.to_le_bytes());
    hash.update(id.0);
    hash.finalize().into()
}

/// The first candidates of `round`'s order behind `after` (from the start if none), as many as `out` holds; returns how
/// many there were. `own` is always a candidate. One pass over the view, no memory but `out`.
pub fn next<S: Store>(
    view: &View<S>,
    params: &Params,
    own: &NodeId,
    round: u32,
    after: Option<&Key>,
    out: &mut [(Key, NodeId)],
) -> usize {
    let mut count = 0;
    let known = view.entries().iter();
    let others =
        known.filter(|e| e.id != *own && View::<S>::candidate(e, round, params.forget)).map(|e| &e.id);
    for id in others.chain([own]) {
        let key = key(&params.beacon, round, id);
        if after.is_some_and(|after| key <= *after) {
            continue;
        }
        let place = out.iter().take(count).position(|(k, _)| *k > key).unwrap_or(count);
        if let Some(tail) = out.get_mut(place..) {
            if let [_, ..] = tail {
                tail.rotate_right(1);
            }
            if let Some(first) = tail.first_mut() {
                *first = (key, *id);
                count += 1;
            }
        }
        count = count.min(out.len());
    }
    count
}

/// Does `id` stand among the first `depth` of `round`'s order, as this node sees it?
pub fn within<S: Store>(
    view: &View<S>,
    params: &Params,
    own: &NodeId,
    round: u32,
    id: &NodeId,
    depth: usize,
) -> bool {
    let wanted = key(&params.beacon, round, id);
    let member = *id == *own || view.get(id).is_some_and(|e| e.membership == crate::Membership::Joined);
    let known = view.entries().iter();
    let before = known
        .filter(|e| e.id != *id && View::<S>::candidate(e, round, params.forget))
        .filter(|e| key(&params.beacon, round, &e.id) < wanted)
        .count();
    member && before < depth
}
