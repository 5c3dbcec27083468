//! What a node knows of the others: who is a member, and in which round each was last active.
//!
//! Merging takes the greater of everything (round, and counter with its state), so it may be repeated, reordered and
//! interrupted without harm: a view is a join-semilattice. That is why *changes* can travel instead of whole views
//! ([`crate::changes`]). Who is a member is stated by that member alone and proved ([`Trust`]); that it was active is
//! not, since a lie about that costs a ping and no more.

use crate::order::{self, Key, List};
use crate::{Error, NodeId, Params};
use serde::{Deserialize, Serialize};

/// Is a node a member?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Membership {
    Joined,
    Left,
}

/// What a node says of itself. The greater counter wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    pub id: NodeId,
    pub counter: u32,
    pub membership: Membership,
}

/// What proves a statement; travels with it.
pub trait Proof: Copy + PartialEq + Serialize + serde::de::DeserializeOwned {}

impl<P: Copy + PartialEq + Serialize + serde::de::DeserializeOwned> Proof for P {}

/// How statements are proved: [`crate::Identity`] signs them, `()` believes everybody (simulations).
pub trait Trust {
    type Proof: Proof;
    /// Bytes of a proof on the wire at most; at most 200.
    const PROOF_BYTES: usize;

    /// Proves a statement of the node itself.
    fn prove(&self, own: &Statement) -> Self::Proof;

    /// Is the statement its node's own, and was that node let in, as of `round`?
    fn holds(&self, statement: &Statement, proof: &Self::Proof, round: u32) -> bool;
}

impl Trust for () {
    type Proof = ();
    const PROOF_BYTES: usize = 0;

    fn prove(&self, _: &Statement) {}

    fn holds(&self, _: &Statement, (): &(), _: u32) -> bool {
        true
    }
}

/// Stamp of what this node has learned outside of rounds and not passed on yet.
pub const UNPUBLISHED: u32 = u32::MAX;

/// What is known of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<P> {
    pub id: NodeId,
    pub counter: u32,
    pub membership: Membership,
    /// First round in which it is a candidate: two behind the one in which its joining was published, so that those who
    /// compute a sample meanwhile agree.
    pub from: u32,
    /// Last round in which it was active.
    pub last_round: u32,
    /// Round in which the last change of this entry was published: the same number at all nodes.
    pub stamp: u32,
    /// Round in which the statement was published.
    pub said: u32,
    /// The last whole view that came did not have it.
    pub(crate) untold: bool,
    pub proof: P,
}

impl<P> Entry<P> {
    /// A member from the beginning.
    pub fn founder(id: NodeId, proof: P) -> Entry<P> {
        let (counter, membership) = (1, Membership::Joined);
        Entry { id, counter, membership, from: 0, last_round: 0, stamp: 0, said: 0, untold: false, proof }
    }

    /// A statement that was heard from its node itself in `round`.
    pub fn heard(statement: Statement, round: u32, proof: P) -> Entry<P> {
        let Statement { id, counter, membership } = statement;
        let (stamp, said) = (UNPUBLISHED, UNPUBLISHED);
        Entry {
            id,
            counter,
            membership,
            from: u32::MAX,
            last_round: round,
            stamp,
            said,
            untold: false,
            proof,
        }
    }

    pub fn statement(&self) -> Statement {
        Statement { id: self.id, counter: self.counter, membership: self.membership }
    }

    /// The first 8 bytes of the id: what names a known node in changes.
    pub fn place(&self) -> u64 {
        u64::from_be_bytes(self.id.0.first_chunk::<8>().copied().unwrap_or_default())
    }

    fn candidate(&self, round: u32, forget: u32) -> bool {
        self.membership == Membership::Joined
            && self.from <= round
            && u64::from(self.last_round) + u64::from(forget) >= u64::from(round)
    }

    /// One word of the view's digest.
    fn word(&self) -> u64 {
        let state = u64::from(self.counter) << 1 | u64::from(self.membership == Membership::Left);
        mote_runtime::random::word(self.place(), state)
    }
}

/// Memory of a view: a list sorted by id. A device uses `heapless::Vec`, a host `alloc::vec::Vec`.
pub trait Store {
    type Proof: Proof;

