//! What the steps of a plan cost, from the laps of a counted inference.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
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
    let row = |(step, (instructions, calls))| {
        let facts =
            facts.steps.get(usize::from(step)).context("a lap of a step that the plan does not have")?;
        Ok(StepRow {
            name: facts.name.clone(),
            op: facts.op.clone(),
            kernel: facts.kernel.clone(),
            macs: facts.macs,
            instructions,
            calls,
        })
    };
    sums.into_iter().map(row).collect()
}
