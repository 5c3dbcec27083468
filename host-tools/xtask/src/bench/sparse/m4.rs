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
use std::fs;

/// A step of the measured plan.
#[derive(Deserialize)]
pub struct Step {
    positions: u64,
    inputs: u64,
    outputs: u64,
    percent: u64,
    /// Output channels of a block; 0: the dense kernel.
    block: u64,
    entries: u64,
    bytes: u64,
    #[serde(default)]
    instructions: u64,
}

/// Runs the plan of the bench, all of whose steps are layers to measure.
pub fn count(board: &'static Board, quick: Option<&str>) -> Result<Vec<Step>> {
    let folder = target()?.join("plans").join(board.core);
    fs::create_dir_all(&folder)?;
    let plan = folder.join("sparse.mote");
    let told = capture(bench().arg("--plan").arg(&plan).args(quick))?;
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
        let (kernel, weights) = match step.block {
            0 => ("conv2d_s8".into(), inputs * outputs),
            block => (format!("spmm_s8/{block}x1"), step.entries as f64),
        };
        let cost = step.instructions as f64 / step.positions as f64;
        Sample { kernel, work: [weights, inputs, outputs], cost }
    };
    steps.iter().map(sample).collect()
}

/// A table, and the sums of all layers.
pub fn print(board: &Board, steps: &[Step]) -> Result<()> {
    println!(
        "int8 on {} ({}), portable kernels, exact instructions: 1x1 layers of MobileNetV1 (up to 224 positions and 512 K weights)",
        board.core, board.name
    );
    println!(
        "  {:>9} {:>11} {:>7} {:>6} {:>13} {:>8} {:>6} {:>8}",
        "positions", "channels", "zeros", "block", "instructions", "per MAC", "fewer", "weights"
    );
    let mut dense: Option<&Step> = None;
    let mut totals = [(0u64, 0u64, 0u64, 0u64); 5];
    for step in steps {
        let macs = step.positions * step.inputs * step.outputs;
        if step.block == 0 {
            dense = Some(step);
        }
        let dense = dense.context("the dense step comes first")?;
        println!(
            "  {:>9} {:>11} {:>6}% {:>6} {:>13} {:>8.2} {:>6.2} {:>8.3}",
            step.positions,
            format!("{} -> {}", step.inputs, step.outputs),
            step.percent,
            if step.block == 0 { "dense".into() } else { format!("{}x1", step.block) },
            step.instructions,
            step.instructions as f64 / macs as f64,
            dense.instructions as f64 / step.instructions as f64,
            step.bytes as f64 / dense.bytes as f64
        );
        if step.percent == 90 {
            let total = totals.get_mut(step.block as usize).context("an unknown block")?;
            total.0 += dense.instructions;
            total.1 += step.instructions;
            total.2 += dense.bytes;
            total.3 += step.bytes;
        }
    }
    for (block, (dense, sparse, dense_bytes, bytes)) in totals.iter().enumerate().filter(|(_, t)| t.1 > 0) {
        println!(
            "  all layers, 90 % zeros, {block}x1: {:.2} times fewer instructions, weights {:.3} of the bytes",
            *dense as f64 / *sparse as f64,
            *bytes as f64 / *dense_bytes as f64
        );
    }
    Ok(())
}
