//! The node: participant and aggregator in one, since every member is both from time to time.
//!
//! A round's model is always watched over by two sides. A participant has done its work when an aggregator has said
//! that its mean is with the next participants; the aggregator watches these until one of them says that an aggregator
//! has taken its update. So the loss of any message, and of all nodes but one of a side, delays a round but never ends
//! the training.

use crate::Error;
use crate::advert::Advert;
use crate::changes::{self, Mark};
use crate::message::{Kind, Message, NodeId};
use crate::params::{Action, Event, Params};
use crate::relay::{Relay, SLOTS};
use crate::view::{Entry, Membership, Statement, Store, Trust, View};

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

/// One member; `S` is the memory of its view, `T` proves and checks statements.
#[derive(Clone, Debug)]
pub struct Node<S, T> {
    params: Params,
    view: View<S>,
    trust: T,
    /// Own joins and leaves.
    counter: u32,
    advert: Option<Advert>,
    /// All changes through this mark are known.
    synced: Mark,
    /// Round in which all was asked for last.
    resynced: u32,
    /// Who was told `synced` in this round, so that only one sends what is older.
    promised: Option<(NodeId, u32)>,
    pace: Pace,
    participant: Role,
    aggregator: Role,
}

/// Which round can have been reached by now: rounds take time, whatever is claimed.
#[derive(Clone, Copy, Debug)]
struct Pace {
    limit: u32,
    at: Option<u64>,
}

impl Pace {
    fn limit(&mut self, now: u64, params: &Params) -> u32 {
        let fastest = params.fastest.max(1);
        let at = *self.at.get_or_insert(now);
        let passed = now.saturating_sub(at) / fastest;
        self.at = Some(at + passed * fastest);
        self.limit = self.limit.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.limit
    }

    /// `round`, at most the limit, has been reached.
    fn reached(&mut self, round: u32, params: &Params) {
        self.limit = self.limit.min(round.saturating_add(params.lead));
    }
}

/// What a model's message says of views.
#[derive(Clone, Copy)]
struct Changes<'a> {
    since: Mark,
    through: Mark,
    digest: u64,
    bytes: &'a [u8],
}

/// Between two requests for a whole view, in rounds.
const RESYNC: u32 = 64;

impl<S: Store<Proof = T::Proof>, T: Trust> Node<S, T> {
    /// A node that knows everything through `synced`: [`Mark::end`]`(0)` for one that begins with all founders,
    /// [`Mark::START`] for one that knows a few members to join by.
    pub fn new(params: Params, view: View<S>, trust: T, synced: Mark) -> Node<S, T> {
        let counter = view.get(&view.own()).map_or(0, |own| own.counter);
        let pace = Pace { limit: view.latest().saturating_add(params.lead), at: None };
        let (advert, promised, resynced) = (None, None, 0);
        let (participant, aggregator) = (Role::NEW, Role::NEW);
        Node {
            params,
            view,
            trust,
            counter,
            advert,
            synced,
            resynced,
            promised,
            pace,
            participant,
            aggregator,
        }
    }

    pub fn id(&self) -> NodeId {
        self.view.own()
    }

    pub fn params(&self) -> &Params {
        &self.params
    }

    pub fn view(&self) -> &View<S> {
        &self.view
    }

    pub fn trust(&self) -> &T {
        &self.trust
    }

    /// The last round in which this node trained or averaged.
    pub fn round(&self) -> u32 {
        self.participant.round.max(self.aggregator.round)
    }

    /// Whether this node has nothing in hand. While a training goes on, there is always a member that has.
    pub fn idle(&self) -> bool {
        let idle = |role: &Role| role.duty == Duty::Passed && role.relay.is_none();
        idle(&self.participant) && idle(&self.aggregator)
    }

    /// The members of a round as this node sees them, in order; returns how many there were, at most as many as `out`
    /// holds.
    pub fn sample(&mut self, round: u32, out: &mut [crate::order::Key]) -> usize {
        self.view.next(round, None, out)
    }

