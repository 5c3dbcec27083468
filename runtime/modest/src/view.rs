//! What a node knows of the others: who is a member, and in which round each was last heard of.
//!
//! Merging takes the greater of everything (round, and counter with its state), so it may be repeated, reordered and
//! interrupted without harm: a view is a join-semilattice. That is why *changes* can travel instead of whole views
//! (delta-state CRDTs, Almeida et al. 2018). An entry remembers the round in which this node learned of its last change
//! ([`Entry::stamp`]), a peer tells in its pong through which round it has everything, and only what is stamped later is
//! sent, oldest first, as much as fits. The round through which that is complete travels along, so a cut message loses
//! nothing: the rest comes with the next.

use crate::{Error, NodeId};
use serde::{Deserialize, Serialize};

/// Is a node a member?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Membership {
    Joined,
    Left,
}

/// What is known of one node; what travels of it is all but `stamp` and `pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: NodeId,
    /// Last round in which it was active.
    pub last_round: u32,
    /// Advances with each of its joins and leaves; the greater one wins.
    pub counter: u32,
    pub membership: Membership,
    /// Round in which this node learned of the last change above.
    #[serde(skip)]
    pub stamp: u32,
    /// Joined lately: a candidate only once the next model has been sent, so that those who compute a sample now agree.
    #[serde(skip)]
    pub pending: bool,
}

/// Bytes of one entry on the wire at most: id, two varints of 32 bits, membership.
pub const ENTRY_BYTES: usize = 32 + 5 + 5 + 1;

/// Memory of a view: a sorted list. A device uses `heapless::Vec`, a host `alloc::vec::Vec`.
pub trait Store {
    fn entries(&self) -> &[Entry];
    fn entries_mut(&mut self) -> &mut [Entry];
    /// Puts `entry` at `place` (at most the length).
    ///
    /// # Errors
    /// [`Error::Full`].
    fn insert(&mut self, place: usize, entry: Entry) -> Result<(), Error>;
}

impl<const N: usize> Store for heapless::Vec<Entry, N> {
    fn entries(&self) -> &[Entry] {
        self
    }
    fn entries_mut(&mut self) -> &mut [Entry] {
        self
    }
    fn insert(&mut self, place: usize, entry: Entry) -> Result<(), Error> {
        if place > self.len() {
            return Err(Error::Full { capacity: N });
        }
        heapless::Vec::insert(self, place, entry).map_err(|_| Error::Full { capacity: N })
    }
}

#[cfg(feature = "alloc")]
impl Store for alloc::vec::Vec<Entry> {
    fn entries(&self) -> &[Entry] {
        self
    }
    fn entries_mut(&mut self) -> &mut [Entry] {
        self
    }
    fn insert(&mut self, place: usize, entry: Entry) -> Result<(), Error> {
        let place = place.min(self.len());
        alloc::vec::Vec::insert(self, place, entry);
        Ok(())
    }
}

/// The members that a node knows, sorted by id.
#[derive(Clone, Debug, Default)]
pub struct View<S> {
    store: S,
}

impl<S: Store> View<S> {
    pub fn new(store: S) -> View<S> {
        View { store }
    }

    pub fn entries(&self) -> &[Entry] {
        self.store.entries()
    }

    pub fn get(&self, id: &NodeId) -> Option<&Entry> {
        let place = self.store.entries().binary_search_by(|e| e.id.cmp(id)).ok()?;
        self.store.entries().get(place)
    }

    /// Takes over what `news` knows better; `round` is the round of now. Tells whether anything was new.
    ///
    /// # Errors
    /// [`Error::Full`]: an unknown node, and no room.
    pub fn merge(&mut self, news: &Entry, round: u32, pending: bool) -> Result<bool, Error> {
        match self.store.entries().binary_search_by(|e| e.id.cmp(&news.id)) {
            Err(place) => {
                let pending = pending && news.membership == Membership::Joined;
                self.store.insert(place, Entry { stamp: round, pending, ..*news })?;
                Ok(true)
            }
            Ok(place) => {
                let Some(old) = self.store.entries_mut().get_mut(place) else { return Ok(false) };
                let later = news.last_round > old.last_round;
                // Equal counters with unlike states (a liar's work): leaving wins everywhere, whatever came first.
                let newer = (news.counter, news.membership) > (old.counter, old.membership);
                if newer {
                    old.pending = pending && news.membership == Membership::Joined;
                    (old.counter, old.membership) = (news.counter, news.membership);
                }
                if later {
                    old.last_round = news.last_round;
                }
                if later || newer {
                    old.stamp = old.stamp.max(round);
                }
                Ok(later || newer)
            }
        }
    }

