//! `cargo xtask bench mcu`: what a network costs on a microcontroller.
//!
//! The model is converted, built into the image that would be shipped (no logs), and run under QEMU
//! with the counting plugin. Instructions are those of the second inference. Flash is everything that
//! is flashed (sections of the image that are loaded: vector table, code, constants, initial values)
//! minus the weights; the plan's tables, the start-up code and this app are in it. Counts per layer come from the image
//! that holds every kernel (`mote_emulator::profile`), which differs a little in what the compiler made of it.
//! `target/bench/mcu.json` gets everything.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use mote_emulator::profile::{self, Profile, Subject};
use serde::Serialize;

use super::{
    baseline,
    peers::{Comparison, Peers},
    steps::{StepRow, profiled},
};
use crate::{
    board::Board,
    counts::Section,
    image::{self, App, Samples, Speed},
    models::{self, Facts, Found, Model},
    panics,
    qemu::{self, Settings},
    workspace::target,
};

#[derive(clap::Args)]
pub struct Options {
    /// Short names (kws, vww, ad, sww, resnet8, cifar10, efficientformer, tinynet, mobilenet) or files (.tflite, .onnx,
    /// .mote)
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ad,kws,sww,vww,resnet8,cifar10,efficientformer,tinynet,mobilenet"
    )]
    model: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "m4,m7,m33,m55,m0")]
    core: Vec<String>,
    /// Optimise the code for speed or for size
    #[arg(long, value_enum, default_value = "fast")]
    opt: Speed,
    /// Leave out the tables of counts per layer
    #[arg(long)]
    totals: bool,
    /// Write the counts to `tests/bench/baseline.toml` instead of comparing with it
    #[arg(long)]
    write_baseline: bool,
    /// A table for programs on standard output
    #[arg(long)]
    json: bool,
    /// Further arguments for `mote convert`, after `--`
    #[arg(last = true)]
    convert: Vec<String>,
}

/// One network on one core. Names in the JSON are a stable interface.
#[derive(Serialize)]
struct Row {
    model: String,
    core: &'static str,
    board: &'static str,
    instructions: u64,
    startup_instructions: u64,
    /// Start-up of a plan that comes at run time: parsed, checked against all kernels of the target, bound;
    /// without the CRC. In an image of its own, which has to hold all kernels: not of boards with little flash.
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_instructions: Option<u64>,
    /// Estimated from the instruction classes, not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles_estimate: Option<u64>,
    macs: u64,
    instructions_per_mac: f64,
    arena_bytes: u64,
    state_bytes: u64,
    /// Most stack in use during start-up and inferences.
    stack_bytes: u32,
    flash_bytes: u64,
    weight_bytes: u64,
    plan_bytes: u64,
    /// Ways to a panic in the image.
    panics: usize,
    peers: Vec<Comparison>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepRow>,
}

