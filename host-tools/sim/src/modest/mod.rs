//! MoDeST: the nodes' own state machines on a queue of events.
//!
//! Messages are written and read as on a real network, and count with their envelopes; signatures are left out. Models
//! travel as shared memory, and count as what their encoding takes.

mod driver;
mod report;

pub use report::{Load, Look, Report, Round, Scored, Traffic};

use crate::links::Links;
use crate::pool::Pool;
use crate::rules::Handed;
use crate::{Change, Scenario, SimError, Task};
pub(crate) use driver::Driver;
use mote_modest::{
    Entry, Event, HEADER_BYTES, Mark, Membership, Message, Node, NodeId, OwnedAction, Store, View, seal,
};
use mote_runtime::random::{Random, word};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Views that are equal share their memory until they are written to.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Vec<Entry<()>>>);

impl Store for Shared {
    type Proof = ();

    fn entries(&self) -> &[Entry<()>] {
        &self.0
    }
    fn entries_mut(&mut self) -> &mut [Entry<()>] {
        Arc::make_mut(&mut self.0).as_mut_slice()
    }
    fn insert(&mut self, place: usize, entry: Entry<()>) -> Result<(), mote_modest::Error> {
        Store::insert(Arc::make_mut(&mut self.0), place, entry)
    }
}

pub(crate) type Member = Node<Shared, ()>;

/// Simulates until `scenario.rounds` rounds have begun.
///
/// # Errors
/// [`SimError::Stalled`], [`SimError::Ended`].
pub fn run(scenario: &Scenario, task: &dyn Task) -> Result<Report, SimError> {
    std::thread::scope(|scope| Simulation::new(scenario, task, Pool::new(scope, scenario.threads)).run())
}

/// A model, and what it was trained from, if it was.
#[derive(Clone)]
pub(crate) struct Model {
    values: Arc<Vec<f32>>,
    base: Option<Arc<Vec<f32>>>,
    /// Of a mean: what the next aggregator goes on with. Of an update: the same of its base.
    whole: Arc<Vec<f32>>,
    weight: f32,
}

/// What has come with a message beside its bytes.
pub(crate) type Parameters = Option<Model>;

/// What a job of the pool results in.
pub(crate) enum Done {
    Averaged(Handed),
    /// What an aggregator will see of an update, and the node's memory of what that lacks.
    Trained(Vec<f32>, Vec<f32>),
    Score(crate::Score),
}

enum Due {
    Bytes { from: usize, to: usize, bytes: Vec<u8>, parameters: Parameters },
    Trained { node: usize, round: u32, life: u32, job: u64 },
    Averaged { node: usize, round: u32, life: u32, job: u64 },
    Tick { node: usize },
    Change(usize),
    Restart(usize),
}

pub(crate) struct Simulation<'s> {
    scenario: &'s Scenario,
    task: &'s dyn Task,
    nodes: Vec<Option<Member>>,
    drivers: Vec<Driver>,
    alive: Vec<bool>,
    /// Advances when a node crashes: what it had begun is lost.
    lives: Vec<u32>,
    ticks: Vec<u64>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    due: std::collections::HashMap<u64, Due>,
    made: u64,
    now: u64,
    links: Links,
    random: Random,
    pool: Pool<'s, Done>,
    initial: Arc<Vec<f32>>,
    frontier: u32,
    /// Who got an update for the newest round last.
    aggregator: Option<usize>,
    report: Report,
    scores: Vec<(Scored, u64)>,
    /// A round that is to be looked at.
    look_at: Option<u32>,
    /// Samples of all live members, by round.
    truths: std::collections::BTreeMap<u32, Vec<NodeId>>,
}

/// A node's id: its number stands in the last bytes.
pub(crate) fn id(seed: u64, n: usize) -> NodeId {
    let mut id = [0; 32];
    for (piece, to) in id.chunks_exact_mut(8).enumerate() {
        to.copy_from_slice(&word(seed ^ 0x1d, (4 * n + piece) as u64).to_le_bytes());
    }
    id[28..].copy_from_slice(&(n as u32).to_le_bytes());
    NodeId(id)
}

