//! What a simulation tells.

use super::{Done, Simulation, id};
use crate::Score;
use mote_modest::{Membership, NodeId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A round: when its first participant began to train (milliseconds), and how many have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Round {
    pub round: u32,
    pub at: u64,
    pub trained: u32,
}

/// How alike the samples of a round are which different nodes compute, as shares of common members.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Look {
    pub round: u32,
    /// Among its participants, who have just learned all there is to know: pairs, averaged.
    pub participants: f64,
    /// Any live members' samples beside that of all live members.
    pub members: f64,
    /// The same of participants.
    pub truth: f64,
}

/// How good the mean of a round's trainings is, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    pub round: u32,
    pub at: u64,
    pub bytes: u64,
    pub trainings: u64,
    pub score: Score,
}

/// Bytes that left nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Traffic {
    /// Envelopes, headers, pings and their like.
    pub control: u64,
    /// Changes of views.
    pub views: u64,
    pub models: u64,
}

impl Traffic {
    pub fn all(&self) -> u64 {
        self.control + self.views + self.models
    }
}

/// What a node has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    pub sent: u64,
    pub received: u64,
    pub trained: u32,
    pub averaged: u32,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub rounds: Vec<Round>,
    pub looks: Vec<Look>,
    pub scores: Vec<Scored>,
    pub loads: Vec<Load>,
    pub traffic: Traffic,
    pub trainings: u64,
    pub crashes: u32,
    pub events: u64,
    /// Who joined later, and in which round.
    pub joined: Vec<(usize, u32)>,
    /// Round in which each node trained first.
    pub first_trained: BTreeMap<usize, u32>,
    /// How many of the live founders knew each who joined later, by the round of the look.
    pub known: Vec<(u32, usize, f64)>,
    /// Virtual milliseconds.
    pub end: u64,
    #[serde(skip)]
    samples: BTreeMap<u32, Vec<Vec<NodeId>>>,
}

impl Report {
    pub(super) fn new(nodes: usize) -> Report {
        Report { loads: vec![Load::default(); nodes], ..Report::default() }
    }

    pub(super) fn sent(&mut self, from: usize, to: usize, control: usize, views: usize, models: usize) {
        self.traffic.control += control as u64;
        self.traffic.views += views as u64;
        self.traffic.models += models as u64;
        self.loads[from].sent += (control + views + models) as u64;
        self.loads[to].received += (control + views + models) as u64;
    }

    /// Drops looks that the end has cut short.
    pub(super) fn finish(&mut self) {
        let begun = std::mem::take(&mut self.samples);
        self.looks.retain(|look| !begun.contains_key(&look.round));
    }

    /// The mean of a look's number over all looks behind round `after` that were finished.
    pub fn mean_look(&self, after: u32, of: impl Fn(&Look) -> f64) -> f64 {
        let looks: Vec<f64> =
            self.looks.iter().filter(|l| l.round > after).map(of).filter(|v| v.is_finite()).collect();
        looks.iter().sum::<f64>() / looks.len().max(1) as f64
    }
}

