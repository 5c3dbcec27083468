//! `mote-sim`: runs simulations and prints JSON.

use clap::{Parser, Subcommand};
use mote_modest::compress::Codec;
use mote_sim::baselines::{self, Baseline};
use mote_sim::html::{self, Chart, Series};
use mote_sim::links::Latencies;
use mote_sim::modest::{Report, Scored, run};
use mote_sim::tasks::MovieLens;
use mote_sim::{Lie, Merge, Protocol, Rules, Scenario, SimError, Task, trials};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Simulates networks of devices that train together (MoDeST)")]
struct Options {
    /// Round-trip times between cities; synthetic ones without it.
    #[arg(long, global = true)]
    latencies: Option<PathBuf>,
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The protocol alone: agreement on samples, traffic of views, rounds a second.
    Protocol {
        #[arg(long, default_value_t = 1000)]
        nodes: usize,
        #[arg(long, default_value_t = 500)]
        rounds: u32,
        /// Of so many nodes one crashes, leaves, comes back or joins a minute.
        #[arg(long)]
        churn: Option<usize>,
    },
    /// Loss, crashes of aggregators and a partition that heals: does anything stall?
    Stalls {
        #[arg(long, default_value_t = 24)]
        nodes: usize,
        #[arg(long, default_value_t = 10_000)]
        rounds: u32,
        #[arg(long, default_value_t = 20)]
        seeds: u64,
    },
    /// MoDeST beside FedAvg, D-SGD and gossip on MovieLens latest-small, really trained.
    Train {
        /// `ratings.csv` of MovieLens latest-small.
        #[arg(long)]
        ratings: PathBuf,
        #[arg(long, default_value_t = 300)]
        rounds: u32,
        /// Rounds of D-SGD and gossip, in which all nodes train; 0: none.
        #[arg(long, default_value_t = 30)]
        peer_rounds: u32,
        /// How updates travel: f32, f16, int8, sign, top:PERMILLE, project:COORDINATES.
        #[arg(long, default_value = "f32", value_parser = codec)]
        up: Codec,
        /// How means travel.
        #[arg(long, default_value = "f32", value_parser = codec)]
        down: Codec,
        /// mean, trimmed:COUNT, variance, ties:PERMILLE.
        #[arg(long, default_value = "mean", value_parser = merge)]
        merge: Merge,
        /// Updates longer than the round's median are shortened to it.
        #[arg(long)]
        clip: bool,
        /// So many nodes lie: `flip`, or a factor.
        #[arg(long, default_value_t = 0)]
        liars: usize,
        #[arg(long, default_value = "flip", value_parser = lie, allow_hyphen_values = true)]
        lie: Lie,
        /// Writes a page of charts.
        #[arg(long)]
        html: Option<PathBuf>,
    },
    /// The paper's schedules: 80 of 100 nodes crash, or 10 join 90, five a minute and one a minute.
    Schedule {
        #[arg(long, default_value_t = 600)]
        rounds: u32,
        /// Joins instead of crashes.
        #[arg(long)]
        join: bool,
    },
}

fn main() -> Result<(), SimError> {
    let options = Options::parse();
    let latencies = options.latencies.as_deref().map(Latencies::read).transpose()?;
    let with = |scenario: Scenario| match &latencies {
        Some(latencies) => Scenario { latencies: latencies.clone(), ..scenario },
        None => scenario,
    };
    let seed = options.seed;
    let result = match options.command {
        Command::Protocol { nodes, rounds, churn } => {
            let scenario = match churn {
                Some(each) => trials::churning(nodes, seed, rounds, each),
                None => Scenario { rounds, ..Scenario::calm(nodes, seed) },
            };
            protocol(&with(scenario))?
        }
        Command::Stalls { nodes, rounds, seeds } => {
            let mut runs = Vec::new();
            for aggregators in [1, 2] {
                for seed in seed..seed + seeds {
                    runs.push(stalls(&with(trials::troubled(nodes, aggregators, seed, rounds)), aggregators));
                }
            }
            let stalled = runs.iter().filter(|run| run["stalled"] != Value::Null).count();
            json!({ "stalled": stalled, "runs": runs })
        }
        Command::Train { ratings, rounds, peer_rounds, up, down, merge, clip, liars, lie, html } => {
            let rules = Rules { up, down, merge, clip, liars, lie };
            let task = MovieLens::read(&ratings, seed)?;
            let scenario = Scenario {
                rounds,
                rules,
                threads: options.threads,
                evaluate_every: (rounds / 20).max(1),
                ..Scenario::calm(task.users(), seed)
            };
            train(&with(scenario), &task, peer_rounds, html)?
        }
        Command::Schedule { rounds, join: true } => joining(&with(trials::joining(seed, rounds)))?,
        Command::Schedule { rounds, join: false } => crashing(&with(trials::crashing(seed, rounds)))?,
    };
    println!("{result:#}");
    Ok(())
}

