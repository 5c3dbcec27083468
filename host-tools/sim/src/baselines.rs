//! What MoDeST is compared with, in rounds that all nodes keep. Trainings are the same pure functions.
//!
//! Time of a round: its slowest part, of a training and transfers over the same lines.

use crate::links::Links;
use crate::modest::{Driver, Scored};
use crate::pool::Pool;
use crate::{Scenario, Score, Task, Update};
use mote_modest::order;
use mote_runtime::random::Random;
use serde::Serialize;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Baseline {
    /// A server picks a sample each round, by MoDeST's hash, and averages.
    FedAvg,
    /// All train, and average with one neighbour: round `r` with that `2^(r mod log2 n)` places on.
    DSgd,
    /// All train, send to somebody by chance, and average what comes by age.
    Gossip,
}

#[derive(Clone, Debug, Serialize)]
pub struct BaselineReport {
    pub scores: Vec<Scored>,
    pub bytes: u64,
    pub trainings: u64,
    pub end: u64,
}

enum Done {
    Parameters(Vec<f32>),
    Score(Score),
}

/// Nodes whose scores are averaged where each has parameters of its own.
const JUDGED: usize = 10;

/// Runs `scenario.rounds` rounds without loss, crashes and lies.
pub fn run(scenario: &Scenario, task: &dyn Task, baseline: Baseline) -> BaselineReport {
    std::thread::scope(|scope| {
        let run = Run { scenario, task, pool: Pool::new(scope, scenario.threads) };
        if baseline == Baseline::FedAvg { run.server() } else { run.peers(baseline) }
    })
}

struct Run<'s> {
    scenario: &'s Scenario,
    task: &'s dyn Task,
    pool: Pool<'s, Done>,
}

impl<'s> Run<'s> {
    fn server(mut self) -> BaselineReport {
        let Scenario { nodes, params, seed, .. } = *self.scenario;
        let (rules, count) = (self.scenario.rules, self.task.parameters());
        let (up, down) = (rules.update_bytes(count), rules.down.bytes(count));
        // The server is one node more, with as good a line as all of a sample together.
        let latencies = self.scenario.latencies.clone();
        let mut links = Links::new(nodes + 1, latencies, self.scenario.bandwidth, 0, seed);
        links.widen(nodes, params.sample as f64);
        let mut report = BaselineReport { scores: Vec::new(), bytes: 0, trainings: 0, end: 0 };
        let mut model = Arc::new(self.task.initial());
        let mut drivers: Vec<Driver> = (0..nodes).map(|_| Driver::default()).collect();
        for round in 1..=self.scenario.rounds {
            let key = order::seed(&params.beacon, round);
            let keys = (0..nodes).map(|n| order::key(&key, &crate::modest::id(seed, n)));
            let mut found = vec![(0, mote_modest::NodeId([0; 32])); params.sample];
            order::first(keys, None, &mut found);
            let sample: Vec<usize> = found.iter().map(|(_, id)| crate::modest::number(id)).collect();
            let jobs: Vec<u64> = sample.iter().map(|n| self.train(*n, round, &model)).collect();
            let updates: Vec<Update> = sample
                .iter()
                .zip(jobs)
                .map(|(n, job)| Update {
                    values: Arc::new(self.parameters(job)),
                    weight: drivers[*n].weigh(rules.weigh, round, self.task.samples(*n)),
                })
                .collect();
            let mut end = report.end;
            for n in &sample {
                let there = links.arrival(nodes, *n, down, report.end).unwrap_or(report.end);
                let trained = there + self.scenario.training(*n, self.task.steps(*n));
                end = end.max(links.arrival(*n, nodes, up, trained).unwrap_or(trained));
            }
            report.end = end;
            report.bytes += (sample.len() * (up + down)) as u64;
            report.trainings += sample.len() as u64;
            model = Arc::new(rules.merge(&updates, &model));
            if round % self.scenario.evaluate_every == 0 {
                let score = self.judge(&[Arc::clone(&model)]);
                report.scores.push(scored(round, &report, score));
            }
        }
        report
    }