    /// The message of [`Action::SendModel`]; `changes` is memory for the view's changes, which may be as little as one
    /// entry: what does not fit goes with the next.
    pub fn model<'a>(&mut self, round: u32, kind: Kind, since: Mark, changes: &'a mut [u8]) -> Message<'a> {
        let own = self.round();
        let (used, through) = changes::write::<S, T>(&mut self.view, since, own, changes);
        // Who got everything in a round knows what those of the round before published; else its own knowledge ends earlier.
        let fresh = self.synced.round.saturating_add(2) >= own;
        let through = if fresh { through } else { through.min(self.synced.max(since)) };
        let digest = self.view.digest();
        Message::Model {
            round,
            kind,
            since,
            through,
            digest,
            changes: changes.get(..used).unwrap_or_default(),
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        let gathering = match self.aggregator.duty {
            Duty::Gathering { until, .. } => Some(until),
            _ => None,
        };
        let relays =
            [&self.participant, &self.aggregator].map(|r| r.relay.as_ref().and_then(Relay::deadline));
        relays.into_iter().flatten().chain(gathering).chain(self.advert.as_ref().map(Advert::deadline)).min()
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
                self.pace.limit(now, &self.params);
                self.start(act);
                Ok(())
            }
            Event::Message { from, message } => self.message(from, message, now, act),
            Event::Trained { round } => {
                if self.participant.round == round && self.participant.duty == Duty::Working {
                    let next = round.saturating_add(1);
                    self.participant.relay = Some(Relay::new(Kind::Trained, next, self.params.aggregators));
                    self.participant.duty = Duty::Relaying;
                    // One of those who were silent for too long may be back, or the network whole again.
                    if let Some(to) = self.view.forgotten(round) {
                        act(Action::Send { to, message: Message::Ping { round } });
                    }
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
            Event::Join { round } => {
                self.pace = Pace { limit: round.saturating_add(self.params.lead), at: Some(now) };
                self.state(Membership::Joined, round)
            }
            Event::Leave => self.state(Membership::Left, 0),
            Event::Resume { round } => self.resume(round, now, act),
            Event::Tick => Ok(()),
        };
        self.poll(now, act);
        result
    }

    fn start(&mut self, act: &mut impl FnMut(Action<'_>)) {
        let (own, sample) = (self.id(), self.params.sample);
        if self.participant.round == 0 && self.view.within(1, &own, sample) {
            self.begin_training(1, act);
        }
    }

    /// Takes up the training, unless this node has work in hand. Others accept updates from so deep in the order, so as
    /// many may begin: of those who stand in front, some may not be back.
    fn resume(&mut self, round: u32, now: u64, act: &mut impl FnMut(Action<'_>)) -> Result<(), Error> {
        self.reachable(round, now)?;
        let (own, depth) = (self.id(), self.params.sample.saturating_add(self.params.slack));
        if self.idle() && round > self.participant.round && self.view.within(round, &own, depth) {
            self.begin_training(round, act);
        }
        Ok(())
    }

    fn begin_training(&mut self, round: u32, act: &mut impl FnMut(Action<'_>)) {
        self.participant = Role { round, duty: Duty::Working, ..Role::NEW };
        self.pace.reached(round, &self.params);
        let own = self.id();
        self.view.active(&own, round);
        act(Action::Train { round });
    }

    /// States that this node is a member, or none any more, and has others told.
    fn state(&mut self, membership: Membership, round: u32) -> Result<(), Error> {
        let round = self.view.latest().max(self.round()).max(round);
        self.counter = self.counter.saturating_add(1);
        let own = Statement { id: self.id(), counter: self.counter, membership };
        self.view.merge(&Entry::heard(own, round, self.trust.prove(&own)))?;
        self.advert = Some(Advert::new(self.counter, round));
        Ok(())
    }

    /// Takes a statement from its node itself.
    fn stated(&mut self, from: NodeId, bytes: &[u8], act: &mut impl FnMut(Action<'_>)) -> Result<(), Error> {
        let (statement, proof) = changes::read_statement(bytes)?;
        let round = self.view.latest().max(self.round());
        if statement.id != from || !self.trust.holds(&statement, &proof, round) {
            return Err(Error::Signature);
        }
        self.view.merge(&Entry::heard(statement, round, proof))?;
        act(Action::Send { to: from, message: Message::Noted { counter: statement.counter } });
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
                self.reachable(round, now)?;
                self.view.active(&from, round);
                let since = self.wanted(from, round);
                act(Action::Send { to: from, message: Message::Pong { round, since } });
            }
            Message::Pong { round, since } => {
                self.view.active(&from, round.min(self.round()));
                for relay in self.relays().filter(|r| r.round == round) {
                    relay.pong(&from, since);
                }
            }
            Message::Advertise { statement } => return self.stated(from, statement, act),
            Message::Noted { counter } => {
                if self.advert.as_mut().is_some_and(|advert| advert.noted(from, counter)) {
                    self.advert = None;
                }
            }
            Message::Model { round, kind, since, through, digest, changes } => {
                self.reachable(round, now)?;
                return self.model_came(
                    from,
                    round,
                    kind,
                    Changes { since, through, digest, bytes: changes },
                    now,
                    act,
                );
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

    /// A claim of a round that cannot have been reached would make a node deaf to all that are.
    fn reachable(&mut self, round: u32, now: u64) -> Result<(), Error> {
        let limit = self.pace.limit(now, &self.params);
        if round > limit { Err(Error::Ahead { round, limit }) } else { Ok(()) }
    }

    /// What `from` is to send of its view: the first who asks in a round everything that is new, others what is of the
    /// round before. Since these do not connect with what is known, they count only as far as they go.
    fn wanted(&mut self, from: NodeId, round: u32) -> Mark {
        match self.promised {
            Some((to, of)) if of == round && to != from => {
                Mark::end(round.saturating_sub(2)).max(self.synced)
            }
            _ => {
                self.promised = Some((from, round));
                self.synced
            }
        }
    }

    fn relays(&mut self) -> impl Iterator<Item = &mut Relay> {
        [&mut self.participant, &mut self.aggregator].into_iter().filter_map(|role| role.relay.as_mut())
    }

    fn model_came(
        &mut self,
        from: NodeId,
        round: u32,
        kind: Kind,
        changes: Changes<'_>,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) -> Result<(), Error> {
        // The maker of a mean stands among the round's first aggregators, that of an update in the sample before.
        let (order, depth) = match kind {
            Kind::Aggregated => (round, self.params.aggregators),
            Kind::Trained => (round.saturating_sub(1), self.params.sample),
        };
        let depth = depth.saturating_add(self.params.slack);
        if !self.view.within(order, &from, depth) {
            act(Action::Send { to: from, message: Message::Received { round, kind, accepted: false } });
            return Ok(());
        }
        let merged = self.merge(changes, round);
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
                    self.pace.reached(round, &self.params);
                    let own = self.id();
                    self.view.active(&own, round);
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

    /// Takes over the changes of a model's message.
    fn merge(&mut self, changes: Changes<'_>, round: u32) -> Result<(), Error> {
        let Changes { since, through, digest, bytes } = changes;
        let whole = since == Mark::START && through.place == u64::MAX;
        let read = changes::read(&mut self.view, &self.trust, bytes, round, self.synced, whole);
        if since <= self.synced && read.refused.is_none() {
            self.synced = self.synced.max(through.min(Mark::end(round)));
        }
        let unlike = read.lacking || (!whole && digest != self.view.digest());
        if unlike && round >= self.resynced.saturating_add(RESYNC) {
            (self.synced, self.resynced) = (Mark::START, round);
        }
        read.refused.map_or(Ok(()), Err)
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
        if let Some(advert) = &mut self.advert
            && advert.poll(&mut self.view, &self.params, now, act)
        {
            self.advert = None;
        }
        for (role, kind) in [(&mut self.participant, Kind::Aggregated), (&mut self.aggregator, Kind::Trained)]
        {
            let Some(relay) = &mut role.relay else { continue };
            relay.poll(&mut self.view, &self.params, now, act);
            if role.duty == Duty::Relaying && relay.handed_on() {
                role.duty = Duty::Passed;
                for to in &role.senders {
                    act(Action::Send { to: *to, message: Message::Done { round: role.round, kind } });
                }
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
