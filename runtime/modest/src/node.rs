//! The node: participant and aggregator in one, since every member is both from time to time.
//!
//! A round's model is always watched over by two sides. A participant has done its work when an aggregator has said
//! that its mean is with the next participants; the aggregator watches these until one of them says that an aggregator
//! has taken its update. So the loss of any message, and of all nodes but one of a side, delays a round but never ends
//! the training.

use crate::Error;
use crate::message::{Kind, Message, NodeId};
use crate::order;
use crate::relay::{Relay, SLOTS};
use crate::view::{Entry, Membership, Store, View};

/// What all members of a task agree on. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// Mixed into every order, so that nobody can choose an id by its places beforehand.
    pub beacon: [u8; 32],
    /// Participants a round (s), at most 32.
    pub sample: usize,
    /// Aggregators a round (a).
    pub aggregators: usize,
    /// Models out of 1000 x `sample` that suffice for a mean (sf).
    pub enough_permille: u16,
    /// Fewer models than this are averaged only when the aggregation timeout has run out twice.
    pub least: usize,
    /// Rounds of silence after which a member is no candidate (dk).
    pub forget: u32,
    /// Places behind the sample from which a sender is accepted, for members that did not answer.
    pub slack: usize,
    pub ping_timeout: u64,
    pub send_timeout: u64,
    /// Between two questions whether a model is still seen to.
    pub watch: u64,
    /// From the first model of a round to its mean, if not enough come.
    pub gather: u64,
    /// How often anything is sent again.
    pub resends: u8,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// The task begins: the first sample trains the initial parameters.
    Start,
    /// From the network, its sender proved ([`crate::seal`]).
    Message {
        from: NodeId,
        message: Message<'a>,
    },
    /// The training that [`Action::Train`] asked for has ended.
    Trained {
        round: u32,
    },
    /// The mean that [`Action::Aggregate`] asked for is there.
    Averaged {
        round: u32,
    },
    /// The node wants to be a member, and later no more.
    Join,
    Leave,
    /// A deadline has come.
    Tick,
}

