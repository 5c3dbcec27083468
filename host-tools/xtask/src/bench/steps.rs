//! What the steps of a plan cost, from the laps of a counted inference.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use mote_emulator::profile::{Profile, StepCounts};
use serde::Serialize;

use super::mcu::grouped;
use crate::{counts::Section, models::Facts};

/// One step. Names in the JSON are a stable interface.
#[derive(Serialize)]
pub struct StepRow {
    pub name: String,
    pub op: String,
    pub kernel: String,
    pub macs: u64,
    pub instructions: u64,
    pub calls: usize,
}

/// The steps in order; `laps` tells which one each lap of the inference belongs to.
pub fn steps(inference: &Section, laps: &[u16], facts: &Facts) -> Result<Vec<StepRow>> {
    if laps.len() != inference.laps.len() {
        bail!("{} laps were counted, but {} steps ran", inference.laps.len(), laps.len());
    }
    let mut sums: BTreeMap<u16, (u64, usize)> = BTreeMap::new();
    for (&step, lap) in laps.iter().zip(&inference.laps) {
        let (instructions, calls) = sums.entry(step).or_default();
        *instructions += lap.total()?;
        *calls += 1;
    }
    sums.into_iter()
        .map(|(step, (instructions, calls))| StepRow::new(facts, step.into(), instructions, calls))
        .collect()
}

/// The steps of a plan that ran in the image with every kernel.
pub fn profiled(profile: &Profile, facts: &Facts) -> Result<Vec<StepRow>> {
    let row = |step: &StepCounts| StepRow::new(facts, step.step, step.counts.total()?, step.calls);
    profile.steps.iter().map(row).collect()
}

impl StepRow {
    /// A line of a table per layer; `whole` is the instructions of the inference.
    pub fn print(&self, whole: u64) {
        let per_mac = match self.macs {
            0 => String::new(),
            macs => format!("{:.3} a MAC", self.instructions as f64 / macs as f64),
        };
        println!(
            "  {:32.32} {:16} {:27} {:>12} {:>5.1}% {:>5} calls {per_mac}",
            self.name,
            self.op,
            self.kernel,
            grouped(self.instructions),
            100.0 * self.instructions as f64 / whole.max(1) as f64,
            self.calls
        );
    }

    fn new(facts: &Facts, step: usize, instructions: u64, calls: usize) -> Result<Self> {
        let facts = facts.steps.get(step).context("a lap of a step that the plan does not have")?;
        let (name, op, kernel) = (facts.name.clone(), facts.op.clone(), facts.kernel.clone());
        Ok(Self { name, op, kernel, macs: facts.macs, instructions, calls })
    }
}
