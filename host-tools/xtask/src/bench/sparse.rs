//! `cargo xtask bench sparse`: 1x1 convolutions with few weights beside dense ones, portable kernels: times on the host,
//! instructions on an emulated microcontroller.

use super::mcu;
use crate::{
    board::Board,
    image::{App, Samples, Speed},
    workspace::{capture, cargo, run, target},
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;

#[derive(clap::Args)]
pub struct Options {
    /// Only times on the host, or only instructions on this core
    #[arg(long, value_parser = ["host", "m4"])]
    only: Option<String>,
    /// Further arguments of the host's part, after `--`: --quick, --f32, --int8, --samples
    #[arg(last = true)]
    host: Vec<String>,
}

pub fn measure(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("host") {
        run(bench().args(&options.host))?;
    }
    if wanted("m4") {
        instructions(Board::by_core("m4")?)?;
    }
    Ok(())
}

fn bench() -> std::process::Command {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "-p", "mote-runtime", "--features", "pack", "--bench", "sparse", "--"]);
    bench
}

/// A step of the measured plan; block 0 is the dense kernel.
#[derive(Deserialize)]
struct Step {
    positions: u64,
    inputs: u64,
    outputs: u64,
    percent: u64,
    block: u64,
    bytes: u64,
}

fn instructions(board: &'static Board) -> Result<()> {
    let folder = target()?.join("plans").join(board.core);
    fs::create_dir_all(&folder)?;
    let plan = folder.join("sparse.mote");
    let told = capture(bench().arg("--plan").arg(&plan))?;
    let steps: Vec<Step> =
        told.lines().map(serde_json::from_str).collect::<Result<_, _>>().context("reading the steps")?;
    let samples = Samples { seed: 1, count: 2 };
    let speed = Speed::Fast;
    // Megabytes of weights are checked sooner by the emulated machine than by the compiler.
    let app = App { board, plan: &plan, samples, log: false, laps: true, loaded: true, speed };
    let counts = mcu::laps(&app)?;
    if counts.len() != steps.len() {
        bail!("{} steps were counted, {} ran", counts.len(), steps.len());
    }
    println!(
        "int8 on {} ({}), portable kernels, exact instructions: 1x1 layers of MobileNetV1 (up to 224 positions)",
        board.core, board.name
    );
    println!(
        "  {:>9} {:>11} {:>7} {:>6} {:>13} {:>8} {:>6} {:>8}",
        "positions", "channels", "zeros", "block", "instructions", "per MAC", "fewer", "weights"
    );
    let mut dense: Option<(u64, u64)> = None;
    let mut totals = [(0u64, 0u64, 0u64, 0u64); 5];
    for (step, &count) in steps.iter().zip(&counts) {
        let macs = step.positions * step.inputs * step.outputs;
        if step.block == 0 {
            dense = Some((count, step.bytes));
        }
        let (dense, dense_bytes) = dense.context("the dense step comes first")?;
        println!(
            "  {:>9} {:>11} {:>6}% {:>6} {:>13} {:>8.2} {:>6.2} {:>8.3}",
            step.positions,
            format!("{} -> {}", step.inputs, step.outputs),
            step.percent,
            if step.block == 0 { "dense".into() } else { format!("{}x1", step.block) },
            count,
            count as f64 / macs as f64,
            dense as f64 / count as f64,
            step.bytes as f64 / dense_bytes as f64
        );
        if step.percent == 90 {
            let total = totals.get_mut(step.block as usize).context("an unknown block")?;
            *total = (total.0 + dense, total.1 + count, total.2 + dense_bytes, total.3 + step.bytes);
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
