//! Runs a plan on samples: `mote-on-linux PLAN SAMPLES COUNT [LAPS]`.
//!
//! SAMPLES holds the inputs of at least COUNT inferences one behind the other, raw bytes as the plan has them. The outputs
//! go to standard output in the same way. Each inference is marked for the instruction counter (`tests/bench/qemu-count`); with
//! LAPS each step is, too, and that file receives the index of each lap's step (`u16`).

use std::io::Write;
use std::{env, fs};

use anyhow::{Context, Result, anyhow, ensure};
use mote_aarch64::kernels::AARCH64;
use mote_aarch64::mark;
use mote_runtime::kernels::KernelTable;
use mote_runtime::{Engine, Observer, Plan};

/// Different kernels that a plan may call.
const MAX_KERNELS: usize = 64;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut argument = || arguments.next().context("usage: mote-on-linux PLAN SAMPLES COUNT [LAPS]");
    let (plan, samples) = (fs::read(argument()?)?, fs::read(argument()?)?);
    let (count, laps): (usize, _) = (argument()?.parse()?, argument().ok());
    let file = Aligned::new(&plan);
    let plan = Plan::parse(file.bytes()).map_err(|error| anyhow!("{error}"))?;
    AARCH64.check_plan(&plan).map_err(|error| anyhow!("{error}"))?;
    let table: KernelTable<MAX_KERNELS> = KernelTable::link(&plan, AARCH64.entries)
        .map_err(|kernel| anyhow!("no kernel {kernel} in this program"))?;
    let mut arena = Aligned::new(&vec![0; plan.arena_bytes()]);
    let mut state = Aligned::new(&vec![0; plan.state_bytes()]);
    let mut engine = Engine::new(&plan, table.as_slice(), arena.bytes_mut(), state.bytes_mut())
        .map_err(|error| anyhow!("{error}"))?;

    let mut observer = Laps { marked: laps.is_some(), steps: Vec::with_capacity(1 << 20) };
    let lengths = (0..engine.inputs()).map(|index| engine.input_format(index).map(|format| format.bytes()));
    let lengths = lengths.collect::<Result<Vec<_>, _>>().map_err(|error| anyhow!("{error}"))?;
    let samples = samples.chunks_exact(lengths.iter().sum::<usize>().max(1));
    ensure!(samples.len() >= count, "there are {} samples", samples.len());
    for sample in samples.take(count) {
        let mut rest = sample;
        let inputs: Vec<&[u8]> =
            lengths.iter().map(|&length| rest.split_off(..length).unwrap_or(&[])).collect();
        observer.steps.clear();
        mark::begin_inference();
        let result = engine.run_on_observed(&inputs, &mut observer);
        mark::end_inference();
        result.map_err(|error| anyhow!("{error}"))?;
        for index in 0..engine.outputs() {
            let output = engine.output(index).map_err(|error| anyhow!("{error}"))?;
            std::io::stdout().write_all(output.bytes())?;
        }
    }
    if let Some(path) = laps {
        fs::write(path, bytemuck::cast_slice::<u16, u8>(&observer.steps))?;
    }
    Ok(())
}

/// Sets a marker after each step and remembers which step it was.
struct Laps {
    marked: bool,
    steps: Vec<u16>,
}

impl Observer for Laps {
    fn after(&mut self, step: usize, _: std::ops::Range<usize>, _: &[u8]) {
        if self.marked {
            mark::lap();
            mark::pause();
            self.steps.push(step as u16);
            mark::resume();
        }
    }
}

/// Bytes that begin where a plan may.
struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut::<_, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self { words, len: bytes.len() }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}
