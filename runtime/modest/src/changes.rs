//! Changes of a view instead of whole views (delta-state CRDTs, Almeida et al. 2018).
//!
//! An entry remembers in which round its last change was *published*: sent along with a model. That number travels, so
//! it is the same at all nodes, and since each round's models go through its aggregators, who was in a round knows what
//! was published before. A node tells in its pong through which [`Mark`] it has everything, and only what is stamped
//! later is sent, oldest first, as much as fits: a message that was cut within a round is continued within it. An active
//! node that the receiver knows is 8 bytes of its id and two numbers; a statement comes with its proof.
//!
//! Where the chain of rounds was broken (loss, partitions), digests of the statements differ, and the receiver asks for
//! a whole view next time; what the sender of a whole view did not have is published anew.

use crate::view::{Entry, Membership, Statement, Store, Trust, UNPUBLISHED, View};
use crate::{Error, NodeId};
use serde::{Deserialize, Serialize};

/// How far a node knows everything: all that was published before `round`, and in it up to the ids that begin with
/// `place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    pub round: u32,
    pub place: u64,
}

impl Mark {
    /// Nothing is known.
    pub const START: Mark = Mark { round: 0, place: 0 };
    /// Nothing is wanted.
    pub const ALL: Mark = Mark::end(u32::MAX);

    /// All that `round` published.
    pub const fn end(round: u32) -> Mark {
        Mark { round, place: u64::MAX }
    }

    fn number(self) -> u128 {
        u128::from(self.round) << 64 | u128::from(self.place)
    }

    fn from_number(number: u128) -> Mark {
        Mark { round: (number >> 64) as u32, place: number as u64 }
    }
}

#[derive(Serialize, Deserialize)]
enum Record<P> {
    Active {
        place: [u8; 8],
        last_round: u32,
        stamp: u32,
    },
    Stated {
        id: [u8; 32],
        counter: u32,
        left: bool,
        from: u32,
        last_round: u32,
        stamp: u32,
        said: u32,
        proof: P,
    },
}

const ACTIVE_BYTES: usize = 1 + 8 + 2 * 5;
/// Bytes of a statement on the wire at most, beside its proof.
pub const STATED_BYTES: usize = 1 + 32 + 1 + 5 * 5;
/// Bytes of [`write_statement`] at most.
pub(crate) const STATEMENT_ROOM: usize = STATED_BYTES + 200;

impl<P: Copy> Entry<P> {
    fn mark(&self) -> Mark {
        Mark { round: self.stamp, place: self.place() }
    }

    fn is_news(&self, since: Mark) -> bool {
        self.mark() > since
    }

    /// Does a receiver that knows everything through `since` lack the statement?
    fn is_stated_since(&self, since: Mark) -> bool {
        since == Mark::START || (Mark { round: self.said, place: self.place() }) > since
    }

    fn record(&self, stated: bool) -> Record<P> {
        let (last_round, stamp) = (self.last_round, self.stamp);
        if !stated {
            return Record::Active { place: self.place().to_be_bytes(), last_round, stamp };
        }
        let left = self.membership == Membership::Left;
        let Entry { id, counter, from, said, proof, .. } = *self;
        Record::Stated { id: id.0, counter, left, from, last_round, stamp, said, proof }
    }
}