    fn entries(&self) -> &[Entry<Self::Proof>];
    fn entries_mut(&mut self) -> &mut [Entry<Self::Proof>];
    /// Puts `entry` at `place` (at most the length).
    ///
    /// # Errors
    /// [`Error::Full`].
    fn insert(&mut self, place: usize, entry: Entry<Self::Proof>) -> Result<(), Error>;
}

impl<P: Proof, const N: usize> Store for heapless::Vec<Entry<P>, N> {
    type Proof = P;

    fn entries(&self) -> &[Entry<P>] {
        self
    }
    fn entries_mut(&mut self) -> &mut [Entry<P>] {
        self
    }
    fn insert(&mut self, place: usize, entry: Entry<P>) -> Result<(), Error> {
        if place > self.len() {
            return Err(Error::Full { capacity: N });
        }
        heapless::Vec::insert(self, place, entry).map_err(|_| Error::Full { capacity: N })
    }
}

#[cfg(feature = "alloc")]
impl<P: Proof> Store for alloc::vec::Vec<Entry<P>> {
    type Proof = P;

    fn entries(&self) -> &[Entry<P>] {
        self
    }
    fn entries_mut(&mut self) -> &mut [Entry<P>] {
        self
    }
    fn insert(&mut self, place: usize, entry: Entry<P>) -> Result<(), Error> {
        let place = place.min(self.len());
        alloc::vec::Vec::insert(self, place, entry);
        Ok(())
    }
}

/// The members that a node knows, sorted by id, and the fronts of the orders that it asked for last.
#[derive(Clone, Debug)]
pub struct View<S> {
    own: NodeId,
    beacon: [u8; 32],
    forget: u32,
    pub(crate) store: S,
    digest: u64,
    lists: [List; 2],
}

impl<S: Store> View<S> {
    /// The view of `own`, which is a candidate to itself unless it has left.
    pub fn new(own: NodeId, params: &Params, store: S) -> View<S> {
        let digest = store.entries().iter().fold(0, |sum: u64, e| sum.wrapping_add(e.word()));
        let Params { beacon, forget, .. } = *params;
        View { own, beacon, forget, store, digest, lists: [List::NEW; 2] }
    }

    pub fn own(&self) -> NodeId {
        self.own
    }

    pub fn entries(&self) -> &[Entry<S::Proof>] {
        self.store.entries()
    }

    pub fn get(&self, id: &NodeId) -> Option<&Entry<S::Proof>> {
        let place = self.store.entries().binary_search_by(|e| e.id.cmp(id)).ok()?;
        self.store.entries().get(place)
    }

    /// The same for views in which the same statements stand.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The last round in which anybody was active.
    pub fn latest(&self) -> u32 {
        self.entries().iter().map(|e| e.last_round).max().unwrap_or(0)
    }

    /// Takes over what `news` knows better. Tells whether anything was new. Statements are to be checked before.
    ///
    /// # Errors
    /// [`Error::Full`]: an unknown node, and no room.
    pub fn merge(&mut self, news: &Entry<S::Proof>) -> Result<bool, Error> {
        let place = match self.store.entries().binary_search_by(|e| e.id.cmp(&news.id)) {
            Err(place) => {
                self.store.insert(place, *news)?;
                self.digest = self.digest.wrapping_add(news.word());
                self.flipped(|round, forget| news.candidate(round, forget));
                return Ok(true);
            }
            Ok(place) => place,
        };
        let Some(&old) = self.store.entries().get(place) else { return Ok(false) };
        let mut new = Entry { untold: false, ..old };
        // Equal counters with unlike states (a liar's work): leaving wins everywhere, whatever came first.
        let newer = (news.counter, news.membership) > (old.counter, old.membership);
        let same = (news.counter, news.membership) == (old.counter, old.membership);
        let later = news.last_round > old.last_round;
        if newer {
            (new.counter, new.membership, new.proof) = (news.counter, news.membership, news.proof);
            (new.from, new.said) = (news.from, news.said);
        } else if same {
            new.from = old.from.min(news.from);
            new.said = old.said.min(news.said);
        }
        if newer || later {
            new.last_round = old.last_round.max(news.last_round);
            let published = if old.stamp == UNPUBLISHED { 0 } else { old.stamp };
            new.stamp = published.max(news.stamp);
        } else if same && old.stamp == UNPUBLISHED && old.last_round == news.last_round {
            // Somebody has published it already.
            new.stamp = news.stamp;
        }
        new.stamp = new.stamp.max(new.said);
        let own = new.id == self.own && newer;
        self.flipped(|round, forget| own || old.candidate(round, forget) != new.candidate(round, forget));
        self.digest = self.digest.wrapping_sub(old.word()).wrapping_add(new.word());
        if new != old
            && let Some(entry) = self.store.entries_mut().get_mut(place)
        {
            *entry = new;
        }
        Ok(newer || later)
    }

