//! Mutates plans, TFLite and ONNX files and what devices say, and looks at what becomes of them.
//!
//! ```text
//! cargo run --release -p mote-fuzz -- --cases 100000             as the test does
//! cargo run --release -p mote-fuzz -- --entry plain.mote --case 17     one case again
//! ```
//!
//! `corpus`: the sound files; `mutate`: what is done to them; `judge`: what must hold of the result (`line`: of a
//! device's line); `supervise`:
//! worker processes, so that a crash, a hang or a huge allocation is one finding and not the end.
#![forbid(unsafe_code)]

mod corpus;
mod judge;
mod line;
mod mutate;
mod supervise;

use std::alloc::System;
use std::process::ExitCode;

use anyhow::Result;
use cap::Cap;
use clap::Parser;

/// Refuses what is too much, in workers; the process then ends, and the supervisor notes the case.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that a case may hold at a time, on top of the corpus. The largest file of the corpus has some 300,000.
const MEMORY: usize = 64 << 20;

#[derive(Parser, Clone, Debug)]
#[command(name = "mote-fuzz", about)]
pub struct Options {
    /// Cases in all, shared out over the files of the corpus
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only files of the corpus whose name contains this
    #[arg(long, default_value = "")]
    entry: String,
    /// Only this case of each file, in this process
    #[arg(long)]
    case: Option<u64>,
    /// Writes the damaged file of this case here, too
    #[arg(long, requires = "case")]
    keep: Option<std::path::PathBuf>,
    /// Worker processes; 0: one for each processor
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Seconds that one case may take
    #[arg(long, default_value_t = 20)]
    patience: u64,
    #[arg(long, hide = true)]
    worker: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.worker {
        supervise::work(&options)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(case) = options.case {
        for entry in corpus::load(&options.entry)? {
            let bytes = mutate::mutate(&entry, options.seed, case);
            if let Some(path) = &options.keep {
                std::fs::write(path, &bytes)?;
            }
            let verdict = judge::judge(&entry, &bytes);
            println!("{} case {case}: {verdict:?}", entry.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let summary = supervise::run(&options)?;
    println!("{summary}");
    Ok(if summary.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
