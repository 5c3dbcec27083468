//! A node behind its door.

use crate::changes::read_statement;
use crate::message::Message;
use crate::params::{Action, Event};
use crate::seal::{self, Identity, OVERHEAD, Replays, Sealer, Signed};
use crate::view::{Membership, Store, Trust};
use crate::{Error, Node, NodeId};

/// A node, and all that bytes of the network have to pass before it: size, membership or a ticket, signature, replay.
/// Hears at most `N` senders. The driver hands it envelopes and sends those that [`Member::seal`] makes.
pub struct Member<S, const N: usize> {
    node: Node<S, Identity>,
    sealer: Sealer,
    heard: Replays<N>,
    largest: usize,
}

impl<S: Store<Proof = Signed>, const N: usize> Member<S, N> {
    /// `largest`: bytes of an envelope at most.
    ///
    /// # Errors
    /// [`Error::Foreign`]: node and sealer are of unlike ids or tasks.
    pub fn new(node: Node<S, Identity>, sealer: Sealer, largest: usize) -> Result<Member<S, N>, Error> {
        if sealer.id() != node.id() || sealer.task() != node.trust().task() {
            return Err(Error::Foreign);
        }
        Ok(Member { node, sealer, heard: Replays::new(), largest })
    }

    pub fn node(&self) -> &Node<S, Identity> {
        &self.node
    }

    /// The counter to be kept across restarts.
    pub fn counter(&self) -> u64 {
        self.sealer.counter()
    }

    /// Opens an envelope and handles what is in it; `act` gets the parameters that came with it, too (none unless it is
    /// a model). A message of the node to itself needs no envelope: [`Member::handle`].
    ///
    /// # Errors
    /// [`Error::Room`] for one that is too large, [`Error::Foreign`] for a stranger without a ticket, and those of
    /// [`Replays::open`], [`Message::parse`] and [`Node::handle`]. What was refused has changed nothing.
    pub fn receive(
        &mut self,
        envelope: &[u8],
        now: u64,
        act: &mut impl FnMut(Action<'_>, &[u8]),
    ) -> Result<(), Error> {
        if envelope.len() > self.largest {
            return Err(Error::Room { needed: envelope.len(), have: self.largest });
        }
        let (claimed, body) = seal::peek(envelope)?;
        let (message, _) = Message::parse(body)?;
        self.may_enter(&claimed, &message)?;
        let (from, body) = self.heard.open(envelope, self.sealer.task())?;
        let (message, parameters) = Message::parse(body)?;
        self.node.handle(Event::Message { from, message }, now, &mut |action| act(action, parameters))
    }

    /// Everything that happens to the node but messages of others.
    ///
    /// # Errors
    /// Those of [`Node::handle`].
    pub fn handle(
        &mut self,
        event: Event<'_>,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) -> Result<(), Error> {
        self.node.handle(event, now, act)
    }

    /// Writes `message` and `parameters` into a sealed envelope; returns its bytes.
    ///
    /// # Errors
    /// [`Error::Room`], and those of [`Sealer::seal`].
    pub fn seal(&mut self, message: &Message<'_>, parameters: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let have = out.len();
        let room = out.get_mut(OVERHEAD..).ok_or(Error::Room { needed: OVERHEAD, have })?;
        let used = message.write(room)?;
        let end = OVERHEAD + used + parameters.len();
        let envelope = out.get_mut(..end).ok_or(Error::Room { needed: end, have })?;
        if let Some(behind) = envelope.get_mut(OVERHEAD + used..) {
            behind.copy_from_slice(parameters);
        }
        self.sealer.seal(envelope)?;
        Ok(end)
    }

    /// Seals what [`Action::SendModel`] asks for; `changes` is memory for the view's.
    ///
    /// # Errors
    /// As [`Member::seal`].
    pub fn seal_model(
        &mut self,
        action: &Action<'_>,
        parameters: &[u8],
        changes: &mut [u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let Action::SendModel { round, kind, since, .. } = *action else { return Err(Error::Malformed) };
        let message = self.node.model(round, kind, since, changes);
        self.seal(&message, parameters, out)
    }

    /// A member, or somebody with leave to become one.
    fn may_enter(&self, from: &NodeId, message: &Message<'_>) -> Result<(), Error> {
        if self.node.view().get(from).is_some_and(|e| e.membership == Membership::Joined) {
            return Ok(());
        }
        let Message::Advertise { statement } = message else { return Err(Error::Foreign) };
        let (statement, proof) = read_statement::<Signed>(statement)?;
        let round = self.node.round();
        let right = statement.id == *from && self.node.trust().holds(&statement, &proof, round);
        if right { Ok(()) } else { Err(Error::Foreign) }
    }
}