    fn peers(mut self, baseline: Baseline) -> BaselineReport {
        let Scenario { nodes, seed, .. } = *self.scenario;
        let bytes = 4 * self.task.parameters();
        let (latencies, bandwidth) = (self.scenario.latencies.clone(), self.scenario.bandwidth);
        let mut links = Links::new(nodes, latencies, bandwidth, 0, seed);
        let mut random = Random::new(seed ^ 9);
        let mut report = BaselineReport { scores: Vec::new(), bytes: 0, trainings: 0, end: 0 };
        let initial = Arc::new(self.task.initial());
        let mut models = vec![initial; nodes];
        let mut ages = vec![0.0f32; nodes];
        for round in 1..=self.scenario.rounds {
            let jobs: Vec<u64> = (0..nodes).map(|n| self.train(n, round, &models[n])).collect();
            let trained: Vec<Arc<Vec<f32>>> =
                jobs.into_iter().map(|job| Arc::new(self.parameters(job))).collect();
            ages.iter_mut().for_each(|age| *age += 1.0);
            let distance = 1 << (round % nodes.next_power_of_two().ilog2().max(1));
            let receivers: Vec<usize> = match baseline {
                Baseline::Gossip => (0..nodes).map(|_| random.below(nodes as u32) as usize).collect(),
                _ => (0..nodes).map(|n| (n + distance) % nodes).collect(),
            };
            models = trained.clone();
            let (old_ages, mut end) = (ages.clone(), report.end);
            for (n, to) in receivers.into_iter().enumerate().filter(|(n, to)| n != to) {
                let share =
                    if baseline == Baseline::Gossip { old_ages[n] / (ages[to] + old_ages[n]) } else { 0.5 };
                let mixed =
                    models[to].iter().zip(trained[n].iter()).map(|(own, came)| own + share * (came - own));
                models[to] = Arc::new(mixed.collect());
                ages[to] = ages[to].max(old_ages[n]);
                let done = report.end + self.scenario.training(n, self.task.steps(n));
                end = end.max(links.arrival(n, to, bytes, done).unwrap_or(done));
                report.bytes += bytes as u64;
            }
            report.end = end;
            report.trainings += nodes as u64;
            if round % self.scenario.evaluate_every == 0 {
                let judged: Vec<_> = (0..JUDGED.min(nodes))
                    .map(|n| Arc::clone(&models[n * nodes / JUDGED.min(nodes)]))
                    .collect();
                let score = self.judge(&judged);
                report.scores.push(scored(round, &report, score));
            }
        }
        report
    }

    fn train(&mut self, node: usize, round: u32, model: &Arc<Vec<f32>>) -> u64 {
        let (task, rules, base) = (self.task, self.scenario.rules, Arc::clone(model));
        self.pool.submit(move || {
            let new = task.train(node, round, &base);
            Done::Parameters(rules.sent(node, round, &base, new, &mut Vec::new()))
        })
    }

    fn parameters(&mut self, job: u64) -> Vec<f32> {
        match self.pool.take(job) {
            Some(Done::Parameters(parameters)) => parameters,
            _ => Vec::new(),
        }
    }

    /// The mean of the models' scores.
    fn judge(&mut self, models: &[Arc<Vec<f32>>]) -> Score {
        let jobs: Vec<u64> = models
            .iter()
            .map(|model| {
                let (task, model) = (self.task, Arc::clone(model));
                self.pool.submit(move || Done::Score(task.evaluate(&model)))
            })
            .collect();
        let mut sum = Score { value: 0.0, loss: 0.0 };
        for job in jobs {
            if let Some(Done::Score(score)) = self.pool.take(job) {
                sum.value += score.value / models.len() as f64;
                sum.loss += score.loss / models.len() as f64;
            }
        }
        sum
    }
}

fn scored(round: u32, report: &BaselineReport, score: Score) -> Scored {
    Scored { round, at: report.end, bytes: report.bytes, trainings: report.trainings, score }
}
