//! Bytes that come from the network: who sent them, and may they come in?
//!
//! An envelope is `sender (32) | task (8) | counter (8) | signature (64) | body`, numbers little-endian, signed over all
//! but the signature. The counter of a sender only rises, also across its restarts, so nothing is heard twice.
//! A ticket is `issuer's signature over (task, member, last round)`: who runs the task decides who is a member.

use crate::view::{Membership, Statement, Trust};
use crate::vouch;
use crate::{Error, NodeId};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

/// Bytes before the body.
pub const OVERHEAD: usize = 32 + 8 + 8 + 64;
const SIGNED: usize = 48;

/// What signs messages, one per node.
pub struct Sealer {
    key: SigningKey,
    task: u64,
    counter: u64,
}

impl Sealer {
    /// `counter`: at least the last one that was used, or kept aside for use, before a restart.
    pub fn new(secret: &[u8; 32], task: u64, counter: u64) -> Sealer {
        Sealer { key: SigningKey::from_bytes(secret), task, counter }
    }

    pub fn id(&self) -> NodeId {
        NodeId(self.key.verifying_key().to_bytes())
    }

    pub fn task(&self) -> u64 {
        self.task
    }

    /// To be kept across restarts.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Seals the body in `envelope[OVERHEAD..]`, in place.
    ///
    /// # Errors
    /// [`Error::Room`] for less than [`OVERHEAD`] bytes, [`Error::Replay`] when the counter has run out.
    pub fn seal(&mut self, envelope: &mut [u8]) -> Result<(), Error> {
        let have = envelope.len();
        let room = Error::Room { needed: OVERHEAD, have };
        let (header, rest) = envelope.split_first_chunk_mut::<SIGNED>().ok_or(room)?;
        let (signature, body) = rest.split_first_chunk_mut::<64>().ok_or(room)?;
        let spent = Error::Replay { counter: self.counter, seen: self.counter };
        self.counter = self.counter.checked_add(1).ok_or(spent)?;
        *header = header_of(&self.id(), self.task, self.counter);
        *signature = vouch::signature(&self.key, &digest(header, body)).to_bytes();
        Ok(())
    }
}

/// Who claims to have sent an envelope, and its body: nothing is proved yet.
///
/// # Errors
/// [`Error::Malformed`].
pub fn peek(envelope: &[u8]) -> Result<(NodeId, &[u8]), Error> {
    let (header, body) = envelope.split_first_chunk::<OVERHEAD>().ok_or(Error::Malformed)?;
    let id = header.first_chunk::<32>().ok_or(Error::Malformed)?;
    Ok((NodeId(*id), body))
}

/// The highest counters heard of `N` senders.
#[derive(Clone, Debug, Default)]
pub struct Replays<const N: usize> {
    seen: heapless::Vec<(NodeId, u64), N>,
}

impl<const N: usize> Replays<N> {
    pub const fn new() -> Replays<N> {
        Replays { seen: heapless::Vec::new() }
    }

    /// The sender and body of an envelope that was made for `task` and not seen before. Nothing of it counts unless
    /// its signature is right.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Foreign`], [`Error::Replay`], [`Error::Signature`], and [`Error::Full`] for an
    /// unknown sender when `N` are known: check its ticket before.
    pub fn open<'a>(&mut self, envelope: &'a [u8], task: u64) -> Result<(NodeId, &'a [u8]), Error> {
        let (header, rest) = envelope.split_first_chunk::<SIGNED>().ok_or(Error::Malformed)?;
        let (signature, body) = rest.split_first_chunk::<64>().ok_or(Error::Malformed)?;
        let (id, numbers) = header.split_first_chunk::<32>().ok_or(Error::Malformed)?;
        let (of, counter) = numbers.split_first_chunk::<8>().ok_or(Error::Malformed)?;
        let counter = counter.first_chunk::<8>().ok_or(Error::Malformed)?;
        let (id, counter) = (NodeId(*id), u64::from_le_bytes(*counter));
        if u64::from_le_bytes(*of) != task {
            return Err(Error::Foreign);
        }
        let known = self.seen.iter().position(|(seen, _)| *seen == id);
        if let Some((_, seen)) = known.and_then(|at| self.seen.get(at))
            && counter <= *seen
        {
            return Err(Error::Replay { counter, seen: *seen });
        }
        verify(&id, &digest(header, body), signature)?;
        match known.and_then(|at| self.seen.get_mut(at)) {
            Some((_, seen)) => *seen = counter,
            None => self.seen.push((id, counter)).map_err(|_| Error::Full { capacity: N })?,
        }
        Ok((id, body))
    }
}