/// Writes what was published after `since`, and what this node has to publish in `round`, into `out`; returns the bytes
/// and the mark through which they are complete. What does not fit is left to the next message.
pub fn write<S: Store, T: Trust<Proof = S::Proof>>(
    view: &mut View<S>,
    since: Mark,
    round: u32,
    out: &mut [u8],
) -> (usize, Mark) {
    view.publish(round);
    let size = |e: &Entry<S::Proof>| {
        if e.is_stated_since(since) { STATED_BYTES + T::PROOF_BYTES } else { ACTIVE_BYTES }
    };
    let room = out.len();
    let fits = |through: Mark| {
        let news = view.entries().iter().filter(|e| e.is_news(since) && e.mark() <= through);
        news.map(size).sum::<usize>() <= room
    };
    let end = Mark::end(round).max(since);
    let through = if fits(end) {
        end
    } else {
        // The last mark that fits, by bisection: no memory to sort in.
        let (mut good, mut bad) = (since.number(), end.number());
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if fits(Mark::from_number(middle)) { good = middle } else { bad = middle }
        }
        Mark::from_number(good)
    };
    let mut used = 0;
    for entry in view.entries().iter().filter(|e| e.is_news(since) && e.mark() <= through) {
        let Some(rest) = out.get_mut(used..) else { break };
        let Ok(bytes) = postcard::to_slice(&entry.record(entry.is_stated_since(since)), rest) else { break };
        used += bytes.len();
    }
    (used, through)
}

/// What reading changes has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// They speak of a node that this view does not know.
    pub lacking: bool,
    /// Why something was left out, if anything was; the rest was merged.
    pub refused: Option<Error>,
}

/// Reads what [`write`] wrote for a message of `round`; everything through `known` was known. `whole`: it is all that the
/// sender knows.
pub fn read<S: Store, T: Trust<Proof = S::Proof>>(
    view: &mut View<S>,
    trust: &T,
    mut bytes: &[u8],
    round: u32,
    known: Mark,
    whole: bool,
) -> Read {
    let mut read = Read { lacking: false, refused: None };
    if whole {
        view.store.entries_mut().iter_mut().for_each(|e| e.untold = true);
    }
    while !bytes.is_empty() {
        let Ok((record, rest)) = postcard::take_from_bytes::<Record<S::Proof>>(bytes) else {
            read.refused = Some(Error::Malformed);
            break;
        };
        bytes = rest;
        let taken = match record {
            Record::Active { place, last_round, stamp } => {
                let entries = view.entries();
                let at = entries.partition_point(|e| e.place() < u64::from_be_bytes(place));
                match entries.get(at).filter(|e| e.place().to_be_bytes() == place) {
                    None => {
                        read.lacking = true;
                        Ok(())
                    }
                    Some(&old) => {
                        // Nobody is active, or tells of it, in a round to come.
                        let (last_round, stamp) = (last_round.min(round), stamp.min(round));
                        view.merge(&Entry { last_round, stamp, ..old }).map(|_| ())
                    }
                }
            }
            Record::Stated { .. } => statement(view, trust, record, round, known),
        };
        read.refused = read.refused.or(taken.err());
    }
    if whole && read.refused.is_none() {
        for entry in view.store.entries_mut().iter_mut().filter(|e| e.untold) {
            (entry.stamp, entry.said) = (UNPUBLISHED, UNPUBLISHED);
        }
    }
    read
}

fn statement<S: Store, T: Trust<Proof = S::Proof>>(
    view: &mut View<S>,
    trust: &T,
    record: Record<S::Proof>,
    round: u32,
    known: Mark,
) -> Result<(), Error> {
    let Record::Stated { id, counter, left, from, last_round, stamp, said, proof } = record else {
        return Ok(());
    };
    let membership = if left { Membership::Left } else { Membership::Joined };
    let stated = Statement { id: NodeId(id), counter, membership };
    let old = view.get(&stated.id).copied();
    let new = old.is_none_or(|old| (counter, membership) > (old.counter, old.membership));
    if new && !trust.holds(&stated, &proof, round) {
        return Err(Error::Signature);
    }
    let (mut stamp, mut said) = (stamp.min(round), said.min(round));
    if new && (Mark { round: said, place: u64::MAX }) <= known {
        // It went by when this node was told everything, so others may lack it, too.
        (stamp, said) = (UNPUBLISHED, UNPUBLISHED);
    }
    let last_round = last_round.min(round);
    view.merge(&Entry { from, last_round, stamp, said, proof, ..Entry::heard(stated, last_round, proof) })?;
    Ok(())
}

