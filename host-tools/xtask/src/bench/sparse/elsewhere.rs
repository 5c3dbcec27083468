//! Dense and sparse layers elsewhere than on the host: exact instructions on an emulated microcontroller, times in
//! WebAssembly.

use super::{bench, fit::Sample};
use crate::{
    board::Board,
    models, wasm,
    workspace::{capture, target},
};
use anyhow::{Context, Result, bail};
use mote_emulator::profile::{self, Subject};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// A step of the measured plan.
#[derive(Deserialize)]
pub struct Step {
    kernel: String,
    positions: u64,
    inputs: u64,
    outputs: u64,
    percent: u64,
    /// Output times input channels of a block; empty: the dense kernel.
    block: String,
    entries: u64,
    bytes: u64,
    /// Whether strips are shorter than the kernel likes them.
    #[serde(default)]
    short: bool,
    /// Instructions, or nanoseconds.
    #[serde(default)]
    cost: f64,
}

/// Runs the plans of the bench, all of whose steps are layers to measure: with portable kernels, and with the core's own.
pub fn count(board: &'static Board, quick: Option<&str>) -> Result<Vec<Step>> {
    let mut steps = steps(board, &[], quick)?;
    steps.extend(self::steps(board, &["--own"], quick)?);
    Ok(steps)
}

fn steps(board: &'static Board, own: &[&str], quick: Option<&str>) -> Result<Vec<Step>> {
    let folder = target()?.join("plans").join(board.core);
    fs::create_dir_all(&folder)?;
    let plan = folder.join("sparse.mote");
    let mut steps = write_plan(&plan, board.core, own, quick)?;
    let bytes = fs::read(&plan).with_context(|| format!("reading {}", plan.display()))?;
    let memory = models::facts(&plan)?.arena_bytes as usize;
    let subject = Subject { plan: &bytes, memory, first_ready: 0, every: 1 };
    let counts = profile::run(board, &profile::image(board)?, &subject)?.steps;
    if counts.len() != steps.len() {
        bail!("{} steps were counted, {} ran", counts.len(), steps.len());
    }
    for (step, count) in steps.iter_mut().zip(counts) {
        step.cost = count.counts.total()? as f64;
    }
    Ok(steps)
}

/// Measures the layers in Node, with the kernels for SIMD128: the least of many runs of each step.
pub fn time(quick: Option<&str>) -> Result<Vec<Step>> {
    let folder = target()?.join("plans/wasm");
    fs::create_dir_all(&folder)?;
    let mut all = Vec::new();
    for dtype in ["--int8", "--f32"] {
        let plan = folder.join(format!("sparse{dtype}.mote"));
        let mut steps = write_plan(&plan, "wasm", &["--own", dtype], quick)?;
        // At once by the compiler that engines use for what runs often.
        let mut node = wasm::node();
        let times = capture(node.args(["--no-liftoff", "tests/web/steps.mjs"]).arg(&plan))?;
        let times: Vec<f64> = serde_json::from_str(&times).context("reading times")?;
        if times.len() != steps.len() {
            bail!("{} steps were measured, {} ran", steps.len(), times.len());
        }
        steps.iter_mut().zip(times).for_each(|(step, ms)| step.cost = ms * 1e6);
        all.extend(steps);
    }
    Ok(all)
}

/// Has a plan written, and reads what its steps are.
fn write_plan(plan: &Path, core: &str, form: &[&str], quick: Option<&str>) -> Result<Vec<Step>> {
    let told = capture(bench().arg("--plan").arg(plan).args(["--core", core]).args(form).args(quick))?;
    told.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("reading the steps")
}

/// What the steps cost at a position.
pub fn samples(steps: &[Step]) -> Vec<Sample> {
    let sample = |step: &Step| {
        let (inputs, outputs) = (step.inputs as f64, step.outputs as f64);
        let short = if step.short { "/short" } else { "" };
        let (kernel, weights) = match &step.block[..] {
            "" => (step.kernel.clone(), inputs * outputs),
            block => (format!("{}/{block}{short}", step.kernel), step.entries as f64),
        };
        let cost = step.cost / step.positions as f64;
        Sample { kernel, work: [weights, inputs, outputs], cost }
    };
    steps.iter().map(sample).collect()
}

/// A table of costs in `unit`, and the sums of all layers.
pub fn print(place: &str, unit: &str, steps: &[Step]) -> Result<()> {
    println!("{place}, {unit}: 1x1 layers of MobileNetV1, cut where there is no room for them");
    println!(
        "  {:>12} {:>9} {:>11} {:>7} {:>11} {:>13} {:>8} {:>6} {:>8}",
        "kernel", "positions", "channels", "zeros", "block", unit, "per MAC", "fewer", "weights"
    );
    let mut dense: Option<&Step> = None;
    let mut totals: BTreeMap<(&str, &str, String), [f64; 4]> = BTreeMap::new();
    for step in steps {
        let macs = step.positions * step.inputs * step.outputs;
        if step.block.is_empty() {
            dense = Some(step);
        }
        let dense = dense.context("the dense step comes first")?;
        let block = match (&step.block[..], step.short) {
            ("", _) => "dense".into(),
            (block, false) => block.into(),
            (block, true) => format!("{block}, short"),
        };
        println!(
            "  {:>12} {:>9} {:>11} {:>6}% {:>11} {:>13.0} {:>8.3} {:>6.2} {:>8.3}",
            step.kernel,
            step.positions,
            format!("{} -> {}", step.inputs, step.outputs),
            step.percent,
            block,
            step.cost,
            step.cost / macs as f64,
            dense.cost / step.cost,
            step.bytes as f64 / dense.bytes as f64
        );
        if step.percent == 90 {
            let total = totals.entry((&dense.kernel, &step.kernel, block)).or_default();
            let more = [dense.cost, step.cost, dense.bytes as f64, step.bytes as f64];
            total.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
        }
    }
    for ((dense_kernel, kernel, block), [dense, sparse, dense_bytes, bytes]) in totals {
        println!(
            "  all layers, 90 % zeros, {kernel} {block}: {:.2} times fewer {unit} than {dense_kernel}, weights {:.3} of the bytes",
            dense / sparse,
            bytes / dense_bytes
        );
    }
    Ok(())
}