impl Simulation<'_> {
    /// `n` has begun to train in `round`.
    pub(super) fn began(&mut self, n: usize, round: u32) {
        self.report.trainings += 1;
        self.report.loads[n].trained += 1;
        self.report.first_trained.entry(n).or_insert(round);
        if round > self.frontier {
            self.frontier = round;
            self.report.rounds.push(Round { round, at: self.now, trained: 0 });
            let every = self.scenario.look_every;
            if every > 0 && round.is_multiple_of(every) {
                self.look_at = Some(round);
            }
        }
        if let Ok(at) = self.report.rounds.binary_search_by_key(&round, |r| r.round) {
            self.report.rounds[at].trained += 1;
        }
    }

    /// The sample of the next round as a participant sees it, now that it looks for aggregators.
    pub(super) fn look_of_participant(&mut self, n: usize, round: u32) {
        let every = self.scenario.look_every;
        if every == 0 || !round.is_multiple_of(every) {
            return;
        }
        let sample = self.sample_of(n, round + 1);
        self.report.samples.entry(round).or_default().push(sample);
    }

    /// Looks around in `round`, which has just begun; finishes the look of those before.
    pub(super) fn look(&mut self, round: u32) {
        let old = std::mem::take(&mut self.report.samples);
        for (of, samples) in old {
            let (mut sum, mut pairs) = (0.0, 0);
            for (i, a) in samples.iter().enumerate() {
                for b in &samples[..i] {
                    sum += overlap(a, b);
                    pairs += 1;
                }
            }
            let true_to = self.report_truth(of, &samples);
            if let Some(look) =
                self.report.looks.iter_mut().rev().find(|l| l.round == of).filter(|_| pairs > 0)
            {
                look.participants = sum / f64::from(pairs);
                look.truth = true_to;
            }
        }
        let truth = self.true_sample(round + 1);
        let live: Vec<usize> =
            (0..self.nodes.len()).filter(|n| self.alive[*n] && self.nodes[*n].is_some()).collect();
        let (mut sum, count) = (0.0, live.len().min(30));
        let mut looked = Vec::new();
        for _ in 0..count {
            let n = live[self.random.below(live.len() as u32) as usize];
            sum += overlap(&self.sample_of(n, round + 1), &truth);
            looked.push(n);
        }
        for (joined, _) in self.report.joined.clone() {
            let joined_id = id(self.scenario.seed, joined);
            let knows = |n: &&usize| {
                self.nodes[**n].as_ref().is_some_and(|node| node.view().get(&joined_id).is_some())
            };
            // Others who joined may have come later.
            let founders = live.iter().filter(|n| **n < self.scenario.founders);
            let share = founders.clone().filter(knows).count() as f64 / founders.count().max(1) as f64;
            self.report.known.push((round, joined, share));
        }
        self.truths.insert(round, truth);
        let (members, participants) = (sum / count.max(1) as f64, f64::NAN);
        self.report.looks.push(Look { round, participants, members, truth: f64::NAN });
    }

    fn sample_of(&mut self, n: usize, round: u32) -> Vec<NodeId> {
        let mut found = [(0, NodeId([0; 32])); 32];
        let size = self.scenario.params.sample.min(32);
        let count = self.nodes[n].as_mut().map_or(0, |node| node.sample(round, &mut found[..size]));
        found[..count].iter().map(|(_, id)| *id).collect()
    }

    /// The sample if everybody knew who is alive and a member.
    fn true_sample(&self, round: u32) -> Vec<NodeId> {
        let params = &self.scenario.params;
        let seed = mote_modest::order::seed(&params.beacon, round);
        let live = (0..self.nodes.len()).filter(|n| self.alive[*n]);
        let joined = live
            .filter_map(|n| self.nodes[n].as_ref())
            .filter(|node| node.view().get(&node.id()).is_some_and(|e| e.membership == Membership::Joined));
        let keys = joined.map(|node| mote_modest::order::key(&seed, &node.id()));
        let mut found = vec![(0, NodeId([0; 32])); params.sample.min(32)];
        let count = mote_modest::order::first(keys, None, &mut found);
        found[..count].iter().map(|(_, id)| *id).collect()
    }

    fn report_truth(&self, round: u32, samples: &[Vec<NodeId>]) -> f64 {
        let Some(truth) = self.truths.get(&round) else { return f64::NAN };
        samples.iter().map(|sample| overlap(sample, truth)).sum::<f64>() / samples.len().max(1) as f64
    }

    /// Has the mean of what was trained in `round` judged, if it is time.
    pub(super) fn score(&mut self, round: u32, mean: Arc<Vec<f32>>) {
        let seen = self.scores.last().is_some_and(|(last, _)| last.round >= round);
        if mean.is_empty() || round == 0 || !round.is_multiple_of(self.scenario.evaluate_every) || seen {
            return;
        }
        let task = self.task;
        let job = self.pool.submit(move || Done::Score(task.evaluate(&mean)));
        let (at, bytes, trainings) = (self.now, self.report.traffic.all(), self.report.trainings);
        let score = Score { value: f64::NAN, loss: f64::NAN };
        self.scores.push((Scored { round, at, bytes, trainings, score }, job));
    }
}

fn overlap(a: &[NodeId], b: &[NodeId]) -> f64 {
    let common = a.iter().filter(|id| b.contains(id)).count();
    common as f64 / a.len().max(b.len()).max(1) as f64
}
