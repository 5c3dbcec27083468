//! Figures of tasks that are really trained.

use super::parse::Coding;
use super::{TaskOptions, Trained, page, parse, protocol};
use crate::baselines::{self, Baseline};
use crate::modest::{Report, Scored};
use crate::{Lie, Merge, Rules, Scenario, SimError, Task, Weigh};
use mote_modest::compress::Codec;
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What all runs of a figure have in common.
pub(super) struct Plan<'a> {
    pub rounds: u32,
    pub seeds: Range<u64>,
    pub task: &'a TaskOptions,
    /// A page of charts of the first seed.
    pub html: Option<&'a Path>,
    /// Adds lines and threads.
    pub with: &'a dyn Fn(Scenario) -> Scenario,
    /// Tells every score, too.
    pub curves: bool,
}

/// A run, by the name that tables and charts give it.
pub(super) struct Named {
    pub name: String,
    pub scores: Vec<Scored>,
}

/// Evaluations whose mean is a run's result: single ones vary from round to round.
const LAST: usize = 5;

impl Named {
    fn new(name: impl Into<String>, scores: Vec<Scored>) -> Named {
        Named { name: name.into(), scores }
    }

    fn result(&self) -> f64 {
        let last = self.scores.iter().rev().take(LAST).map(|s| s.score.value);
        last.clone().sum::<f64>() / last.count().max(1) as f64
    }
}

/// Runs until the last round's mean is there, with which the next one begins.
fn run(scenario: &Scenario, task: &dyn Task) -> Result<Report, SimError> {
    crate::modest::run(&Scenario { rounds: scenario.rounds + 1, ..scenario.clone() }, task)
}

impl Plan<'_> {
    /// Does something with each seed's task and scenario.
    fn each(
        &self,
        mut work: impl FnMut(&dyn Task, Scenario) -> Result<Value, SimError>,
    ) -> Result<Vec<Value>, SimError> {
        let (mut rows, mut last): (_, Option<Trained>) = (Vec::new(), None);
        for seed in self.seeds.clone() {
            let task = match last.take() {
                Some(task) => self.task.again(task, seed)?,
                None => self.task.read(seed)?,
            };
            let scenario = (self.with)(self.task.scenario(&task, self.rounds, seed));
            rows.push(work(task.as_task(), scenario)?);
            last = Some(task);
        }
        Ok(rows)
    }

    fn told(&self, run: &Named) -> Value {
        let last = run.scores.last();
        let mut told = json!({
            "result": run.result(), "rounds": last.map(|s| s.round), "bytes": last.map(|s| s.bytes),
            "trainings": last.map(|s| s.trainings), "seconds": last.map(|s| s.at as f64 / 1000.0),
        });
        if self.curves {
            let points = run.scores.iter().map(|s| json!([s.round, s.at, s.bytes, s.score.value]));
            told["round_ms_bytes_value"] = points.collect();
        }
        told
    }
}

/// MoDeST beside FedAvg for as many rounds, and beside D-SGD and gossip: how many times the bytes do these need to be
/// as good as they get?
pub(super) fn compare(plan: &Plan<'_>, rules: Rules, peer_rounds: u32) -> Result<Value, SimError> {
    let mut html = plan.html;
    let rows = plan.each(|task, scenario| {
        let scenario = Scenario { rules, ..scenario };
        let report = run(&scenario, task)?;
        let mut all = vec![Named::new("MoDeST", report.scores.clone())];
        all.push(Named::new("FedAvg", baselines::run(&scenario, task, Baseline::FedAvg).scores));
        if peer_rounds > 0 {
            let peers = Scenario {
                rounds: peer_rounds,
                evaluate_every: (peer_rounds / 10).max(1),
                ..scenario.clone()
            };
            for (name, baseline) in [("D-SGD", Baseline::DSgd), ("gossip", Baseline::Gossip)] {
                all.push(Named::new(name, baselines::run(&peers, task, baseline).scores));
            }
        }
        if let Some(path) = html.take() {
            page::write(path, &scenario, task, &report, &all)?;
        }
        let [modest, fedavg, ..] = all.as_slice() else { return Ok(Value::Null) };
        let difference = modest.result() - fedavg.result();
        let mut row = json!({
            "seed": scenario.seed,
            "difference_to_fedavg": difference, "relative_difference_to_fedavg": difference / fedavg.result(),
            "agreement": report.mean_look(10, |l| l.participants),
            "traffic": report.traffic,
            "model_bytes_per_round": report.traffic.models / u64::from(scenario.rounds),
        });
        let told: Map<String, Value> = all.iter().map(|r| (r.name.clone(), plan.told(r))).collect();
        row["runs"] = told.into();
        for peer in all.iter().skip(2) {
            row["bytes_for_the_same"][peer.name.as_str()] = cheaper(task, modest, peer);
        }
        Ok(row)
    })?;
    let of = |key: &str| mean(&rows, |row| row[key].as_f64());
    let result = |name: &str| mean(&rows, |row| row["runs"][name]["result"].as_f64());
    let least = |name: &str| {
        let factors = rows.iter().filter_map(|row| row["bytes_for_the_same"][name]["factor"].as_f64());
        factors.min_by(f64::total_cmp)
    };
    Ok(json!({
        "summary": {
            "results": { "MoDeST": result("MoDeST"), "FedAvg": result("FedAvg"), "D-SGD": result("D-SGD"), "gossip": result("gossip") },
            "difference_to_fedavg": of("difference_to_fedavg"),
            "relative_difference_to_fedavg": of("relative_difference_to_fedavg"),
            "least_factor_of_bytes": { "D-SGD": least("D-SGD"), "gossip": least("gossip") },
        },
        "seeds": rows,
    }))
}

