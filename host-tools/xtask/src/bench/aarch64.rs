//! `cargo xtask bench aarch64`: what a network costs on 64-bit Arm, beside the portable kernels.
//!
//! One static Linux program (`tests/on-linux`, `opt-level` 3) runs under `qemu-aarch64` with the counting plugin: the
//! model packed for `portable` and for `aarch64`, on a core of each level. The portable kernels are also compiled with
//! dot products and matrix multiplications allowed, so that the compiler may find uses for them. Instructions are those of
//! the second inference. All outputs, here and there, must be the same bytes where the network is of integers.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{
    baseline,
    mcu::grouped,
    steps::{StepRow, steps},
};
use crate::{
    golden,
    linux::{self, CORES, Machine, Run},
    models::{self, Found, Model},
    workspace::target,
};

#[derive(clap::Args)]
pub struct Options {
    /// Short names (kws, vww, ad, sww, resnet8, cifar10) or files (.tflite, .onnx)
    #[arg(long, value_delimiter = ',', default_value = "ad,kws,sww,vww,resnet8")]
    model: Vec<String>,
    /// Count every step of the plans, too
    #[arg(long)]
    steps: bool,
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
    /// Kernels: `portable`, or those of a level.
    kernels: String,
    /// The emulated core.
    core: &'static str,
    instructions: u64,
    macs: u64,
    instructions_per_mac: f64,
    /// Instructions of the portable kernels, compiled for NEON, over these.
    ratio: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepRow>,
}

/// Inferences, of which the last one is counted.
const COUNT: usize = 2;

/// Bytes of samples: more than any network takes.
const SAMPLE_BYTES: usize = 4 << 20;

pub fn run(options: &Options) -> Result<()> {
    let programs = Programs {
        here: linux::program(Machine::Host)?,
        allowed: linux::program(Machine::Arm { features: "+dotprod,+i8mm" })?,
        plain: linux::program(Machine::Arm { features: "" })?,
    };
    let mut rows = Vec::new();
    for name in &options.model {
        match models::find(name)? {
            Found::Here(model) => {
                eprintln!("{}", model.name);
                rows.extend(measure(options, &programs, &model)?);
            }
            Found::Absent(reason) => eprintln!("skipped {reason}"),
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print_table(&rows);
    }
    if options.convert.is_empty() {
        let own = rows.iter().filter(|row| CORES.iter().any(|core| core.level == row.kernels));
        let counts =
            own.map(|row| (format!("aarch64-{}", row.kernels), row.model.as_str(), row.instructions));
        baseline::settle(counts, options.write_baseline)?;
    }
    Ok(())
}

struct Programs {
    here: std::path::PathBuf,
    /// The compiler may use all that the richest core has.
    allowed: std::path::PathBuf,
    plain: std::path::PathBuf,
}

fn measure(options: &Options, programs: &Programs, model: &Model) -> Result<Vec<Row>> {
    let convert = |target: &str| model.convert_for(target, &format!("linux-{target}"), &options.convert);
    let (portable, own) = (convert("portable")?, convert("aarch64")?);
    let facts = [models::facts(&portable)?, models::facts(&own)?];
    let floats = facts[0].inputs.iter().any(|input| input.contains("f32"));
    let samples = target()?.join("plans").join(if floats { "samples.f32" } else { "samples.s8" });
    fs::write(&samples, random(floats))?;

    let run = |program, plan| Run { program, plan, samples: &samples, count: COUNT };
    let here = run(&programs.here, &portable).here()?;
    let own_here = run(&programs.here, &own).here()?;
    let richest = CORES.last().context("no cores")?;
    let mut found = vec![
        ("portable", richest.cpu, &facts[0], run(&programs.plain, &portable).on(richest.cpu, options.steps)?),
        (
            "portable, dotprod and i8mm",
            richest.cpu,
            &facts[0],
            run(&programs.allowed, &portable).on(richest.cpu, options.steps)?,
        ),
    ];
    for core in CORES {
        found.push((
            core.level,
            core.cpu,
            &facts[1],
            run(&programs.plain, &own).on(core.cpu, options.steps)?,
        ));
    }
    let outputs =
        found.iter().map(|(kernels, cpu, _, outcome)| (format!("{kernels} on {cpu}"), &outcome.outputs));
    for (name, outputs) in outputs.chain([("aarch64 on this machine".into(), &own_here)]) {
        if !floats && *outputs != here {
            bail!("{}: outputs of {name} differ from those of the portable kernels here", model.name);
        }
    }
    let base = found[0].3.inference.counts.total()?;
    found
        .into_iter()
        .map(|(kernels, core, facts, outcome)| {
            let instructions = outcome.inference.counts.total()?;
            Ok(Row {
                model: model.name.clone(),
                kernels: kernels.into(),
                core,
                instructions,
                macs: facts.macs,
                instructions_per_mac: instructions as f64 / facts.macs.max(1) as f64,
                ratio: base as f64 / instructions.max(1) as f64,
                steps: steps(&outcome.inference, &outcome.laps, facts)?,
            })
        })
        .collect()
}

/// Reproducible bytes, or numbers between 0 and 1.
fn random(floats: bool) -> Vec<u8> {
    let word = |index| (golden::word(1, index) >> 32) as u32;
    let number = |word: u32| match floats {
        true => ((word >> 8) as f32 / 16_777_216.0).to_le_bytes(),
        false => word.to_le_bytes(),
    };
    (0..SAMPLE_BYTES / 4).flat_map(|index| number(word(index))).collect()
}

fn print_table(rows: &[Row]) {
    println!(
        "{:14} {:28} {:12} {:>12} {:>8} {:>7}",
        "model", "kernels", "core", "instructions", "per MAC", "ratio"
    );
    for row in rows {
        println!(
            "{:14} {:28} {:12} {:>12} {:>8.3} {:>7.2}",
            row.model,
            row.kernels,
            row.core,
            grouped(row.instructions),
            row.instructions_per_mac,
            row.ratio
        );
        row.steps.iter().for_each(|step| step.print(row.instructions));
    }
    println!(
        "ratio: instructions of the portable kernels, compiled for NEON, over these; outputs are the same bytes"
    );
}