pub(crate) fn number(id: &NodeId) -> usize {
    let [.., a, b, c, d] = id.0;
    u32::from_le_bytes([a, b, c, d]) as usize
}

impl<'s> Simulation<'s> {
    fn new(scenario: &'s Scenario, task: &'s dyn Task, pool: Pool<'s, Done>) -> Simulation<'s> {
        let Scenario { nodes: count, seed, .. } = *scenario;
        let mut founders: Vec<Entry<()>> =
            (0..scenario.founders).map(|n| Entry::founder(id(seed, n), ())).collect();
        founders.sort_unstable_by_key(|e| e.id);
        let founders = Shared(Arc::new(founders));
        let node = |n| {
            let view = View::new(id(seed, n), &scenario.params, founders.clone());
            (n < scenario.founders).then(|| Node::new(scenario.params, view, (), Mark::end(0)))
        };
        let Scenario { bandwidth, loss_permille, .. } = *scenario;
        let links = Links::new(count, scenario.latencies.clone(), bandwidth, loss_permille, seed ^ 1);
        Simulation {
            scenario,
            task,
            nodes: (0..count).map(node).collect(),
            drivers: (0..count).map(|_| Driver::default()).collect(),
            alive: (0..count).map(|n| n < scenario.founders).collect(),
            lives: vec![0; count],
            ticks: vec![u64::MAX; count],
            queue: BinaryHeap::new(),
            due: std::collections::HashMap::new(),
            made: 0,
            now: 0,
            links,
            random: Random::new(seed ^ 2),
            pool,
            initial: Arc::new(task.initial()),
            frontier: 0,
            aggregator: None,
            report: Report::new(count),
            scores: Vec::new(),
            look_at: None,
            truths: std::collections::BTreeMap::new(),
        }
    }

    fn run(mut self) -> Result<Report, SimError> {
        for (index, (at, _)) in self.scenario.changes.iter().enumerate() {
            self.plan(*at, Due::Change(index));
        }
        for n in 0..self.scenario.founders {
            self.handle(n, Event::Start, &None);
        }
        let mut progress = (0, 0);
        while self.frontier < self.scenario.rounds {
            let Some(Reverse((at, number))) = self.queue.pop() else {
                return Err(SimError::Ended { round: self.frontier, at: self.now });
            };
            self.now = at;
            let Some(due) = self.due.remove(&number) else { continue };
            self.report.events += 1;
            self.happen(due);
            // Now that all nodes are in their places.
            if let Some(round) = self.look_at.take() {
                self.look(round);
            }
            if self.frontier > progress.0 {
                progress = (self.frontier, self.now);
            }
            let waited = self.now - progress.1;
            if waited > self.scenario.patience {
                return Err(SimError::Stalled { round: self.frontier, at: self.now, waited });
            }
        }
        for (mut scored, job) in std::mem::take(&mut self.scores) {
            if let Some(Done::Score(score)) = self.pool.take(job) {
                scored.score = score;
                self.report.scores.push(scored);
            }
        }
        self.report.end = self.now;
        self.report.finish();
        Ok(self.report)
    }

    fn plan(&mut self, at: u64, due: Due) {
        self.made += 1;
        self.due.insert(self.made, due);
        self.queue.push(Reverse((at.max(self.now), self.made)));
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Bytes { from, to, bytes, parameters } => {
                if self.alive[to]
                    && let Ok((message, _)) = Message::parse(&bytes)
                {
                    let from = id(self.scenario.seed, from);
                    self.handle(to, Event::Message { from, message }, &parameters);
                }
            }
            Due::Trained { node, round, life, job } => {
                let current = self.drivers[node].training == Some(job);
                if life != self.lives[node] || !current {
                    self.pool.cancel(job);
                    return;
                }
                if let Some(Done::Trained(parameters, error)) = self.pool.take(job) {
                    self.drivers[node].trained(parameters, error);
                    self.look_of_participant(node, round);
                    self.handle(node, Event::Trained { round }, &None);
                }
            }
            Due::Averaged { node, round, life, job } => {
                if let (true, Some(Done::Averaged(mean))) = (life == self.lives[node], self.pool.take(job)) {
                    self.averaged(node, round, mean);
                    self.handle(node, Event::Averaged { round }, &None);
                }
            }
            Due::Tick { node } => {
                if self.alive[node] && self.ticks[node] <= self.now {
                    self.ticks[node] = u64::MAX;
                    self.handle(node, Event::Tick, &None);
                }
            }
            Due::Change(index) => self.change(&self.scenario.changes[index].1),
            Due::Restart(node) => self.restart(node),
        }
    }