fn protocol(scenario: &Scenario) -> Result<Value, SimError> {
    let report = run(scenario, &Protocol)?;
    let (rounds, nodes) = (f64::from(scenario.rounds), scenario.nodes as f64);
    Ok(json!({
        "nodes": scenario.nodes,
        "rounds": scenario.rounds,
        "changes": scenario.changes.iter().filter(|(at, _)| *at <= report.end).count(),
        "sample_agreement": {
            "participants": report.mean_look(10, |l| l.participants),
            "participants_with_truth": report.mean_look(10, |l| l.truth),
            "members_with_truth": report.mean_look(10, |l| l.members),
        },
        "view_bytes_per_node_and_round": report.traffic.views as f64 / rounds / nodes,
        "control_bytes_per_node_and_round": report.traffic.control as f64 / rounds / nodes,
        "model_bytes_per_node_and_round": report.traffic.models as f64 / rounds / nodes,
        "seconds_per_round": report.end as f64 / 1000.0 / rounds,
        "rounds_per_cpu_second": cpu_seconds().map(|seconds| rounds / seconds),
    }))
}

/// What the first thread has computed so far, where the system tells (Linux): a busy machine doesn't falsify it.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn stalls(scenario: &Scenario, aggregators: usize) -> Value {
    let waits = |report: &Report| report.rounds.windows(2).map(|w| w[1].at - w[0].at).max();
    match run(scenario, &Protocol) {
        Ok(report) => json!({
            "seed": scenario.seed, "aggregators": aggregators, "stalled": null,
            "rounds": scenario.rounds, "crashes": report.crashes,
            "seconds_per_round": report.end as f64 / 1000.0 / f64::from(scenario.rounds),
            "longest_round_seconds": waits(&report).unwrap_or(0) as f64 / 1000.0,
            "trainings_per_round": report.trainings as f64 / f64::from(scenario.rounds),
        }),
        Err(error) => {
            json!({ "seed": scenario.seed, "aggregators": aggregators, "stalled": error.to_string() })
        }
    }
}

fn joining(scenario: &Scenario) -> Result<Value, SimError> {
    let report = run(scenario, &Protocol)?;
    let of = |&(node, round): &(usize, u32)| {
        let known = report.known.iter().find(|(_, n, share)| *n == node && *share == 1.0);
        let half = report.known.iter().find(|(_, n, share)| *n == node && *share >= 0.5);
        json!({
            "node": node, "joined_in_round": round,
            "known_to_half_after": half.map(|(at, ..)| at - round),
            "known_to_all_after": known.map(|(at, ..)| at - round),
            "trained_after": report.first_trained.get(&node).map(|at| at - round),
        })
    };
    Ok(json!({ "joined": report.joined.iter().map(of).collect::<Vec<_>>() }))
}

fn crashing(scenario: &Scenario) -> Result<Value, SimError> {
    let report = run(scenario, &Protocol)?;
    let between = |from: u64, to: u64| {
        let rounds = report.rounds.iter().filter(|r| (from..to).contains(&r.at)).count();
        (to.min(report.end).saturating_sub(from)) as f64 / 1000.0 / rounds.max(1) as f64
    };
    Ok(json!({
        "rounds": scenario.rounds, "crashes": report.crashes, "seconds": report.end as f64 / 1000.0,
        "seconds_per_round": {
            "before": between(0, 300_000),
            "during": between(300_000, 1_260_000),
            "after": between(1_260_000, u64::MAX),
        },
    }))
}