    /// `id` was heard of in `round`. Unknown nodes stay unknown: only a statement makes a member. What was heard shortly
    /// before (a 16th of the rounds after which a node is forgotten) is no news.
    pub fn active(&mut self, id: &NodeId, round: u32) {
        if let Some(&entry) = self.get(id)
            && round > entry.last_round.saturating_add(self.forget / 16)
        {
            let said = entry.said;
            // A known id needs no room.
            let _ = self.merge(&Entry { last_round: round, stamp: UNPUBLISHED, said, ..entry });
        }
    }

    /// What was learned outside of rounds is news of `round`; who joined may be sampled two rounds later.
    pub(crate) fn publish(&mut self, round: u32) {
        let mut joined = false;
        // First a look, since a store may copy what it shares before it is written to.
        if self.entries().iter().all(|e| e.stamp != UNPUBLISHED) {
            return;
        }
        for entry in self.store.entries_mut().iter_mut().filter(|e| e.stamp == UNPUBLISHED) {
            entry.stamp = round;
            if entry.said == UNPUBLISHED {
                entry.said = round;
                entry.from = entry.from.min(round.saturating_add(2));
                joined = true;
            }
        }
        if joined {
            self.lists.iter_mut().for_each(List::forget);
        }
    }

    /// The first candidates of `round` behind `after` (from the start if none), as many as `out` holds; returns how many
    /// there were.
    pub fn next(&mut self, round: u32, after: Option<&Key>, out: &mut [Key]) -> usize {
        let list = self.list(round);
        let mut count = 0;
        let rest = list.keys().iter().filter(|key| after.is_none_or(|after| *key > after));
        for (to, key) in out.iter_mut().zip(rest) {
            *to = *key;
            count += 1;
        }
        if count == out.len() || list.whole() {
            return count;
        }
        order::first(self.keys(round), after, out)
    }

    /// Does `id` stand among the first `depth` of `round`'s order, as this node sees it?
    pub fn within(&mut self, round: u32, id: &NodeId, depth: usize) -> bool {
        let member = *id == self.own || self.get(id).is_some_and(|e| e.membership == Membership::Joined);
        if !member {
            return false;
        }
        let wanted = order::key(&order::seed(&self.beacon, round), id);
        let list = self.list(round);
        let before = |key: &Key| *key < wanted && key.1 != *id;
        if list.whole() || list.keys().last().is_some_and(|last| wanted <= *last) {
            return list.keys().iter().filter(|key| before(key)).count() < depth;
        }
        depth > list.keys().len() && self.keys(round).filter(before).count() < depth
    }

    /// Of those who are members but silent for too long, the first of `round`'s order.
    pub fn forgotten(&self, round: u32) -> Option<NodeId> {
        let seed = order::seed(&self.beacon, round);
        let silent = |e: &&Entry<S::Proof>| {
            e.membership == Membership::Joined && e.from <= round && !e.candidate(round, self.forget)
        };
        let silent = self.entries().iter().filter(silent).filter(|e| e.id != self.own);
        silent.map(|e| order::key(&seed, &e.id)).min().map(|(_, id)| id)
    }

    fn list(&mut self, round: u32) -> &List {
        if !self.lists.iter().any(|list| list.is_of(round)) {
            self.lists.rotate_right(1);
            let [list, _] = &mut self.lists;
            let candidates = candidates(&self.store, self.forget, &self.own, round);
            let seed = order::seed(&self.beacon, round);
            list.fill(round, candidates.map(|id| order::key(&seed, id)));
        }
        let [first, second] = &self.lists;
        if first.is_of(round) { first } else { second }
    }

    /// All candidates of a round, in the order of ids.
    fn keys(&self, round: u32) -> impl Iterator<Item = Key> {
        let seed = order::seed(&self.beacon, round);
        candidates(&self.store, self.forget, &self.own, round).map(move |id| order::key(&seed, id))
    }

