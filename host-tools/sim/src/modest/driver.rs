//! What a driver does for a node: keeps parameters, trains and averages when told to.

use super::{Done, Due, Member, Model, Parameters, Simulation};
use crate::rules::{Handed, Update, Weigh};
use mote_modest::aggregate::Participation;
use mote_modest::{Kind, Message, OwnedAction};
use std::sync::Arc;

/// The parameters that a node has in hand.
#[derive(Default)]
pub(crate) struct Driver {
    pub training: Option<u64>,
    trained: Parameters,
    /// Updates of the round in which it aggregates, in the order in which they came.
    kept: (u32, Vec<Model>),
    mean: Parameters,
    base: Option<Arc<Vec<f32>>>,
    whole: Arc<Vec<f32>>,
    /// What the updates that were sent lacked.
    error: Vec<f32>,
    /// Through which round its participation is known.
    participation: Option<(Participation, u32)>,
    weight: f32,
}

/// Rounds at which FedAU cuts intervals: as many as a hundred nodes need to take part ten at a time, five times.
const CUTOFF: u32 = 50;

impl Driver {
    pub fn trained(&mut self, parameters: Vec<f32>, error: Vec<f32>) {
        self.training = None;
        self.error = error;
        let (base, whole) = (self.base.clone(), Arc::clone(&self.whole));
        self.trained = Some(Model { values: Arc::new(parameters), base, whole, weight: self.weight });
    }

    /// The weight of the node's update, now that it takes part in `round`.
    pub(crate) fn weigh(&mut self, by: Weigh, round: u32, samples: usize) -> f32 {
        match by {
            Weigh::Evenly => 1.0,
            Weigh::Samples => samples.max(1) as f32,
            Weigh::Participation => self.took_part(round),
        }
    }

    fn took_part(&mut self, round: u32) -> f32 {
        let (participation, through) =
            self.participation.get_or_insert_with(|| (Participation::new(CUTOFF), 0));
        for passed in *through + 1..=round {
            participation.round(passed == round);
        }
        *through = round.max(*through);
        participation.weight()
    }
}

impl Simulation<'_> {
    pub(super) fn act(&mut self, n: usize, node: &mut Member, action: OwnedAction, parameters: &Parameters) {
        match action {
            OwnedAction::Send { to, message } => {
                if let Ok((message, _)) = Message::parse(&message) {
                    self.send(n, &to, &message, None, 0);
                }
            }
            OwnedAction::SendModel { to, round, kind, since } => {
                let mut changes = vec![0; self.scenario.changes_bytes];
                let message = node.model(round, kind, since, &mut changes);
                let driver = &self.drivers[n];
                let model = if kind == Kind::Trained { &driver.trained } else { &driver.mean };
                let bytes = self.model_bytes(kind);
                self.send(n, &to, &message, model.clone(), bytes);
            }
            OwnedAction::Keep { round } => {
                let driver = &mut self.drivers[n];
                if driver.kept.0 != round {
                    driver.kept = (round, Vec::new());
                }
                driver.kept.1.extend(parameters.clone());
                if round >= self.frontier {
                    self.aggregator = Some(n);
                }
            }
            OwnedAction::Train { round } => self.train(n, round, parameters),
            OwnedAction::Aggregate { round } => self.aggregate(n, round),
        }
    }

    fn model_bytes(&self, kind: Kind) -> usize {
        let rules = &self.scenario.rules;
        match (self.task.parameters(), kind) {
            (0, _) => self.scenario.model_bytes,
            (count, Kind::Trained) => rules.update_bytes(count),
            (count, Kind::Aggregated) => rules.down.bytes(count),
        }
    }

    fn train(&mut self, n: usize, round: u32, parameters: &Parameters) {
        let of =
            |pick: fn(&Model) -> &Arc<Vec<f32>>| Arc::clone(parameters.as_ref().map_or(&self.initial, pick));
        let (base, whole) = (of(|model| &model.values), of(|model| &model.whole));
        let driver = &mut self.drivers[n];
        (driver.base, driver.whole) = (Some(Arc::clone(&base)), whole);
        driver.weight = driver.weigh(self.scenario.rules.weigh, round, self.task.samples(n));
        if let Some(job) = driver.training.take() {
            self.pool.cancel(job);
        }
        let (task, rules, mut error) = (self.task, self.scenario.rules, driver.error.clone());
        let job = self.pool.submit(move || {
            let new = task.train(n, round, &base);
            Done::Trained(rules.sent(n, round, &base, new, &mut error), error)
        });
        driver.training = Some(job);
        let takes = self.scenario.training(n, self.task.steps(n));
        self.plan(self.now + takes, Due::Trained { node: n, round, life: self.lives[n], job });
        self.began(n, round);
    }

    fn aggregate(&mut self, n: usize, round: u32) {
        let (of, kept) = std::mem::take(&mut self.drivers[n].kept);
        let kept = if of == round { kept } else { Vec::new() };
        let rules = self.scenario.rules;
        let count = self.task.parameters();
        if rules.needs_base() && count > 0 {
            // A difference means nothing without its base, which one of the participants has to send along, once.
            self.report.traffic.models += rules.base_bytes(count) as u64;
        }
        let job = self.pool.submit(move || {
            let update = |model: &Model| Update { values: Arc::clone(&model.values), weight: model.weight };
            let updates: Vec<_> = kept.iter().map(update).collect();
            let first = kept.first();
            let base = first.and_then(|model| model.base.clone()).unwrap_or_default();
            let whole = first.map(|model| Arc::clone(&model.whole)).unwrap_or_default();
            Done::Averaged(rules.handed_out(rules.merge(&updates, &base), &base, &whole, round))
        });
        self.plan(self.now + 20, Due::Averaged { node: n, round, life: self.lives[n], job });
    }

    pub(super) fn averaged(&mut self, n: usize, round: u32, mean: Handed) {
        let (values, whole) = (Arc::new(mean.seen), Arc::new(mean.whole));
        self.drivers[n].mean = Some(Model { values, base: None, whole: Arc::clone(&whole), weight: 1.0 });
        self.report.loads[n].averaged += 1;
        // It is made of what was trained in the round before.
        self.score(round.saturating_sub(1), whole);
    }
}