fn train(
    scenario: &Scenario,
    task: &dyn Task,
    peer_rounds: u32,
    html: Option<PathBuf>,
) -> Result<Value, SimError> {
    let modest = run(scenario, task)?;
    let mut all = vec![("MoDeST", modest.scores.clone())];
    all.push(("FedAvg", baselines::run(scenario, task, Baseline::FedAvg).scores));
    if peer_rounds > 0 {
        let evaluate_every = (peer_rounds / 20).max(1);
        let peers = Scenario { rounds: peer_rounds, evaluate_every, ..scenario.clone() };
        all.push(("D-SGD", baselines::run(&peers, task, Baseline::DSgd).scores));
        all.push(("gossip", baselines::run(&peers, task, Baseline::Gossip).scores));
    }
    if let Some(path) = html {
        let page = html::page(
            "Decentralized training, simulated",
            &notes(scenario, &modest),
            &charts(&all, &modest),
        );
        std::fs::write(&path, page).map_err(|source| SimError::Write { path, source })?;
    }
    let last = |(name, scores): &(&str, Vec<Scored>)| json!({ "name": name, "last": scores.last(), "scores": scores });
    Ok(json!({
        "parameters": task.parameters(),
        "traffic": modest.traffic,
        "agreement": modest.mean_look(10, |l| l.participants),
        "seconds": modest.end as f64 / 1000.0,
        "crashes": modest.crashes,
        "runs": all.iter().map(last).collect::<Vec<_>>(),
    }))
}

fn notes(scenario: &Scenario, report: &Report) -> Vec<String> {
    let Scenario { nodes, rounds, seed, rules, .. } = scenario;
    vec![
        format!("{nodes} nodes, {rounds} rounds, seed {seed}; {rules:?}."),
        format!(
            "MoDeST sent {} bytes: {} of models, {} of views, {} beside.",
            report.traffic.all(),
            report.traffic.models,
            report.traffic.views,
            report.traffic.control
        ),
    ]
}

fn charts(all: &[(&str, Vec<Scored>)], modest: &Report) -> Vec<Chart> {
    let over = |title: &str, x: &str, of: fn(&Scored) -> f64| {
        let series = |(name, scores): &(&str, Vec<Scored>)| Series {
            name: (*name).to_owned(),
            points: scores.iter().map(|s| (of(s), s.score.value)).collect(),
        };
        let series = all.iter().map(series).collect();
        Chart { title: title.into(), x: x.into(), y: "accuracy, or square error".into(), series, bars: false }
    };
    let look = |name: &str, of: fn(&mote_sim::modest::Look) -> f64| Series {
        name: name.into(),
        points: modest.looks.iter().map(|l| (f64::from(l.round), of(l))).collect(),
    };
    let mut loads: Vec<u64> = modest.loads.iter().map(|l| l.sent + l.received).collect();
    loads.sort_unstable();
    let points = loads.iter().enumerate().map(|(n, load)| (n as f64, *load as f64 / 1e6)).collect();
    vec![
        over("Over rounds", "rounds", |s| f64::from(s.round)),
        over("Over time", "seconds", |s| s.at as f64 / 1000.0),
        over("Over bytes", "megabytes sent by all", |s| s.bytes as f64 / 1e6),
        Chart {
            title: "Agreement on samples".into(),
            x: "rounds".into(),
            y: "share in common".into(),
            series: vec![
                look("participants of a round", |l| l.participants),
                look("members, and the truth", |l| l.members),
            ],
            bars: false,
        },
        Chart {
            title: "Load of nodes, sorted".into(),
            x: "nodes".into(),
            y: "megabytes sent and received".into(),
            series: vec![Series { name: "MoDeST".into(), points }],
            bars: true,
        },
    ]
}

fn codec(text: &str) -> Result<Codec, String> {
    let (name, number) = text.split_once(':').unwrap_or((text, ""));
    let number = || number.parse::<u32>().map_err(|_| format!("a number is needed behind `{name}:`"));
    Ok(match name {
        "f32" => Codec::F32,
        "f16" => Codec::F16,
        "int8" => Codec::Int8,
        "sign" => Codec::Sign,
        "top" => Codec::TopK { permille: number()?.min(1000) as u16 },
        "project" => Codec::Projection { coordinates: number()?.max(1) },
        _ => return Err("one of f32, f16, int8, sign, top:PERMILLE, project:COORDINATES is needed".into()),
    })
}

fn merge(text: &str) -> Result<Merge, String> {
    let (name, number) = text.split_once(':').unwrap_or((text, ""));
    let number = || number.parse::<u16>().map_err(|_| format!("a number is needed behind `{name}:`"));
    Ok(match name {
        "mean" => Merge::Mean,
        "trimmed" => Merge::Trimmed(usize::from(number()?)),
        "variance" => Merge::VarianceCorrected,
        "ties" => Merge::Ties(number()?.min(1000)),
        _ => return Err("one of mean, trimmed:COUNT, variance, ties:PERMILLE is needed".into()),
    })
}

fn lie(text: &str) -> Result<Lie, String> {
    if text == "flip" {
        return Ok(Lie::Flipped);
    }
    text.parse().map(Lie::Scaled).map_err(|_| "`flip` or a factor is needed".into())
}