    /// Forgets the orders that a change concerns.
    fn flipped(&mut self, concerns: impl Fn(u32, u32) -> bool) {
        let forget = self.forget;
        self.lists.iter_mut().filter(|list| concerns(list.round, forget)).for_each(List::forget);
    }
}

fn candidates<'v, S: Store>(
    store: &'v S,
    forget: u32,
    own: &'v NodeId,
    round: u32,
) -> impl Iterator<Item = &'v NodeId> {
    let entries = store.entries();
    let others = entries.iter().filter(move |e| e.id != *own && e.candidate(round, forget));
    let left = |place: usize| entries.get(place).is_some_and(|e| e.membership == Membership::Left);
    let left = entries.binary_search_by(|e| e.id.cmp(own)).is_ok_and(left);
    others.map(|e| &e.id).chain((!left).then_some(own))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn params(forget: u32) -> Params {
        Params { forget, ..Params::DEFAULT }
    }

    pub fn entry(n: u8, last_round: u32, counter: u32, membership: Membership) -> Entry<()> {
        let statement = Statement { id: NodeId([n; 32]), counter, membership };
        Entry { stamp: 1, said: 1, from: 0, ..Entry::heard(statement, last_round, ()) }
    }

    pub fn view<const N: usize>() -> View<heapless::Vec<Entry<()>, N>> {
        View::new(NodeId([255; 32]), &params(1000), heapless::Vec::new())
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
            let mut view = view::<4>();
            order.iter().for_each(|&i| _ = view.merge(&news[i]).unwrap());
            (view.entries().to_vec(), view.digest())
        };
        let once = told(&[0, 1, 2, 3]);
        for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
            assert_eq!(told(&order), once);
            assert_eq!(told(&[&order[..], &[0, 1, 2, 3]].concat()), once);
        }
        // The last round never comes from a counter, and an older counter does not undo a leave.
        let first = once.0[0];
        assert_eq!((first.last_round, first.counter, first.membership), (9, 2, Membership::Left));
    }

    #[test]
    fn a_full_view_refuses_the_unknown_and_updates_the_known() {
        let mut view = view::<1>();
        view.merge(&entry(1, 1, 1, Membership::Joined)).unwrap();
        let full = view.merge(&entry(2, 1, 1, Membership::Joined));
        assert_eq!(full, Err(Error::Full { capacity: 1 }));
        assert_eq!(view.merge(&entry(1, 2, 1, Membership::Joined)), Ok(true));
    }

    /// The kept fronts always equal an order made anew, whatever changes in between.
    #[test]
    fn kept_orders_follow_every_change() {
        let mut random = mote_runtime::random::Random::new(3);
        let mut view = View::new(NodeId([9; 32]), &params(16), heapless::Vec::<Entry<()>, 128>::new());
        for step in 0..3000 {
            let n = random.below(100) as u8;
            let round = 20 + step / 30;
            match random.below(8) {
                0 => {
                    let membership = if random.below(2) == 0 { Membership::Joined } else { Membership::Left };
                    let counter = random.below(1 + step / 50);
                    let statement = Statement { id: NodeId([n; 32]), counter, membership };
                    _ = view.merge(&Entry::heard(statement, round, ()));
                }
                1 => view.publish(round),
                2 => {
                    _ = view.merge(&entry(
                        n,
                        round - random.below(20),
                        1 + random.below(2),
                        Membership::Joined,
                    ))
                }
                _ => view.active(&NodeId([n; 32]), round),
            }
            let at = round + random.below(3);
            let (mut kept, mut anew) = ([(0, NodeId([0; 32])); 60], [(0, NodeId([0; 32])); 60]);
            let count = view.next(at, None, &mut kept);
            let mut fresh = View { lists: [List::NEW; 2], ..view.clone() };
            assert_eq!(fresh.next(at, None, &mut anew), count);
            assert_eq!(kept, anew, "step {step}");
            let depth = random.below(70) as usize;
            let id = NodeId([n; 32]);
            let seed = order::seed(&view.beacon, at);
            let wanted = order::key(&seed, &id);
            let place = view.keys(at).filter(|k| *k < wanted).count();
            let member = n == 9 || view.get(&id).is_some_and(|e| e.membership == Membership::Joined);
            assert_eq!(view.within(at, &id, depth), member && place < depth);
        }
    }
}