/// The best that a peer reached, and where MoDeST was as good first.
fn cheaper(task: &dyn Task, modest: &Named, peer: &Named) -> Value {
    let better = |a: f64, b: f64| if task.rises() { a >= b } else { a <= b };
    let best = peer.scores.iter().reduce(|a, b| if better(a.score.value, b.score.value) { a } else { b });
    let Some(best) = best else { return Value::Null };
    let first = modest.scores.iter().find(|s| better(s.score.value, best.score.value));
    json!({
        "value": best.score.value, "bytes": best.bytes, "trainings": best.trainings,
        "modest_bytes": first.map(|s| s.bytes), "modest_trainings": first.map(|s| s.trainings),
        "factor": first.map(|s| best.bytes as f64 / s.bytes as f64),
    })
}

/// The crash schedule: the same training with crashes and without.
pub(super) fn crashes(
    scenario: &Scenario,
    task: &dyn Task,
    html: Option<PathBuf>,
    curves: bool,
) -> Result<Value, SimError> {
    // As long as the schedule's authors' devices take, three seconds.
    let step = 3000 / u64::from(task.steps(0).max(1));
    let scenario = Scenario { step, evaluate_every: (scenario.rounds / 60).max(1), ..scenario.clone() };
    let calm = Scenario { changes: Vec::new(), ..scenario.clone() };
    let (crashed, whole) = (run(&scenario, task)?, run(&calm, task)?);
    let mut figures = protocol::speeds(&scenario, &crashed);
    let all = [Named::new("with crashes", crashed.scores.clone()), Named::new("without", whole.scores)];
    let [with, without] = &all;
    figures["result"] = json!({
        "with_crashes": with.result(), "without": without.result(), "difference": with.result() - without.result(),
    });
    if curves {
        let of =
            |run: &Named| run.scores.iter().map(|s| json!([s.round, s.at, s.score.value])).collect::<Value>();
        figures["round_ms_value"] = json!({ "with_crashes": of(with), "without": of(without) });
    }
    if let Some(path) = html {
        page::write(&path, &scenario, task, &crashed, &all)?;
    }
    Ok(figures)
}

/// Codecs beside plain numbers: bytes of models, and what is reached in as many local steps.
pub(super) fn compress(plan: &Plan<'_>, codings: &[Coding]) -> Result<Value, SimError> {
    let plain = [Coding { up: Codec::F32, down: Codec::F32, kept: None, times: 1, rounds: None }];
    let all = plain.iter().chain(codings.iter().filter(|c| **c != plain[0]));
    let cases = all.map(|&coding| {
        let Coding { up, down, kept, times, rounds } = coding;
        Case { name: parse::told(coding), rules: Rules { up, down, kept, ..Rules::PLAIN }, times, rounds }
    });
    beside(plan, &cases.collect::<Vec<_>>())
}

/// Members that lie, beside the same network without: plain means, and clipped and trimmed ones.
pub(super) fn lies(plan: &Plan<'_>, liars: usize, lies: &[Lie], trim: usize) -> Result<Value, SimError> {
    let lies = if lies.is_empty() { &[Lie::Flipped, Lie::Scaled(-10.0), Lie::Scaled(10.0)] } else { lies };
    let mut cases = Vec::new();
    for (liars, lie) in [(0, Lie::Flipped)].into_iter().chain(lies.iter().map(|l| (liars, *l))) {
        let said = match lie {
            _ if liars == 0 => "nobody lies".to_owned(),
            Lie::Flipped => format!("{liars} send the opposite"),
            Lie::Scaled(factor) => format!("{liars} send {factor} times theirs"),
        };
        let guards = [("mean", false, Merge::Mean), ("clipped, trimmed", true, Merge::Trimmed(trim))];
        for (guard, clip, merge) in guards {
            let rules = Rules { liars, lie, clip, merge, ..Rules::PLAIN };
            cases.push(Case { name: format!("{said}: {guard}"), rules, times: 1, rounds: None });
        }
    }
    beside(plan, &cases)
}

