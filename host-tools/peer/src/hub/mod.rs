//! The peer without its network: nodes, parameters and what to do with them. Sans-IO: inputs and a clock go in, outputs come
//! out, so tests run whole networks in memory.
//!
//! It runs its own node and one for each device that it is the gateway of; all of them live in one place, and talk to each
//! other as to any other member.

mod drive;
mod gateway;

use crate::mean::Update;
use crate::state::{Checkpoint, Row, id_of};
use crate::task::{Invite, Task};
use crate::wire::{Hello, Stated, Wire};
use drive::Model;
use mote_modest::device::ToDevice;
use mote_modest::seal::Signed;
use mote_modest::vouch::{Delegation, hash};
use mote_modest::{Entry, Event, Identity, Mark, Membership, Node, NodeId, Statement, Trust, View};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// What proves and checks statements: an own key, or what a device has signed.
pub(crate) enum Speaker {
    Own(Identity),
    Device { judge: Identity, proof: Signed },
}

impl Trust for Speaker {
    type Proof = Signed;
    const PROOF_BYTES: usize = Identity::PROOF_BYTES;

    fn prove(&self, own: &Statement) -> Signed {
        match self {
            Speaker::Own(identity) => identity.prove(own),
            // Of any other statement it is no proof, and others refuse it.
            Speaker::Device { proof, .. } => *proof,
        }
    }

    fn holds(&self, statement: &Statement, proof: &Signed, round: u32) -> bool {
        let (Speaker::Own(judge) | Speaker::Device { judge, .. }) = self;
        judge.holds(statement, proof, round)
    }
}

pub(crate) type Member = Node<Vec<Entry<Signed>>, Speaker>;

/// An update as it travels.
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    pub base: [u8; 32],
    pub counter: u64,
    pub proof: mote_modest::vouch::Proof,
    pub bytes: Vec<u8>,
}

/// A node that lives here, and the parameters that it has in hand.
pub(crate) struct Hosted {
    node: Option<Member>,
    /// The port of a device; none for the peer's own node.
    port: Option<usize>,
    training: Option<(u32, Arc<Vec<f32>>)>,
    trained: Option<Coded>,
    kept: (u32, Vec<Update>),
    /// A round whose updates wait for their base, who was asked for it, and when the next is.
    lacking: Option<(u32, usize, u64)>,
    mean: Option<Arc<Vec<f32>>>,
}

impl Hosted {
    fn new(node: Member, port: Option<usize>) -> Hosted {
        let (training, trained, lacking, mean) = (None, None, None, None);
        Hosted { node: Some(node), port, training, trained, kept: (0, Vec::new()), lacking, mean }
    }
}

/// What the hub wants done.
#[derive(Debug)]
pub enum Output {
    /// Bytes for a peer.
    Send { to: NodeId, bytes: Vec<u8> },
    /// Train these parameters on the peer's own data; ends what was being trained.
    Train { round: u32, base: Arc<Vec<f32>> },
    /// A message for a device; newer ones take the place of those that wait.
    Device { port: usize, message: ToDevice, behind: Vec<u8> },
    /// Something worth telling.
    Tell(Value),
    /// The state has changed so far that it should be kept.
    Keep,
}

/// Whether the others go on is not known to a peer that begins with a checkpoint: perhaps all of them were down.
struct Doubt {
    /// When the training is to be taken up, if nobody is heard of who has work in hand.
    until: u64,
    /// When the others are asked next.
    ask_at: u64,
    /// Somebody is there: alone, nothing is taken up.
    answered: bool,
}

/// See the module.
pub struct Hub {
    secret: [u8; 32],
    own: NodeId,
    invite: Invite,
    task: Task,
    hosted: BTreeMap<NodeId, Hosted>,
    /// Where peers are, and whom gateways speak for.
    routes: BTreeMap<NodeId, SocketAddr>,
    leaves: BTreeMap<NodeId, Delegation>,
    /// Statements heard before the own node began.
    known: BTreeMap<NodeId, Entry<Signed>>,
    /// Parameters by hash, the newest last.
    bases: VecDeque<([u8; 32], Arc<Vec<f32>>)>,
    /// The last claim of each member: its counter, and the hash of its update.
    claims: HashMap<NodeId, (u64, [u8; 32])>,
    counter: u64,
    /// The round that others are in.
    round: u32,
    /// Tickets of devices; the devices by port.
    tickets: BTreeMap<NodeId, Invite>,
    ports: BTreeMap<usize, NodeId>,
    local: VecDeque<(NodeId, Vec<u8>)>,
    outputs: Vec<Output>,
    hello_at: u64,
    resumed: bool,
    doubt: Option<Doubt>,
    /// Where this peer listens.
    address: Option<SocketAddr>,
}

