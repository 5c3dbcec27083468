//! The page of charts of a figure.

use super::parse;
use super::training::Named;
use crate::html::{self, Chart, Series};
use crate::modest::{Look, Report, Scored};
use crate::{Merge, Rules, Scenario, SimError, Task, Weigh};
use mote_modest::compress::Codec;
use std::path::Path;

/// Writes the page: `report` tells what the network did, `all` how good models became.
pub(super) fn write(
    path: &Path,
    scenario: &Scenario,
    task: &dyn Task,
    report: &Report,
    all: &[Named],
) -> Result<(), SimError> {
    let charts = charts(all, report, if task.rises() { "accuracy" } else { "mean square error" });
    let page = html::page("Decentralized training, simulated", &notes(scenario, report), &charts);
    std::fs::write(path, page).map_err(|source| SimError::Write { path: path.to_owned(), source })
}

fn notes(scenario: &Scenario, report: &Report) -> Vec<String> {
    let Scenario { nodes, rounds, seed, rules, .. } = scenario;
    vec![
        format!("{nodes} nodes, {rounds} rounds, seed {seed}. {}", told(rules)),
        format!(
            "MoDeST sent {}: {} of models, {} of views, {} beside.",
            size(report.traffic.all()),
            size(report.traffic.models),
            size(report.traffic.views),
            size(report.traffic.control)
        ),
    ]
}

/// What is not as usual.
fn told(rules: &Rules) -> String {
    let Rules { up, down, kept, merge, weigh, clip, liars, lie } = *rules;
    let mut parts = Vec::new();
    if (up, down, kept) != (Codec::F32, Codec::F32, None) {
        parts.push(format!("updates as {}, means as {}", parse::name(up), parse::name(down)));
    }
    if (merge, weigh) != (Merge::Mean, Weigh::Evenly) {
        parts.push(format!("merged by {merge:?}, weighed {weigh:?}"));
    }
    if clip {
        parts.push("updates clipped to the median length".into());
    }
    if liars > 0 {
        parts.push(format!("{liars} nodes lie ({lie:?})"));
    }
    if parts.is_empty() { "Plain means of f32.".into() } else { format!("{}.", parts.join("; ")) }
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < 1_000_000 { (1e3, "kB") } else { (1e6, "MB") };
    format!("{:.1} {name}", bytes as f64 / unit)
}

fn charts(all: &[Named], modest: &Report, value: &str) -> Vec<Chart> {
    let over = |title: &str, x: &str, of: fn(&Scored) -> f64| {
        let series = |run: &Named| Series {
            name: run.name.clone(),
            points: run.scores.iter().map(|s| (of(s), s.score.value)).collect(),
        };
        let series = all.iter().map(series).collect();
        Chart { title: title.into(), x: x.into(), y: value.into(), series, bars: false }
    };
    let look = |name: &str, of: fn(&Look) -> f64| Series {
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