/// Ways to average.
pub(super) fn merges(plan: &Plan<'_>) -> Result<Value, SimError> {
    let case = |name: &str, weigh, merge| Case {
        name: name.to_owned(),
        rules: Rules { weigh, merge, ..Rules::PLAIN },
        times: 1,
        rounds: None,
    };
    let cases = [
        case("mean", Weigh::Evenly, Merge::Mean),
        case("mean by samples", Weigh::Samples, Merge::Mean),
        case("mean by participation (FedAU)", Weigh::Participation, Merge::Mean),
        case("mean, variance corrected", Weigh::Evenly, Merge::VarianceCorrected),
        case("trimmed by 1", Weigh::Evenly, Merge::Trimmed(1)),
        case("TIES, half kept", Weigh::Evenly, Merge::Ties(500)),
    ];
    beside(plan, &cases)
}

/// One of several ways to train the same.
struct Case {
    name: String,
    rules: Rules,
    /// So many times the local steps a round, in so many times fewer rounds.
    times: u32,
    /// Other than that.
    rounds: Option<u32>,
}

/// All cases of each seed beside the first.
fn beside(plan: &Plan<'_>, cases: &[Case]) -> Result<Value, SimError> {
    let mut html = plan.html;
    let rows = plan.each(|task, scenario| {
        let (mut rows, mut curves, mut first): (Vec<Value>, Vec<_>, _) = (Vec::new(), Vec::new(), None);
        for Case { name, rules, times, rounds } in cases {
            let rounds = rounds.unwrap_or((scenario.rounds / times).max(1));
            let scenario =
                Scenario { rules: *rules, rounds, evaluate_every: (rounds / 40).max(1), ..scenario.clone() };
            let report = run(&scenario, &Longer { task, times: *times })?;
            let run = Named::new(name.clone(), report.scores.clone());
            let mut row = plan.told(&run);
            row["case"] = name.clone().into();
            row["update_bytes"] = rules.update_bytes(task.parameters()).into();
            row["mean_bytes"] = rules.down.bytes(task.parameters()).into();
            row["model_bytes"] = report.traffic.models.into();
            rows.push(row);
            curves.push(run);
            first.get_or_insert(report);
        }
        let plain = rows.first().cloned().unwrap_or_default();
        for row in &mut rows {
            let both = |key: &str| plain[key].as_f64().zip(row[key].as_f64());
            let (fewer, difference) =
                (both("model_bytes").map(|(a, b)| a / b), both("result").map(|(a, b)| b - a));
            row["times_fewer_model_bytes"] = json!(fewer);
            row["difference"] = json!(difference);
        }
        if let (Some(path), Some(report)) = (html.take(), &first) {
            page::write(path, &scenario, task, report, &curves)?;
        }
        Ok(json!({ "seed": scenario.seed, "cases": rows }))
    })?;
    Ok(json!({ "summary": summary(&rows), "seeds": rows }))
}

/// Means over seeds of the same case.
fn summary(seeds: &[Value]) -> Value {
    let Some(first) = seeds.first().and_then(|seed| seed["cases"].as_array()) else { return Value::Null };
    let row = |(at, row): (usize, &Value)| {
        let of = |key: &str| mean(seeds, |seed| seed["cases"][at][key].as_f64());
        json!({
            "case": row["case"], "result": of("result"), "difference": of("difference"),
            "times_fewer_model_bytes": of("times_fewer_model_bytes"),
        })
    };
    first.iter().enumerate().map(row).collect()
}

fn mean(rows: &[Value], of: impl Fn(&Value) -> Option<f64>) -> Option<f64> {
    let all: Option<Vec<f64>> = rows.iter().map(of).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64)
}

/// A task with more local steps a round.
struct Longer<'a> {
    task: &'a dyn Task,
    times: u32,
}

impl Task for Longer<'_> {
    fn parameters(&self) -> usize {
        self.task.parameters()
    }

    fn initial(&self) -> Vec<f32> {
        self.task.initial()
    }

    /// Each time has samples of its own, as a round's.
    fn train(&self, node: usize, round: u32, parameters: &[f32]) -> Vec<f32> {
        let first = round * self.times;
        (1..self.times).fold(self.task.train(node, first, parameters), |parameters, time| {
            self.task.train(node, first + time, &parameters)
        })
    }

    fn steps(&self, node: usize) -> u32 {
        self.times * self.task.steps(node)
    }

    fn samples(&self, node: usize) -> usize {
        self.task.samples(node)
    }

    fn evaluate(&self, parameters: &[f32]) -> crate::Score {
        self.task.evaluate(parameters)
    }

    fn rises(&self) -> bool {
        self.task.rises()
    }
}
