//! What a driver does for a node: keeps parameters, trains and averages when told to.

use super::{Done, Due, Member, Parameters, Simulation};
use mote_modest::{Action, Kind, Mark, Message, NodeId, aggregate::Mean};
use std::sync::Arc;

/// An action that outlives the node's borrow.
pub(super) enum Own {
    Send(NodeId, Vec<u8>),
    Model(NodeId, u32, Kind, Mark),
    Keep(u32),
    Train(u32),
    Aggregate(u32),
}

impl From<Action<'_>> for Own {
    fn from(action: Action<'_>) -> Own {
        match action {
            Action::Send { to, message } => {
                let mut bytes = [0; 512];
                let used = message.write(&mut bytes).unwrap_or(0);
                Own::Send(to, bytes[..used].to_vec())
            }
            Action::SendModel { to, round, kind, since } => Own::Model(to, round, kind, since),
            Action::Keep { round, .. } => Own::Keep(round),
            Action::Train { round } => Own::Train(round),
            Action::Aggregate { round, .. } => Own::Aggregate(round),
        }
    }
}

/// The parameters that a node has in hand.
#[derive(Default)]
pub(crate) struct Driver {
    pub training: Option<u64>,
    trained: Parameters,
    /// Updates of the round in which it aggregates, in the order in which they came.
    kept: (u32, Vec<Arc<Vec<f32>>>),
    mean: Parameters,
}

impl Driver {
    pub fn trained(&mut self, _round: u32, parameters: Vec<f32>) {
        self.training = None;
        self.trained = Some(Arc::new(parameters));
    }
}

impl Simulation<'_> {
    pub(super) fn act(&mut self, n: usize, node: &mut Member, action: Own, parameters: &Parameters) {
        match action {
            Own::Send(to, bytes) => {
                if let Ok((message, _)) = Message::parse(&bytes) {
                    self.send(n, &to, &message, None, 0);
                }
            }
            Own::Model(to, round, kind, since) => {
                let mut changes = vec![0; self.scenario.changes_bytes];
                let message = node.model(round, kind, since, &mut changes);
                let driver = &self.drivers[n];
                let model = if kind == Kind::Trained { &driver.trained } else { &driver.mean };
                let bytes = self.model_bytes();
                self.send(n, &to, &message, model.clone(), bytes);
            }
            Own::Keep(round) => {
                let driver = &mut self.drivers[n];
                if driver.kept.0 != round {
                    driver.kept = (round, Vec::new());
                }
                driver.kept.1.extend(parameters.clone());
                if round >= self.frontier {
                    self.aggregator = Some(n);
                }
            }
            Own::Train(round) => self.train(n, round, parameters),
            Own::Aggregate(round) => self.aggregate(n, round),
        }
    }

    fn model_bytes(&self) -> usize {
        match self.task.parameters() {
            0 => self.scenario.model_bytes,
            count => 4 * count,
        }
    }

    fn train(&mut self, n: usize, round: u32, parameters: &Parameters) {
        let base = parameters.clone().unwrap_or_else(|| Arc::clone(&self.initial));
        if let Some(job) = self.drivers[n].training.take() {
            self.pool.cancel(job);
        }
        let task = self.task;
        let job = self.pool.submit(move || Done::Parameters(task.train(n, round, &base)));
        self.drivers[n].training = Some(job);
        let takes = self.scenario.training(n, self.task.steps(n));
        self.plan(self.now + takes, Due::Trained { node: n, round, life: self.lives[n], job });
        self.began(n, round);
    }

    fn aggregate(&mut self, n: usize, round: u32) {
        let (of, kept) = std::mem::take(&mut self.drivers[n].kept);
        let updates = if of == round { kept } else { Vec::new() };
        let job = self.pool.submit(move || Done::Parameters(mean(&updates)));
        self.plan(self.now + 20, Due::Averaged { node: n, round, life: self.lives[n], job });
    }

    pub(super) fn averaged(&mut self, n: usize, round: u32, mean: Vec<f32>) {
        let mean = Arc::new(mean);
        self.drivers[n].mean = Some(Arc::clone(&mean));
        self.report.loads[n].averaged += 1;
        self.score(round, mean);
    }
}

fn mean(updates: &[Arc<Vec<f32>>]) -> Vec<f32> {
    let mut out = vec![0.0; updates.first().map_or(0, |u| u.len())];
    let mut mean = Mean::new(&mut out);
    for update in updates {
        // What is not finite is left out.
        let _ = mean.add(update, 1.0);
    }
    mean.finish();
    out
}