    fn handle(&mut self, n: usize, event: Event<'_>, parameters: &Parameters) {
        let Some(mut node) = self.nodes[n].take() else { return };
        // Actions borrow from the node, so they are kept until it has done.
        let mut actions = Vec::new();
        let _ = node.handle(event, self.now, &mut |action| actions.push(OwnedAction::from(action)));
        for action in actions {
            self.act(n, &mut node, action, parameters);
        }
        if let Some(at) = node.deadline().filter(|at| *at < u64::MAX && *at < self.ticks[n]) {
            self.ticks[n] = at;
            self.plan(at, Due::Tick { node: n });
        }
        self.nodes[n] = Some(node);
    }

    fn send(
        &mut self,
        from: usize,
        to: &NodeId,
        message: &Message<'_>,
        parameters: Parameters,
        model: usize,
    ) {
        let changes = if let Message::Model { changes, .. } = message { changes.len() } else { 0 };
        let mut bytes = vec![0; 2 * HEADER_BYTES + 256 + changes];
        let Ok(used) = message.write(&mut bytes) else { return };
        bytes.truncate(used);
        let to = number(to);
        if from != to {
            self.report.sent(from, to, seal::OVERHEAD + used - changes, changes, model);
        }
        let all = seal::OVERHEAD + used + model;
        if let Some(at) = self.links.arrival(from, to, all, self.now) {
            self.plan(at, Due::Bytes { from, to, bytes, parameters });
        }
    }

    fn change(&mut self, change: &'s Change) {
        match change {
            Change::Crash(node) => self.crash(*node),
            Change::Restart(node) => self.restart(*node),
            Change::Join(node) => self.join(*node),
            Change::Leave(node) => self.handle(*node, Event::Leave, &None),
            Change::CrashAggregator { back_after } => {
                if let Some(node) = self.aggregator.take().filter(|n| self.alive[*n]) {
                    self.crash(node);
                    self.plan(self.now + back_after, Due::Restart(node));
                }
            }
            Change::Part(groups) => self.links.group.clone_from(groups),
            Change::Heal => self.links.group.fill(0),
        }
    }

    fn crash(&mut self, node: usize) {
        self.report.crashes += 1;
        self.alive[node] = false;
        self.lives[node] += 1;
        self.drivers[node] = Driver::default();
    }

    /// A node comes back with the view that it had, and joins again.
    fn restart(&mut self, n: usize) {
        let Some(old) = self.nodes[n].take().filter(|_| !self.alive[n]) else { return };
        self.alive[n] = true;
        self.ticks[n] = u64::MAX;
        self.nodes[n] = Some(Node::new(self.scenario.params, old.view().clone(), (), Mark::START));
        self.handle(n, Event::Join { round: self.frontier }, &None);
    }

    /// A new node knows a few live members, and asks them in.
    fn join(&mut self, n: usize) {
        let mut view = View::new(id(self.scenario.seed, n), &self.scenario.params, Shared(Arc::default()));
        let mut known = 0;
        for _ in 0..1000 {
            let other = self.random.below(self.scenario.nodes as u32) as usize;
            if known == self.scenario.params.sample || !self.alive[other] {
                continue;
            }
            let own = self.nodes[other].as_ref().and_then(|node| node.view().get(&node.id()));
            if let Some(own) = own.filter(|e| e.membership == Membership::Joined) {
                known += usize::from(view.merge(own) == Ok(true));
            }
        }
        self.alive[n] = true;
        self.nodes[n] = Some(Node::new(self.scenario.params, view, (), Mark::START));
        self.report.joined.push((n, self.frontier));
        self.handle(n, Event::Join { round: self.frontier }, &None);
    }
}
