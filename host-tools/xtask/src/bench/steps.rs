//! What the steps of a plan cost, from the laps of a counted inference.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use mote_emulator::profile::{Profile, StepCounts};
use serde::Serialize;

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
    fn new(facts: &Facts, step: usize, instructions: u64, calls: usize) -> Result<Self> {
        let facts = facts.steps.get(step).context("a lap of a step that the plan does not have")?;
        let (name, op, kernel) = (facts.name.clone(), facts.op.clone(), facts.kernel.clone());
        Ok(Self { name, op, kernel, macs: facts.macs, instructions, calls })
    }
}