/// Leave to take part in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub task: u64,
    pub member: NodeId,
    /// Last round in which it counts.
    pub until: u32,
    pub signature: [u8; 64],
}

impl Ticket {
    /// A ticket signed with the secret key of who runs the task.
    pub fn issue(secret: &[u8; 32], task: u64, member: NodeId, until: u32) -> Ticket {
        let signature =
            vouch::signature(&SigningKey::from_bytes(secret), &ticket_bytes(task, &member, until)).to_bytes();
        Ticket { task, member, until, signature }
    }

    /// # Errors
    /// [`Error::Foreign`]: of another task or member, or run out; [`Error::Signature`]: not the issuer's.
    pub fn check(&self, issuer: &NodeId, task: u64, member: &NodeId, round: u32) -> Result<(), Error> {
        if self.task != task || self.member != *member || round > self.until {
            return Err(Error::Foreign);
        }
        verify(issuer, &ticket_bytes(self.task, &self.member, self.until), &self.signature)
    }
}

/// Signs what a node states of itself, and checks what others do: let in by a ticket, and signed by themselves.
pub struct Identity {
    key: SigningKey,
    issuer: NodeId,
    ticket: Ticket,
}

/// Proof of a statement: the ticket's end and signature, and the member's own signature (each in two halves).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Signed {
    until: u32,
    ticket: [[u8; 32]; 2],
    own: [[u8; 32]; 2],
}

impl Identity {
    /// The identity of `secret`'s owner in the task of `ticket`, which `issuer` runs.
    pub fn new(secret: &[u8; 32], issuer: NodeId, ticket: Ticket) -> Identity {
        Identity { key: SigningKey::from_bytes(secret), issuer, ticket }
    }

    pub fn task(&self) -> u64 {
        self.ticket.task
    }
}

impl Trust for Identity {
    type Proof = Signed;
    const PROOF_BYTES: usize = 5 + 64 + 64;

    fn prove(&self, own: &Statement) -> Signed {
        let signature = vouch::signature(&self.key, &statement_bytes(self.ticket.task, own)).to_bytes();
        Signed { until: self.ticket.until, ticket: halves(&self.ticket.signature), own: halves(&signature) }
    }

    fn holds(&self, statement: &Statement, proof: &Signed, round: u32) -> bool {
        let (task, member) = (self.ticket.task, statement.id);
        let ticket = Ticket { task, member, until: proof.until, signature: whole(&proof.ticket) };
        ticket.check(&self.issuer, task, &member, round).is_ok()
            && verify(&member, &statement_bytes(task, statement), &whole(&proof.own)).is_ok()
    }
}

fn halves(signature: &[u8; 64]) -> [[u8; 32]; 2] {
    let mut halves = [[0; 32]; 2];
    halves.as_flattened_mut().copy_from_slice(signature);
    halves
}

fn whole(halves: &[[u8; 32]; 2]) -> [u8; 64] {
    let mut whole = [0; 64];
    whole.copy_from_slice(halves.as_flattened());
    whole
}

fn statement_bytes(task: u64, statement: &Statement) -> [u8; 32] {
    use blake2::Digest;
    let hash = blake2::Blake2s256::new().chain_update(b"mote statement 1").chain_update(task.to_le_bytes());
    let left = u8::from(statement.membership == Membership::Left);
    let hash = hash.chain_update(statement.id.0).chain_update(statement.counter.to_le_bytes());
    hash.chain_update([left]).finalize().into()
}

fn verify(id: &NodeId, signed: &[u8], signature: &[u8; 64]) -> Result<(), Error> {
    let key = VerifyingKey::from_bytes(&id.0).map_err(|_| Error::Signature)?;
    key.verify_strict(signed, &Signature::from_bytes(signature)).map_err(|_| Error::Signature)
}