/// Parameters that are remembered, by which later updates may be differences.
const BASES: usize = 8;
/// Between two greetings while nobody has answered.
const HELLO_EVERY: u64 = 500;
/// Claims that a life may make before it has written a checkpoint.
const COUNTERS: u64 = 1 << 20;

impl Hub {
    /// `tickets`: of devices; `checkpoint`: of an earlier life.
    pub fn new(secret: [u8; 32], invite: Invite, tickets: &[Invite], checkpoint: Option<Checkpoint>) -> Hub {
        let resumed = checkpoint.as_ref().is_some_and(|checkpoint| !checkpoint.view.is_empty());
        let Checkpoint { round, counter, view, routes, leaves, heard, parameters, .. } =
            checkpoint.unwrap_or_default();
        let task = invite.task.clone();
        let mut hub = Hub {
            secret,
            own: id_of(&secret),
            routes: invite.peers.iter().copied().chain(routes).collect(),
            leaves: leaves.into_iter().map(|leave| (leave.member, leave)).collect(),
            known: view.iter().map(Row::entry).map(|entry| (entry.id, entry)).collect(),
            claims: heard.into_iter().map(|(id, counter)| (id, (counter, [0; 32]))).collect(),
            tickets: tickets.iter().map(|invite| (invite.member, invite.clone())).collect(),
            counter: counter + if resumed { COUNTERS } else { 0 },
            invite,
            task,
            hosted: BTreeMap::new(),
            bases: VecDeque::new(),
            round,
            ports: BTreeMap::new(),
            local: VecDeque::new(),
            outputs: Vec::new(),
            hello_at: 0,
            resumed,
            doubt: None,
            address: None,
        };
        let own = hub.own;
        hub.routes.remove(&own);
        hub.remember(Arc::new(hub.task.initial()));
        if parameters.len() == hub.task.parameters() {
            hub.remember(Arc::new(parameters));
        }
        hub
    }

    pub fn id(&self) -> NodeId {
        self.own
    }

    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Where a peer is to be found.
    pub fn route(&self, id: &NodeId) -> Option<SocketAddr> {
        self.routes.get(id).copied()
    }

    /// The newest parameters, and the round of the network.
    pub fn newest(&self) -> (u32, Arc<Vec<f32>>) {
        (self.round, self.bases.back().map(|(_, base)| Arc::clone(base)).unwrap_or_default())
    }

