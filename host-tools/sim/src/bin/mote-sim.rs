//! `mote-sim`: runs simulations and prints JSON.

use clap::{Parser, Subcommand};
use mote_sim::links::Latencies;
use mote_sim::modest::{Report, run};
use mote_sim::{Protocol, Scenario, SimError, trials};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

#[derive(Parser)]
#[command(about = "Simulates networks of devices that train together (MoDeST)")]
struct Options {
    /// Round-trip times between cities; synthetic ones without it.
    #[arg(long, global = true)]
    latencies: Option<PathBuf>,
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
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
        Command::Schedule { rounds, join: true } => joining(&with(trials::joining(seed, rounds)))?,
        Command::Schedule { rounds, join: false } => crashing(&with(trials::crashing(seed, rounds)))?,
    };
    println!("{result:#}");
    Ok(())
}

fn protocol(scenario: &Scenario) -> Result<Value, SimError> {
    let begin = Instant::now();
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
        "rounds_per_second_of_one_thread": rounds / begin.elapsed().as_secs_f64(),
    }))
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