fn header_of(id: &NodeId, task: u64, counter: u64) -> [u8; SIGNED] {
    let mut header = [0; SIGNED];
    let numbers = task.to_le_bytes().into_iter().chain(counter.to_le_bytes());
    header.iter_mut().zip(id.0.into_iter().chain(numbers)).for_each(|(to, from)| *to = from);
    header
}

/// What is signed of an envelope: one hash, so that a long body is read once.
fn digest(header: &[u8; SIGNED], body: &[u8]) -> [u8; 32] {
    use blake2::Digest;
    let hash = blake2::Blake2s256::new().chain_update(b"mote envelope 1").chain_update(header);
    hash.chain_update(body).finalize().into()
}

fn ticket_bytes(task: u64, member: &NodeId, until: u32) -> [u8; 32] {
    use blake2::Digest;
    let hash = blake2::Blake2s256::new().chain_update(b"mote ticket 1").chain_update(task.to_le_bytes());
    hash.chain_update(member.0).chain_update(until.to_le_bytes()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(sealer: &mut Sealer, body: &[u8]) -> Vec<u8> {
        let mut envelope = [&[0; OVERHEAD], body].concat();
        sealer.seal(&mut envelope).unwrap();
        envelope
    }

    #[test]
    fn what_was_heard_is_not_heard_again_even_after_a_restart() {
        let (mut sender, mut heard) = (Sealer::new(&[1; 32], 7, 0), Replays::<4>::new());
        let (first, second) = (sealed(&mut sender, b"one"), sealed(&mut sender, b"two"));
        assert_eq!(heard.open(&second, 7), Ok((sender.id(), &b"two"[..])));
        assert_eq!(heard.open(&second, 7), Err(Error::Replay { counter: 2, seen: 2 }));
        assert_eq!(heard.open(&first, 7), Err(Error::Replay { counter: 1, seen: 2 }), "older");
        let mut again = Sealer::new(&[1; 32], 7, sender.counter());
        assert!(heard.open(&sealed(&mut again, b"three"), 7).is_ok());
    }

    #[test]
    fn every_changed_bit_is_refused_and_changes_nothing() {
        let (mut sender, mut heard) = (Sealer::new(&[1; 32], 7, 0), Replays::<4>::new());
        let envelope = sealed(&mut sender, b"body");
        for bit in 0..envelope.len() * 8 {
            let mut bad = envelope.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(heard.open(&bad, 7).is_err(), "bit {bit}");
        }
        for length in 0..envelope.len() {
            assert!(heard.open(&envelope[..length], 7).is_err());
        }
        assert_eq!(heard.open(&envelope, 8), Err(Error::Foreign));
        assert!(heard.open(&envelope, 7).is_ok());
    }

    #[test]
    fn strangers_cannot_push_out_who_is_known() {
        let mut heard = Replays::<1>::new();
        let (mut member, mut stranger) = (Sealer::new(&[1; 32], 7, 0), Sealer::new(&[2; 32], 7, 0));
        let first = sealed(&mut member, b"");
        heard.open(&first, 7).unwrap();
        assert_eq!(heard.open(&sealed(&mut stranger, b""), 7), Err(Error::Full { capacity: 1 }));
        assert!(matches!(heard.open(&first, 7), Err(Error::Replay { .. })));
    }

    #[test]
    fn only_the_issuers_ticket_for_this_member_task_and_time_counts() {
        let [issuer, member, other] = [3, 4, 5].map(|n| Sealer::new(&[n; 32], 7, 0).id());
        let ticket = Ticket::issue(&[3; 32], 7, member, 100);
        assert_eq!(ticket.check(&issuer, 7, &member, 100), Ok(()));
        assert_eq!(ticket.check(&issuer, 7, &member, 101), Err(Error::Foreign), "run out");
        assert_eq!(ticket.check(&issuer, 8, &member, 1), Err(Error::Foreign));
        assert_eq!(ticket.check(&issuer, 7, &other, 1), Err(Error::Foreign));
        assert_eq!(ticket.check(&other, 7, &member, 1), Err(Error::Signature));
        let longer = Ticket { until: 200, ..ticket };
        assert_eq!(longer.check(&issuer, 7, &member, 150), Err(Error::Signature));
        let own = Ticket::issue(&[4; 32], 7, member, 100);
        assert_eq!(own.check(&issuer, 7, &member, 1), Err(Error::Signature), "signed by itself");
    }
}
