//! Figures of the protocol, for which nothing has to be trained.

use crate::modest::{Report, run};
use crate::{Change, Protocol, Scenario, SimError, Task};
use serde_json::{Value, json};

/// Agreement, traffic and speed of the protocol alone.
pub(super) fn calm(scenario: &Scenario) -> Result<Value, SimError> {
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

/// Longest and mean round; why it stalled, if it did.
pub(super) fn stalls(scenario: &Scenario, aggregators: usize) -> Value {
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

/// When those who join are known, and train.
pub(super) fn joining(scenario: &Scenario) -> Result<Value, SimError> {
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

/// Seconds a round before, during and behind the crashes.
pub(super) fn crashing(scenario: &Scenario, task: &dyn Task) -> Result<Value, SimError> {
    Ok(speeds(scenario, &run(scenario, task)?))
}

pub(super) fn speeds(scenario: &Scenario, report: &Report) -> Value {
    let crash = |(at, change): &(u64, Change)| matches!(change, Change::Crash(_)).then_some(*at);
    let times: Vec<u64> = scenario.changes.iter().filter_map(crash).collect();
    let first = times.iter().copied().min().unwrap_or(0);
    // The last crash is over when nobody asks its victims any more.
    let last = times.iter().copied().max().unwrap_or(0) + 60_000;
    let between = |from: u64, to: u64| {
        let rounds = report.rounds.iter().filter(|r| (from..to).contains(&r.at)).count();
        (to.min(report.end).saturating_sub(from)) as f64 / 1000.0 / rounds.max(1) as f64
    };
    json!({
        "rounds": scenario.rounds, "crashes": report.crashes, "seconds": report.end as f64 / 1000.0,
        "seconds_per_round": {
            "before": between(0, first),
            "during": between(first, last),
            "after": between(last, u64::MAX),
        },
    })
}