    /// What is to be done; to be taken after each input.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    pub fn checkpoint(&self) -> Checkpoint {
        let node = self.hosted.get(&self.own).and_then(|hosted| hosted.node.as_ref());
        Checkpoint {
            task: self.task.id(),
            round: self.round,
            counter: self.counter,
            view: node.map_or_else(Vec::new, |node| node.view().entries().iter().map(Row::of).collect()),
            routes: self.routes.iter().map(|(id, at)| (*id, *at)).collect(),
            leaves: self.leaves.values().copied().collect(),
            heard: self.claims.iter().map(|(id, (counter, _))| (*id, *counter)).collect(),
            parameters: self.newest().1.to_vec(),
        }
    }

    /// When [`Hub::tick`] is due.
    pub fn deadline(&self) -> Option<u64> {
        let nodes = self.hosted.values().filter_map(|h| h.node.as_ref().and_then(Member::deadline));
        let lacking = self.hosted.values().filter_map(|h| h.lacking.map(|(.., at)| at));
        let hello = (!self.began()).then_some(self.hello_at);
        let doubt = self.doubt.as_ref().map(|doubt| doubt.ask_at);
        nodes.chain(lacking).chain(hello).chain(doubt).min()
    }

    pub fn tick(&mut self, now: u64) {
        if !self.began() && self.hello_at <= now {
            self.hello_at = now + HELLO_EVERY;
            self.greet(true);
            self.begin(now);
        }
        let due = |h: &Hosted| {
            let node = h.node.as_ref().and_then(Member::deadline).is_some_and(|at| at <= now);
            (node, h.lacking.is_some_and(|(.., at)| at <= now))
        };
        let due: Vec<(NodeId, (bool, bool))> = self.hosted.iter().map(|(id, h)| (*id, due(h))).collect();
        for (id, (node, lacking)) in due {
            if lacking {
                self.aggregate(id, now);
            }
            if node {
                self.handle(id, Event::Tick, None, now);
            }
        }
        self.ask_for_life(now);
        self.deliver(now);
    }

    /// Whether a node that lives here has work of a round in hand.
    fn busy(&self) -> bool {
        self.hosted.values().any(|hosted| hosted.node.as_ref().is_none_or(|node| !node.idle()))
    }

    /// Ends the doubt whether the others go on: by work of a round, or by taking up the training.
    fn ask_for_life(&mut self, now: u64) {
        if self.busy() {
            self.doubt = None;
        }
        let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.ask_at <= now) else { return };
        doubt.ask_at = now + HELLO_EVERY;
        if !doubt.answered || now < doubt.until {
            return self.greet(true);
        }
        // As a mean that came: the newest parameters of the life before.
        let (round, newest) = (self.round.saturating_add(1), self.newest().1);
        self.handle(self.own, Event::Resume { round }, Some(Model::Mean(newest)), now);
        if self.busy() {
            self.tell(json!({"event": "resuming", "round": round}));
        }
    }

    fn began(&self) -> bool {
        self.hosted.contains_key(&self.own)
    }

    /// A frame of the peer whose key the connection has proved.
    pub fn receive(&mut self, from: NodeId, bytes: &[u8], now: u64) {
        match postcard::from_bytes(bytes) {
            Ok(Wire::Hello(hello)) => self.hello(from, hello, now),
            Ok(Wire::Node { from: member, to, message, payload }) => {
                if self.speaks_for(&from, &member) {
                    self.message(member, to, message, &payload, now);
                } else {
                    self.refuse(&member, "its connection is another's");
                }
            }
            Ok(Wire::Fetch { hash }) => {
                let base = self.bases.iter().find(|(of, _)| *of == hash).map(|(_, base)| bytes_of(base));
                if let Some(bytes) = base {
                    self.send(from, &Wire::Base { bytes: &bytes });
                }
            }
            Ok(Wire::Base { bytes }) => self.base(bytes, now),
            Err(_) => self.refuse(&from, "a frame that is none"),
        }
        self.deliver(now);
    }

    fn speaks_for(&self, endpoint: &NodeId, member: &NodeId) -> bool {
        endpoint == member || self.leaves.get(member).is_some_and(|leave| leave.gateway == *endpoint)
    }

    fn greet(&mut self, asks: bool) {
        let to: Vec<NodeId> = self.routes.keys().copied().collect();
        to.into_iter().for_each(|to| self.greet_one(to, asks));
    }

    fn greet_one(&mut self, to: NodeId, asks: bool) {
        let hello = self.own_hello(asks);
        self.send(to, &Wire::Hello(hello));
    }

    fn own_hello(&self, asks: bool) -> Hello {
        let node = self.hosted.get(&self.own).and_then(|hosted| hosted.node.as_ref());
        let stated = match node {
            Some(node) => node.view().entries().iter().map(Stated::of).collect(),
            None if self.is_founder() => vec![self.own_founding()],
            None => Vec::new(),
        };
        let routes = self.routes.iter().map(|(id, at)| (*id, *at));
        let routes = routes.chain(self.address.map(|at| (self.own, at))).collect();
        let leaves = self.leaves.values().copied().collect();
        Hello { task: self.task.id(), round: self.round, asks, busy: self.busy(), stated, routes, leaves }
    }

    fn is_founder(&self) -> bool {
        !self.resumed && self.invite.founders.contains(&self.own)
    }

    fn identity(&self) -> Identity {
        Identity::new(&self.secret, self.task.issuer, self.invite.ticket())
    }

    fn own_founding(&self) -> Stated {
        let own = Statement { id: self.own, counter: 1, membership: Membership::Joined };
        Stated { id: self.own, counter: 1, left: false, proof: self.identity().prove(&own) }
    }

    fn hello(&mut self, from: NodeId, hello: Hello, now: u64) {
        if hello.task != self.task.id() {
            return self.refuse(&from, "a peer of another task");
        }
        for leave in hello.leaves {
            let newer = self.leaves.get(&leave.member).is_none_or(|old| old.counter < leave.counter);
            if newer && leave.check(hello.task).is_ok() {
                self.leaves.insert(leave.member, leave);
            }
        }
        let mut new = Vec::new();
        for (id, at) in hello.routes.into_iter().take(1 << 12) {
            // Each knows best where it is itself.
            let known = self.routes.contains_key(&id);
            if id == from || (id != self.own && !known) {
                self.routes.insert(id, at);
            }
            if id != self.own && !known {
                new.push(id);
            }
        }
        let judge = self.identity();
        for stated in hello.stated.into_iter().take(1 << 12) {
            if judge.holds(&stated.statement(), &stated.proof, self.round) {
                let entry = Entry::heard(stated.statement(), hello.round, stated.proof);
                let older = self.known.get(&stated.id).is_some_and(|old| old.counter >= stated.counter);
                if !older {
                    self.known.insert(stated.id, entry);
                }
            }
        }
        // A hint where to begin, from somebody with a ticket; from then on the node believes what time allows.
        if (!self.began() || self.doubt.is_some()) && self.known.contains_key(&from) {
            self.round = self.round.max(hello.round);
        }
        if hello.busy {
            self.doubt = None;
        }
        self.doubt.iter_mut().for_each(|doubt| doubt.answered = true);
        if hello.asks {
            self.greet_one(from, false);
        }
        if !self.began() {
            new.into_iter().for_each(|id| self.greet_one(id, true));
            self.begin(now);
        }
    }

    /// Tells where this peer listens, so that others can be told.
    pub fn listening(&mut self, at: SocketAddr) {
        self.address = Some(at);
    }

    /// Begins the own node as soon as enough is known: all founders, or anybody at all.
    fn begin(&mut self, now: u64) {
        if self.began() {
            return;
        }
        let params = self.task.params();
        // Who was first may be in its first round already.
        let founding = self.is_founder() && self.round <= 1;
        let mut view = View::new(self.own, &params, Vec::new());
        let event = if founding {
            let own = self.own_founding();
            self.known.insert(self.own, Entry::founder(self.own, own.proof));
            let all: Option<Vec<_>> =
                self.invite.founders.iter().map(|id| self.known.get(id).filter(|e| e.counter == 1)).collect();
            let Some(all) = all else { return };
            for entry in all {
                _ = view.merge(&Entry::founder(entry.id, entry.proof));
            }
            Event::Start
        } else {
            if !self.known.keys().any(|id| *id != self.own) {
                return;
            }
            self.known.values().for_each(|entry| _ = view.merge(entry));
            Event::Join { round: self.round }
        };
        let mark = if founding { Mark::end(0) } else { Mark::START };
        let node = Node::new(params, view, Speaker::Own(self.identity()), mark);
        self.hosted.insert(self.own, Hosted::new(node, None));
        if self.resumed {
            let wait = 2 * params.gather + params.watch;
            self.doubt = Some(Doubt { until: now + wait, ask_at: now, answered: false });
        }
        let how = if founding { "founded" } else { "joining" };
        self.tell(json!({"event": how, "members": self.known.len(), "round": self.round}));
        self.handle(self.own, event, None, now);
        self.welcome_devices();
        self.deliver(now);
    }

    fn send(&mut self, to: NodeId, wire: &Wire<'_>) {
        let bytes = postcard::to_allocvec(wire).unwrap_or_default();
        self.outputs.push(Output::Send { to, bytes });
    }

    fn tell(&mut self, value: Value) {
        self.outputs.push(Output::Tell(value));
    }

    fn refuse(&mut self, whose: &NodeId, why: &str) {
        self.tell(json!({"event": "refused", "from": crate::state::hex(whose), "why": why}));
    }

    fn remember(&mut self, base: Arc<Vec<f32>>) -> [u8; 32] {
        let hash = hash(&bytes_of(&base));
        self.bases.retain(|(of, _)| *of != hash);
        self.bases.push_back((hash, base));
        if self.bases.len() > BASES {
            self.bases.pop_front();
        }
        hash
    }
}

/// As parameters travel, and as they are hashed.
pub(crate) fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(crate) fn values_of(bytes: &[u8], count: usize) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks();
    let values: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    (rest.is_empty() && values.len() == count && values.iter().all(|v| v.is_finite())).then_some(values)
}