    /// `id` was heard of in `round`. Unknown nodes stay unknown: only a join makes a member.
    pub fn active(&mut self, id: &NodeId, round: u32) {
        if let Some(entry) = self.get(id).copied() {
            // A known id needs no room.
            let _ = self.merge(&Entry { last_round: round, ..entry }, round, entry.pending);
        }
    }

    /// Those who joined lately become candidates.
    pub fn admit(&mut self) {
        self.store.entries_mut().iter_mut().for_each(|e| e.pending = false);
    }

    /// May `entry` be sampled for `round`, if silence longer than `forget` rounds means that it is gone?
    pub fn candidate(entry: &Entry, round: u32, forget: u32) -> bool {
        entry.membership == Membership::Joined
            && !entry.pending
            && u64::from(entry.last_round) + u64::from(forget) >= u64::from(round)
    }

    /// Writes what was learned after round `since` into `out`, oldest first; returns the bytes and the round through
    /// which they are complete. What does not fit is left to the next message.
    pub fn changes(&self, since: u32, now: u32, out: &mut [u8]) -> (usize, u32) {
        let (mut used, mut after) = (0, since);
        loop {
            // Whole rounds only: half a round could not be told from a complete one.
            let later = self.entries().iter().filter(|e| e.stamp > after);
            let Some(stamp) = later.map(|e| e.stamp).min() else { return (used, after.max(now)) };
            let mut end = used;
            for entry in self.entries().iter().filter(|e| e.stamp == stamp) {
                let Some(room) = out.get_mut(end..) else { return (used, after) };
                let Ok(bytes) = postcard::to_slice(entry, room) else { return (used, after) };
                end += bytes.len();
            }
            (used, after) = (end, stamp);
        }
    }

    /// Reads what [`changes`](Self::changes) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] at the first byte that is no entry, [`Error::Full`].
    pub fn merge_changes(&mut self, mut bytes: &[u8], round: u32) -> Result<(), Error> {
        while !bytes.is_empty() {
            let (entry, rest) = postcard::take_from_bytes::<Entry>(bytes).map_err(|_| Error::Malformed)?;
            self.merge(&entry, round, true)?;
            bytes = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u8, last_round: u32, counter: u32, membership: Membership) -> Entry {
        Entry { id: NodeId([n; 32]), last_round, counter, membership, stamp: 0, pending: false }
    }

    #[test]
    fn merging_is_order_free_and_repeatable() {
        let news = [
            entry(1, 5, 1, Membership::Joined),
            entry(1, 3, 2, Membership::Left),
            entry(1, 9, 1, Membership::Left),
            entry(2, 7, 4, Membership::Joined),
        ];
        let told = |order: &[usize]| {
            let mut view = View::new(heapless::Vec::<Entry, 4>::new());
            order.iter().for_each(|&i| _ = view.merge(&news[i], 1, false).unwrap());
            view.entries().to_vec()
        };
        let once = told(&[0, 1, 2, 3]);
        for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
            assert_eq!(told(&order), once);
            assert_eq!(told(&[&order[..], &[0, 1, 2, 3]].concat()), once);
        }
        // The last round never comes from a counter, and an older counter does not undo a leave.
        assert_eq!((once[0].last_round, once[0].counter, once[0].membership), (9, 2, Membership::Left));
    }

    #[test]
    fn a_full_view_refuses_the_unknown_and_updates_the_known() {
        let mut view = View::new(heapless::Vec::<Entry, 1>::new());
        view.merge(&entry(1, 1, 1, Membership::Joined), 1, false).unwrap();
        let full = view.merge(&entry(2, 1, 1, Membership::Joined), 1, false);
        assert_eq!(full, Err(Error::Full { capacity: 1 }));
        assert_eq!(view.merge(&entry(1, 2, 1, Membership::Joined), 2, false), Ok(true));
    }

    #[test]
    fn cut_changes_are_completed_by_the_next_message() {
        let mut from = View::new(heapless::Vec::<Entry, 32>::new());
        for n in 0..30 {
            from.merge(&entry(n, u32::from(n), 1, Membership::Joined), u32::from(n / 3) + 1, false).unwrap();
        }
        let mut to = View::new(heapless::Vec::<Entry, 32>::new());
        let (mut since, mut messages) = (0, 0);
        while since < 10 {
            let mut bytes = [0; 4 * ENTRY_BYTES];
            let (used, through) = from.changes(since, 10, &mut bytes);
            assert!(through > since, "a round's changes fit");
            to.merge_changes(&bytes[..used], 11).unwrap();
            (since, messages) = (through, messages + 1);
        }
        assert!(messages > 5);
        let told =
            |v: &View<_>| v.entries().iter().map(|e| (e.id, e.last_round)).collect::<heapless::Vec<_, 32>>();
        assert_eq!(told(&from), told(&to));
        assert_eq!(from.changes(10, 10, &mut [0; 64]), (0, 10), "nothing new, nothing sent");
    }
}