/// The statement of an entry, as it stands in changes, for [`crate::Message::Advertise`].
pub(crate) fn write_statement<P: Copy + Serialize>(entry: &Entry<P>, out: &mut [u8]) -> usize {
    postcard::to_slice(&entry.record(true), out).map_or(0, |bytes| bytes.len())
}

/// Reads an advertised statement; whether it holds is still to be asked.
///
/// # Errors
/// [`Error::Malformed`].
pub fn read_statement<P: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<(Statement, P), Error> {
    match postcard::take_from_bytes(bytes) {
        Ok((Record::Stated { id, counter, left, proof, .. }, [])) => {
            let membership = if left { Membership::Left } else { Membership::Joined };
            Ok((Statement { id: NodeId(id), counter, membership }, proof))
        }
        _ => Err(Error::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::{entry, view};

    fn told<S: Store>(view: &View<S>) -> Vec<(NodeId, u32, u32, Membership)> {
        view.entries().iter().map(|e| (e.id, e.last_round, e.counter, e.membership)).collect()
    }

    #[test]
    fn cut_changes_are_completed_by_the_next_message_even_within_a_round() {
        let mut from = view::<64>();
        for n in 0..40 {
            // Thirty in one round: far more than a message takes.
            let stamp = if n < 30 { 2 } else { 3 };
            let entry = Entry { stamp, said: stamp, ..entry(n, u32::from(n / 4), 1, Membership::Joined) };
            from.merge(&entry).unwrap();
        }
        let mut to = view::<64>();
        let (mut since, mut messages) = (Mark::START, 0);
        while since < Mark::end(10) {
            let mut bytes = [0; 4 * STATED_BYTES];
            let (used, through) = write::<_, ()>(&mut from, since, 10, &mut bytes);
            assert!(through > since, "no progress behind {since:?}");
            let read = read(&mut to, &(), &bytes[..used], 11, since, false);
            assert_eq!(read, Read { lacking: false, refused: None });
            (since, messages) = (through, messages + 1);
        }
        assert_eq!(messages, 10);
        assert_eq!((told(&from), from.digest()), (told(&to), to.digest()));
        assert_eq!(
            write::<_, ()>(&mut from, Mark::end(10), 10, &mut [0; 64]),
            (0, Mark::end(10)),
            "nothing new"
        );
    }

    #[test]
    fn who_was_active_takes_few_bytes_and_must_be_known() {
        let (mut from, mut to) = (view::<4>(), view::<4>());
        for view in [&mut from, &mut to] {
            view.merge(&entry(1, 5, 1, Membership::Joined)).unwrap();
        }
        from.merge(&entry(2, 5, 1, Membership::Joined)).unwrap();
        [1, 2].iter().for_each(|n| from.active(&NodeId([*n; 32]), 100));
        let mut bytes = [0; 64];
        let (used, through) = write::<_, ()>(&mut from, Mark::end(1), 100, &mut bytes);
        assert_eq!((used, through), (2 * (1 + 8 + 1 + 1), Mark::end(100)));
        let read = read(&mut to, &(), &bytes[..used], 100, Mark::end(1), false);
        assert_eq!((read.lacking, to.entries().len(), to.entries()[0].last_round), (true, 1, 100));
    }

    #[test]
    fn what_the_sender_of_a_whole_view_lacks_is_published_anew() {
        let (mut behind, mut own) = (view::<4>(), view::<4>());
        behind.merge(&entry(1, 5, 1, Membership::Joined)).unwrap();
        [1, 2].iter().for_each(|n| _ = own.merge(&entry(*n, 5, 1, Membership::Joined)).unwrap());
        let mut bytes = [0; 512];
        let (used, _) = write::<_, ()>(&mut behind, Mark::START, 50, &mut bytes);
        read(&mut own, &(), &bytes[..used], 50, Mark::START, true);
        let (used, through) = write::<_, ()>(&mut own, Mark::end(50), 51, &mut bytes);
        read(&mut behind, &(), &bytes[..used], 51, through, false);
        assert_eq!(told(&behind), told(&own));
        assert_eq!(behind.digest(), own.digest());
    }
}
