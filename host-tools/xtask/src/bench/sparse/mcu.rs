//! Exact instructions of dense and sparse layers on an emulated microcontroller.

use super::{bench, fit::Sample};
use crate::{
    board::Board,
    models,
    workspace::{capture, target},
};
use anyhow::{Context, Result, bail};
use mote_emulator::profile::{self, Subject};
use serde::Deserialize;
use std::{collections::BTreeMap, fs};

/// A step of the measured plan.
#[derive(Deserialize)]
pub struct Step {
    kernel: String,
    positions: u64,
    inputs: u64,
    outputs: u64,
    percent: u64,
    /// Output channels of a block; 0: the dense kernel.
    block: u64,
    entries: u64,
    bytes: u64,
    /// Whether strips are shorter than the kernel likes them.
    #[serde(default)]
    short: bool,
    #[serde(default)]
    instructions: u64,
}

/// Runs the plans of the bench, all of whose steps are layers to measure: with portable kernels, and with the core's own.
pub fn count(board: &'static Board, quick: Option<&str>) -> Result<Vec<Step>> {
    let mut steps = steps(board, None, quick)?;
    steps.extend(self::steps(board, Some("--own"), quick)?);
    Ok(steps)
}

fn steps(board: &'static Board, own: Option<&str>, quick: Option<&str>) -> Result<Vec<Step>> {
    let folder = target()?.join("plans").join(board.core);
    fs::create_dir_all(&folder)?;
    let plan = folder.join("sparse.mote");
    let told = capture(bench().arg("--plan").arg(&plan).args(["--core", board.core]).args(own).args(quick))?;
    let mut steps: Vec<Step> =
        told.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("reading the steps")?;
    let bytes = fs::read(&plan).with_context(|| format!("reading {}", plan.display()))?;
    let memory = models::facts(&plan)?.arena_bytes as usize;
    let subject = Subject { plan: &bytes, memory, first_ready: 0, every: 1 };
    let counts = profile::run(board, &profile::image(board)?, &subject)?.steps;
    if counts.len() != steps.len() {
        bail!("{} steps were counted, {} ran", counts.len(), steps.len());
    }
    for (step, count) in steps.iter_mut().zip(counts) {
        step.instructions = count.counts.total()?;
    }
    Ok(steps)
}

/// What the steps cost at a position.
pub fn samples(steps: &[Step]) -> Vec<Sample> {
    let sample = |step: &Step| {
        let (inputs, outputs) = (step.inputs as f64, step.outputs as f64);
        let short = if step.short { "/short" } else { "" };
        let (kernel, weights) = match step.block {
            0 => (step.kernel.clone(), inputs * outputs),
            block => (format!("{}/{block}x1{short}", step.kernel), step.entries as f64),
        };
        let cost = step.instructions as f64 / step.positions as f64;
        Sample { kernel, work: [weights, inputs, outputs], cost }
    };
    steps.iter().map(sample).collect()
}

/// A table, and the sums of all layers.
pub fn print(board: &Board, steps: &[Step]) -> Result<()> {
    println!(
        "int8 on {} ({}), exact instructions: 1x1 layers of MobileNetV1 (up to 224 positions and 512 K weights)",
        board.core, board.name
    );
    println!(
        "  {:>12} {:>9} {:>11} {:>7} {:>11} {:>13} {:>8} {:>6} {:>8}",
        "kernel", "positions", "channels", "zeros", "block", "instructions", "per MAC", "fewer", "weights"
    );
    let mut dense: Option<&Step> = None;
    let mut totals: BTreeMap<(&str, &str, String), [u64; 4]> = BTreeMap::new();
    for step in steps {
        let macs = step.positions * step.inputs * step.outputs;
        if step.block == 0 {
            dense = Some(step);
        }
        let dense = dense.context("the dense step comes first")?;
        let block = match (step.block, step.short) {
            (0, _) => "dense".into(),
            (block, false) => format!("{block}x1"),
            (block, true) => format!("{block}x1, short"),
        };
        println!(
            "  {:>12} {:>9} {:>11} {:>6}% {:>11} {:>13} {:>8.2} {:>6.2} {:>8.3}",
            step.kernel,
            step.positions,
            format!("{} -> {}", step.inputs, step.outputs),
            step.percent,
            block,
            step.instructions,
            step.instructions as f64 / macs as f64,
            dense.instructions as f64 / step.instructions as f64,
            step.bytes as f64 / dense.bytes as f64
        );
        if step.percent == 90 {
            let total = totals.entry((&dense.kernel, &step.kernel, block)).or_default();
            let more = [dense.instructions, step.instructions, dense.bytes, step.bytes];
            total.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
        }
    }
    for ((dense_kernel, kernel, block), [dense, sparse, dense_bytes, bytes]) in totals {
        println!(
            "  all layers, 90 % zeros, {kernel} {block}: {:.2} times fewer instructions than {dense_kernel}, weights {:.3} of the bytes",
            dense as f64 / sparse as f64,
            bytes as f64 / dense_bytes as f64
        );
    }
    Ok(())
}