pub fn run(options: &Options) -> Result<()> {
    let peers = Peers::read()?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for core in &options.core {
        let board = Board::by_core(core)?;
        for name in &options.model {
            let model = match models::find(name)? {
                Found::Here(model) => model,
                Found::Absent(reason) => {
                    eprintln!("skipped {reason}");
                    continue;
                }
            };
            eprintln!("{} on {core}", model.name);
            match measure(options, board, &model, &peers) {
                Ok(Measured::Here(row)) => rows.push(*row),
                Ok(Measured::TooLarge(reason)) => eprintln!("skipped {name} on {core}: {reason}"),
                Err(error) => {
                    eprintln!("{}: {error:#}", model.name);
                    failed.push(model.name);
                }
            }
        }
    }
    let json = serde_json::to_string_pretty(&rows)?;
    let file = target()?.join("bench/mcu.json");
    fs::create_dir_all(file.with_file_name(""))?;
    fs::write(&file, &json).with_context(|| format!("writing {}", file.display()))?;
    if options.json {
        println!("{json}");
    } else {
        print_table(&rows);
        if !options.totals {
            rows.iter().for_each(print_layers);
        }
        println!("all of it: {}", file.display());
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    // Other optimisation and other conversions have other counts.
    if options.opt == Speed::Fast && options.convert.is_empty() {
        let counts = rows.iter().map(|row| (row.core.to_owned(), row.model.as_str(), row.instructions));
        baseline::settle(counts, options.write_baseline)?;
    }
    Ok(())
}

/// What came of a network on a board.
enum Measured {
    Here(Box<Row>),
    /// The board does not hold it, and why.
    TooLarge(String),
}

/// Flash and RAM that an image takes beside plan, arena and state: those with convolutions do.
const LEAST: (u64, u64) = (24 << 10, 1 << 10);

/// Flash that holds all kernels and a plan.
const ALL_KERNELS: u64 = 512 << 10;

/// What a board lacks for a plan of `plan` bytes that works in `work` bytes.
fn lacks(board: &Board, plan: u64, work: u64) -> Result<Option<String>> {
    let (flash, ram) = board.memory()?;
    let lack = |kind, needed, given| {
        format!("{} bytes of {kind} are needed, it has {}", grouped(needed), grouped(given))
    };
    Ok(match (plan + LEAST.0, work + LEAST.1) {
        (needed, _) if needed > flash => Some(lack("flash", needed, flash)),
        (_, needed) if needed > ram => Some(lack("RAM", needed, ram)),
        _ => None,
    })
}

fn measure(options: &Options, board: &'static Board, model: &Model, peers: &Peers) -> Result<Measured> {
    // Names are for us; the device gets a plan without them.
    let facts = models::facts(&model.convert(board, &options.convert)?)?;
    let strip = ["--strip".to_owned()].into_iter().chain(options.convert.iter().cloned());
    let plan = model.convert(board, &strip.collect::<Vec<_>>())?;
    let plan_bytes = fs::metadata(&plan)?.len();
    if let Some(reason) = lacks(board, plan_bytes, facts.arena_bytes + facts.state_bytes)? {
        return Ok(Measured::TooLarge(reason));
    }
    let app = App {
        board,
        plan: &plan,
        samples: Samples { seed: 1, count: facts.inferences() },
        log: false,
        speed: options.opt,
    };
    let image = app.build()?;
    let sizes = image::sizes(&image)?;
    let panics = panics::find(&image)?;
    for site in &panics {
        eprintln!("  can panic: {site}");
    }
    let run = count(board, &image, facts.inferences())?;
    let counts = &run.inference.counts;
    let instructions = counts.total()?;
    let profile = if board.memory()?.0 >= ALL_KERNELS { Some(profile(board, &plan, &facts)?) } else { None };
    let steps = profile.as_ref().map_or_else(|| Ok(Vec::new()), |profile| profiled(profile, &facts))?;
    let cycles_estimate = if board.core == "m4" { Some(counts.m4_cycles()?) } else { None };
    Ok(Measured::Here(Box::new(Row {
        model: model.name.clone(),
        core: board.core,
        board: board.name,
        instructions,
        startup_instructions: run.start_up.counts.total()?,
        parse_instructions: profile.map(|profile| profile.start_up.total()).transpose()?,
        cycles_estimate,
        macs: facts.macs,
        instructions_per_mac: instructions as f64 / facts.macs.max(1) as f64,
        arena_bytes: facts.arena_bytes,
        state_bytes: facts.state_bytes,
        stack_bytes: run.stack_bytes,
        flash_bytes: sizes.flash.saturating_sub(facts.weight_bytes),
        weight_bytes: facts.weight_bytes,
        plan_bytes,
        panics: panics.len(),
        peers: peers.beside(&model.name, board.core, instructions, cycles_estimate),
        steps,
    })))
}

/// [`Row::parse_instructions`] of a model.
pub fn parse_instructions(board: &'static Board, model: &Model) -> Result<u64> {
    let facts = models::facts(&model.convert(board, &[])?)?;
    let plan = model.convert(board, &["--strip".to_owned()])?;
    Ok(profile(board, &plan, &facts)?.start_up.total()?)
}

/// A run in the image that holds every kernel.
fn profile(board: &'static Board, plan: &Path, facts: &Facts) -> Result<Profile> {
    let bytes = fs::read(plan)?;
    let (first_ready, every) =
        facts.stream.as_ref().map_or((0, 1), |stream| (stream.first_ready, stream.every));
    let memory = (facts.arena_bytes + facts.state_bytes) as usize;
    let subject = Subject { plan: &bytes, memory, first_ready, every };
    Ok(profile::run(board, &profile::image(board)?, &subject)?)
}

/// A run of an image: its start-up and last inference.
struct Run {
    start_up: Section,
    inference: Section,
    stack_bytes: u32,
}

fn count(board: &Board, image: &Path, inferences: usize) -> Result<Run> {
    let settings = Settings { count: true, echo: true, patience: Duration::from_secs(600) };
    let outcome = qemu::emulate(board, image, settings)?;
    if outcome.exit != 0 {
        bail!("the image ended with code {}", outcome.exit);
    }
    let mut log = outcome.counts.context("no instruction counts")?;
    Ok(Run {
        start_up: log.take("start-up", 0)?,
        inference: log.take("inference", inferences - 1)?,
        stack_bytes: stack(&outcome.console)?,
    })
}

/// What the app writes to the console behind the outputs: see `firmware/apps/infer/src/app.rs`.
fn stack(console: &[u8]) -> Result<u32> {
    let stack = console.last_chunk().context("the image's report is incomplete")?;
    Ok(u32::from_le_bytes(*stack))
}

fn print_table(rows: &[Row]) {
    println!(
        "{:18} {:>4} {:>12} {:>9} {:>12} {:>7} {:>9} {:>7} {:>8} {:>7}",
        "model",
        "core",
        "instructions",
        "start-up",
        "~ cycles",
        "per MAC",
        "arena",
        "stack",
        "flash",
        "panics"
    );
    for row in rows {
        println!(
            "{:18} {:>4} {:>12} {:>9} {:>12} {:>7.2} {:>9} {:>7} {:>8} {:>7}",
            row.model,
            row.core,
            grouped(row.instructions),
            grouped(row.startup_instructions),
            row.cycles_estimate.map_or_else(|| "-".into(), grouped),
            row.instructions_per_mac,
            grouped(row.arena_bytes),
            grouped(row.stack_bytes.into()),
            grouped(row.flash_bytes),
            row.panics,
        );
        for peer in &row.peers {
            let known = |number: Option<u64>| number.map_or_else(|| "-".into(), grouped);
            println!(
                "  {:21} {:>12} {:>9} {:>12} {:>7} {:>9} {:>7} {:>8}   {:.2} x ours",
                peer.name,
                known(peer.instructions),
                known(peer.startup_instructions),
                known(peer.cycles),
                "",
                known(peer.arena_bytes),
                "",
                known(peer.flash_bytes),
                peer.ratio,
            );
        }
    }
    println!(
        "flash is code and constants without weights; our cycles are estimated from instruction classes, those of others \
         measured on hardware"
    );
}

fn print_layers(row: &Row) {
    if row.steps.is_empty() {
        return; // a board without room for every kernel
    }
    println!("\n{} on {}, per layer", row.model, row.core);
    row.steps.iter().for_each(|step| step.print(row.instructions));
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(7_847_109), "7,847,109");
    }
}
