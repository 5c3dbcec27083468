//! A network over frames as a region without end: when each step is due and how many frames of each tensor are kept.
//!
//! The same arithmetic as over rows, with slices for rows. A step that makes a single slice of a clip sees a window of
//! the stream; its window moves by the hop.

use super::time::{Rule, Violation};
use super::window::{Axis, Origin, Window, behind, ring};
use super::{Network, Rate, Region};
use crate::lower::{Lowered, Operand, Step};
use mote_runtime::plan::RegionKind;
use std::collections::{BTreeMap, HashMap};

/// The region over all steps; `hop` frames lie between two windows (the least possible if not told).
pub fn endless(network: &Network<'_>, hop: Option<usize>) -> Result<Region, Vec<Violation>> {
    let refusal = |rule, reason: String| vec![Violation::of_graph(rule, &reason)];
    let input = network.graph.inputs[0];
    let reads = |operand: &&Operand| network.root(operand.tensor) == input;
    let first = network.steps().iter().flat_map(|step| &step.inputs).find(reads);
    let Some(first) = first else { return Err(refusal(Rule::Unsupported, "nothing reads the input".into())) };
    let mut region = Region {
        kind: RegionKind::Endless,
        steps: 0..network.steps().len(),
        port: Some(input),
        ticks: 0,
        period: 1,
        rates: Vec::new(),
        rings: BTreeMap::new(),
    };
    let (least, strided) = least_hop(network);
    let hop = hop.unwrap_or(least);
    if hop == 0 || !hop.is_multiple_of(least) {
        let reason =
            format!("a hop of {hop} frames is no multiple of the temporal stride, {least} up to here");
        return Err(match strided {
            Some(step) => vec![Violation::of_step(step, Rule::Hop, reason)],
            None => refusal(Rule::Hop, reason),
        });
    }
    let mut origins = HashMap::from([(input, Origin { rate: Rate::EACH, view: first.view })]);
    let mut violations = Vec::new();
    for step in network.steps() {
        match rate(network, step, &origins, hop) {
            Ok(rate) => {
                region.rates.push(rate);
                origins.insert(step.output.tensor, Origin { rate, view: step.output.view });
            }
            Err(reason) => {
                violations.push(Violation::of_step(step, Rule::Unsupported, reason));
                let rate = Rate::EACH;
                region.rates.push(rate);
                origins.insert(step.output.tensor, Origin { rate, view: step.output.view });
            }
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    for (&id, origin) in &origins {
        let ring = ring(network, &region, id, origin, Axis::Slices, usize::MAX);
        let ring =
            ring.ok_or_else(|| refusal(Rule::Crop, "a step is due before what it reads is made".into()))?;
        region.rings.insert(id, ring);
    }
    super::rows::share_memory(network, &mut region);
    for (step, rate) in network.steps().iter().zip(&region.rates) {
        for table in step.inputs.iter().filter_map(|operand| network.lowered.tables.get(&operand.tensor)) {
            let rows = network.graph.tensor(*table).shape.first().copied().unwrap_or(1);
            region.period = lcm(region.period, rows * rate.every);
        }
    }
    Ok(region)
}

/// Makes the period, until now that of the tables, a period of all rings.
pub fn settle_period(lowered: &Lowered, region: &mut Region) -> Result<(), Vec<Violation>> {
    let mut period = region.period;
    for (id, ring) in &region.rings {
        period = lcm(period, ring.slots * region.rate(lowered, *id).every);
        if period > LONGEST_PERIOD {
            let reason =
                format!("its rings are at the same places again only after more than {period} frames");
            return Err(vec![Violation::of_graph(Rule::Unsupported, &reason)]);
        }
    }
    region.period = period;
    Ok(())
}

/// The counter of frames goes back by whole periods before it reaches 2^30.
const LONGEST_PERIOD: usize = 1 << 28;

/// Ticks from slice to slice of the last tensor that still has several: the product of the temporal strides; and the
/// step that has the last of these.
fn least_hop<'a>(network: &Network<'a>) -> (usize, Option<&'a Step>) {
    let mut every: HashMap<_, usize> = HashMap::new();
    let (mut hop, mut strided) = (1, None);
    for step in network.steps() {
        let moving =
            step.inputs.iter().filter(|operand| network.uses(network.root(operand.tensor)).is_some());
        let own = moving.map(|operand| {
            let from = every.get(&network.root(operand.tensor)).copied().unwrap_or(1);
            let stride = if step.output.view.slices > 1 { usize::from(operand.view.outer_stride) } else { 1 };
            from * stride.max(1)
        });
        let own = own.max().unwrap_or(1);
        if own > hop {
            (hop, strided) = (own, Some(step));
        }
        every.insert(step.output.tensor, own);
    }
    (hop, strided)
}

fn rate(
    network: &Network<'_>,
    step: &Step,
    origins: &HashMap<crate::graph::TensorId, Origin>,
    hop: usize,
) -> Result<Rate, String> {
    let mut rates = Vec::new();
    for operand in &step.inputs {
        if network.graph.tensor(operand.tensor).is_constant() {
            continue;
        }
        let origin = origins.get(&network.root(operand.tensor)).ok_or("it reads what no frame makes")?;
        if !origin.same_slices(&operand.view, Axis::Slices) {
            return Err("it does not see its input frame by frame".into());
        }
        let window = Window::of(&operand.view, Axis::Slices);
        let stride = slide(&window, step, origin, hop)?;
        rates.extend(behind(origin.rate, &Window { stride, ..window }, 1));
    }
    let every = rates.first().ok_or("it reads nothing")?.every;
    let phase = rates.iter().map(|rate| rate.phase).max().unwrap_or(0);
    if rates.iter().any(|rate| rate.every != every) {
        return Err("its inputs come at different rates".into());
    }
    if every > usize::from(u16::MAX) {
        return Err(format!("it would be due every {every} frames; at most 65535"));
    }
    Ok(Rate { every, phase, burst: 1 })
}

/// Slices by which a window moves: its stride, or as far as the hop where the clip has only one window.
pub(super) fn slide(window: &Window, step: &Step, origin: &Origin, hop: usize) -> Result<usize, String> {
    if step.output.view.slices > 1 {
        return if window.stride > 0 { Ok(window.stride) } else { Err("it sees the whole clip".into()) };
    }
    if !hop.is_multiple_of(origin.rate.every) {
        return Err(format!(
            "a hop of {hop} frames does not meet its input, made every {}",
            origin.rate.every
        ));
    }
    Ok(hop / origin.rate.every)
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b.max(1));
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b.max(1)
}