/// What the driver has to do. A message to the node itself is to be handed back as an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    Send {
        to: NodeId,
        message: Message<'a>,
    },
    /// Send the trained or aggregated parameters of `round`, with the view's changes since `since`
    /// ([`Node::changes`]).
    SendModel {
        to: NodeId,
        round: u32,
        kind: Kind,
        since: u32,
    },
    /// Keep the parameters that came with this message, as `from`'s.
    Keep {
        from: NodeId,
        round: u32,
    },
    /// Stop training, if any is going on, and train the parameters that came with this message (in round 1 without
    /// one: the initial ones). The result is that of `round + 1`.
    Train {
        round: u32,
    },
    /// Make one of what was kept for `round`.
    Aggregate {
        round: u32,
        models: usize,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Duty {
    /// Nothing to do, or done.
    Passed,
    /// Training, or averaging.
    Working,
    /// Collecting models until then.
    Gathering { until: u64, extended: bool },
    /// The result is being handed on.
    Relaying,
}

#[derive(Clone, Debug)]
struct Role {
    round: u32,
    duty: Duty,
    /// Whom the models came from: they are told when this node's work is in other hands.
    senders: heapless::Vec<NodeId, SLOTS>,
    relay: Option<Relay>,
}

impl Role {
    const NEW: Role = Role { round: 0, duty: Duty::Passed, senders: heapless::Vec::new(), relay: None };
}

/// One member; `S` is the memory of its view.
#[derive(Clone, Debug)]
pub struct Node<S> {
    id: NodeId,
    params: Params,
    view: View<S>,
    /// Own joins and leaves.
    counter: u32,
    /// All changes through this round are known.
    synced: u32,
    participant: Role,
    aggregator: Role,
}

impl<S: Store> Node<S> {
    pub fn new(id: NodeId, params: Params, view: View<S>) -> Node<S> {
        let counter = view.get(&id).map_or(0, |own| own.counter);
        Node { id, params, view, counter, synced: 0, participant: Role::NEW, aggregator: Role::NEW }
    }

    pub fn id(&self) -> NodeId {
        self.id
    }

    pub fn view(&self) -> &View<S> {
        &self.view
    }

    /// The last round in which this node trained or averaged.
    pub fn round(&self) -> u32 {
        self.participant.round.max(self.aggregator.round)
    }

    /// Changes of the view for [`Action::SendModel`]; see [`View::changes`].
    pub fn changes(&self, since: u32, out: &mut [u8]) -> (usize, u32) {
        self.view.changes(since, self.round(), out)
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        let gathering = match self.aggregator.duty {
            Duty::Gathering { until, .. } => Some(until),
            _ => None,
        };
        let relays =
            [&self.participant, &self.aggregator].map(|r| r.relay.as_ref().and_then(Relay::deadline));
        relays.into_iter().flatten().chain(gathering).min()
    }

    /// Takes an event, and tells what to do.
    ///
    /// # Errors
    /// What was wrong with a message. The node is as sound as before, and what could be used of the message was.
    pub fn handle(
        &mut self,
        event: Event<'_>,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) -> Result<(), Error> {
        let result = match event {
            Event::Start => {
                self.start(act);
                Ok(())
            }
            Event::Message { from, message } => self.message(from, message, now, act),
            Event::Trained { round } => {
                if self.participant.round == round && self.participant.duty == Duty::Working {
                    let next = round.saturating_add(1);
                    self.participant.relay = Some(Relay::new(Kind::Trained, next, self.params.aggregators));
                    self.participant.duty = Duty::Relaying;
                }
                Ok(())
            }
            Event::Averaged { round } => {
                if self.aggregator.round == round && self.aggregator.duty == Duty::Working {
                    self.aggregator.relay = Some(Relay::new(Kind::Aggregated, round, self.params.sample));
                    self.aggregator.duty = Duty::Relaying;
                }
                Ok(())
            }
            Event::Join => self.advertise(Membership::Joined, act),
            Event::Leave => self.advertise(Membership::Left, act),
            Event::Tick => Ok(()),
        };
        self.poll(now, act);
        result
    }

    fn start(&mut self, act: &mut impl FnMut(Action<'_>)) {
        let sample = self.params.sample;
        if self.participant.round == 0
            && order::within(&self.view, &self.params, &self.id, 1, &self.id, sample)
        {
            self.begin_training(1, act);
        }
    }

    fn begin_training(&mut self, round: u32, act: &mut impl FnMut(Action<'_>)) {
        self.participant = Role { round, duty: Duty::Working, ..Role::NEW };
        self.view.active(&self.id, round);
        act(Action::Train { round });
    }

    /// Tells `sample` members, those who come first in the order of the current round.
    fn advertise(&mut self, membership: Membership, act: &mut impl FnMut(Action<'_>)) -> Result<(), Error> {
        let known = self.view.entries().iter().map(|e| e.last_round).max().unwrap_or(0);
        let (round, counter) = (known.max(self.round()), self.counter.saturating_add(1));
        self.counter = counter;
        let own = Entry { id: self.id, last_round: round, counter, membership, stamp: round, pending: false };
        self.view.merge(&own, round, false)?;
        let mut found = [([0; 32], NodeId([0; 32])); SLOTS];
        let room = found.get_mut(..self.params.sample.min(SLOTS)).unwrap_or_default();
        let count = order::next(&self.view, &self.params, &self.id, round, None, room);
        for (_, to) in found.iter().take(count).filter(|(_, id)| *id != self.id) {
            let message = match membership {
                Membership::Joined => Message::Join { round, counter },
                Membership::Left => Message::Leave { round, counter },
            };
            act(Action::Send { to: *to, message });
        }
        Ok(())
    }

    fn message(
        &mut self,
        from: NodeId,
        message: Message<'_>,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) -> Result<(), Error> {
        let again = now.saturating_add(self.params.watch);
        match message {
            Message::Ping { round } => {
                self.heard(&from, round);
                act(Action::Send { to: from, message: Message::Pong { round, since: self.synced } });
            }
            Message::Pong { round, since } => {
                self.heard(&from, round);
                for relay in self.relays().filter(|r| r.round == round) {
                    relay.pong(&from, since);
                }
            }
            Message::Join { round, counter } | Message::Leave { round, counter } => {
                let joins = matches!(message, Message::Join { .. });
                let membership = if joins { Membership::Joined } else { Membership::Left };
                let entry =
                    Entry { id: from, last_round: round, counter, membership, stamp: 0, pending: false };
                self.view.merge(&entry, self.round().saturating_add(1), true)?;
            }
            Message::Model { round, kind, through, changes } => {
                return self.model(from, round, kind, (through, changes), now, act);
            }
            Message::Received { round, kind, accepted } => {
                for relay in self.relays().filter(|r| r.round == round && r.kind == kind) {
                    relay.received(&from, accepted, again);
                }
            }
            Message::Holding { round, kind } => self.answer(from, round, kind, act),
            Message::Done { round, kind } => {
                for relay in self.relays().filter(|r| r.round == round && r.kind == kind) {
                    relay.done(&from);
                }
            }
        }
        Ok(())
    }

    /// `round` is what a peer claims: it moves that peer's own entry only, and not beyond the round after this node's,
    /// so a liar gains nothing by a large number.
    fn heard(&mut self, from: &NodeId, round: u32) {
        self.view.active(from, round.min(self.round().saturating_add(2)));
    }

    fn relays(&mut self) -> impl Iterator<Item = &mut Relay> {
        [&mut self.participant, &mut self.aggregator].into_iter().filter_map(|role| role.relay.as_mut())
    }

    fn model(
        &mut self,
        from: NodeId,
        round: u32,
        kind: Kind,
        (through, changes): (u32, &[u8]),
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) -> Result<(), Error> {
        // The maker of a mean stands among the round's first aggregators, that of an update in the sample before.
        let (order, depth) = match kind {
            Kind::Aggregated => (round, self.params.aggregators),
            Kind::Trained => (round.saturating_sub(1), self.params.sample),
        };
        let depth = depth.saturating_add(self.params.slack);
        if !order::within(&self.view, &self.params, &self.id, order, &from, depth) {
            act(Action::Send { to: from, message: Message::Received { round, kind, accepted: false } });
            return Ok(());
        }
        let merged = self.view.merge_changes(changes, round);
        if merged.is_ok() {
            self.synced = self.synced.max(through.min(round));
        }
        self.view.active(&from, order);
        match kind {
            Kind::Aggregated if round > self.participant.round => {
                self.begin_training(round, act);
                let _ = self.participant.senders.push(from);
            }
            Kind::Trained => {
                if round > self.aggregator.round {
                    let until = now.saturating_add(self.params.gather);
                    let duty = Duty::Gathering { until, extended: false };
                    self.aggregator = Role { round, duty, ..Role::NEW };
                    self.view.active(&self.id, round);
                }
                let gathering = matches!(self.aggregator.duty, Duty::Gathering { .. });
                let senders = &mut self.aggregator.senders;
                let new = round == self.aggregator.round && gathering && !senders.contains(&from);
                if new && senders.push(from).is_ok() {
                    act(Action::Keep { from, round });
                }
            }
            Kind::Aggregated => {}
        }
        self.answer(from, round, kind, act);
        merged
    }

    /// Says what has become of a model that `to` has sent.
    fn answer(&mut self, to: NodeId, round: u32, kind: Kind, act: &mut impl FnMut(Action<'_>)) {
        let role = match kind {
            Kind::Aggregated => &self.participant,
            Kind::Trained => &self.aggregator,
        };
        let passed = round < role.round || (round == role.round && role.handed_on());
        act(Action::Send {
            to,
            message: if passed {
                Message::Done { round, kind }
            } else {
                Message::Received { round, kind, accepted: round == role.round }
            },
        });
    }

    fn poll(&mut self, now: u64, act: &mut impl FnMut(Action<'_>)) {
        self.gather(now, act);
        for (role, kind) in [(&mut self.participant, Kind::Aggregated), (&mut self.aggregator, Kind::Trained)]
        {
            let Some(relay) = &mut role.relay else { continue };
            relay.poll(&self.view, &self.params, &self.id, now, act);
            if role.duty == Duty::Relaying && relay.handed_on() {
                role.duty = Duty::Passed;
                for to in &role.senders {
                    act(Action::Send { to: *to, message: Message::Done { round: role.round, kind } });
                }
                self.view.admit();
            }
            if relay.finished() {
                role.relay = None;
            }
        }
    }

    fn gather(&mut self, now: u64, act: &mut impl FnMut(Action<'_>)) {
        let Duty::Gathering { until, extended } = self.aggregator.duty else { return };
        let (round, models) = (self.aggregator.round, self.aggregator.senders.len());
        let enough = (self.params.sample * usize::from(self.params.enough_permille)).div_ceil(1000).max(1);
        let late = until <= now;
        if models >= enough || late && (models >= self.params.least || extended && models > 0) {
            self.aggregator.duty = Duty::Working;
            act(Action::Aggregate { round, models });
        } else if late {
            let until = now.saturating_add(self.params.gather);
            self.aggregator.duty = Duty::Gathering { until, extended: true };
        }
    }
}

impl Role {
    fn handed_on(&self) -> bool {
        self.duty == Duty::Passed
    }
}
