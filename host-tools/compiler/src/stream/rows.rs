//! A run of steps row by row: when each is due and how many rows of each tensor are kept.

use super::window::{Axis, Origin, Window, behind, ring};
use super::{Network, Rate, Region, Ring};
use crate::graph::TensorId;
use crate::lower::{Operand, Step};
use mote_runtime::plan::{OperandRecord, RegionKind};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The region over rows of `steps`; `delivered` is the input whose rows arrive one a tick, if it is not there as a
/// whole. Each step makes `burst` rows at a time. `None` if one of the steps needs more than a window of rows.
pub fn over_rows(
    network: &Network<'_>,
    steps: Range<usize>,
    delivered: Option<TensorId>,
    burst: usize,
) -> Option<Region> {
    // Sums that grow need each row by itself, and so does what is stretched.
    let single = |step: &Step| step.stretch > 1 || step.accumulates || step.carries;
    if burst > 1 && network.steps()[steps.clone()].iter().any(single) {
        return None;
    }
    let mut region = Region {
        kind: RegionKind::Rows,
        steps: steps.clone(),
        port: delivered,
        ticks: 0,
        period: 0,
        rates: Vec::new(),
        rings: BTreeMap::new(),
    };
    let mut origins: HashMap<TensorId, Origin> = HashMap::new();
    if let Some(id) = delivered {
        origins.insert(id, delivered_origin(network, &steps, id)?);
    }
    // Where more rows are made than a whole tensor has, its rows are taken at longer intervals.
    let finer: usize = network.steps()[steps.clone()].iter().map(|step| step.stretch).product();
    let mut height = None;
    for step in &network.steps()[steps.clone()] {
        let rate = rate(network, step, &origins, &mut height, finer, burst)?;
        let output = step.output;
        if output.view.slices != 1 || output.view.rows < 2 || output.view.offset != 0 {
            return None;
        }
        region.rates.push(rate);
        origins.insert(output.tensor, Origin { rate, view: output.view });
    }
    if delivered.is_none() {
        without_idle_ticks(&mut region.rates, &mut origins);
    }
    for (step, rate) in network.steps()[steps.clone()].iter().zip(&region.rates) {
        let calls = (step.output.view.rows as usize).div_ceil(rate.burst);
        region.ticks = region.ticks.max(rate.phase + (calls - 1) * rate.every + 1);
    }
    for (&id, origin) in &origins {
        region.ticks = region.ticks.max(if delivered == Some(id) { origin.view.rows as usize } else { 0 });
        let ring = ring(network, &region, id, origin, Axis::Rows, origin.view.rows as usize)?;
        let grows = network.uses(id)?.made.is_some_and(|made| network.steps()[made].accumulates);
        region.rings.insert(id, if grows { Ring { slots: 1, temporary: false, ..ring } } else { ring });
    }
    share_memory(network, &mut region);
    Some(region)
}

/// Ticks at which nothing can ever be due are left out.
fn without_idle_ticks(rates: &mut [Rate], origins: &mut HashMap<TensorId, Origin>) {
    let Some(common) = rates.iter().flat_map(|rate| [rate.every, rate.phase]).reduce(gcd) else { return };
    let all = rates.iter_mut().chain(origins.values_mut().map(|origin| &mut origin.rate));
    for rate in all {
        (rate.every, rate.phase) = (rate.every / common.max(1), rate.phase / common.max(1));
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The input's rows, one a tick, if only this region reads it.
fn delivered_origin(network: &Network<'_>, steps: &Range<usize>, id: TensorId) -> Option<Origin> {
    let uses = network.uses(id)?;
    let first =
        network.steps()[steps.clone()].iter().flat_map(|step| &step.inputs).find(|o| o.tensor == id)?;
    let alone = !uses.is_output && uses.read.iter().all(|step| steps.contains(step));
    alone.then_some(Origin { rate: Rate::EACH, view: first.view })
}

/// When a step is due; `height` is that of the first tensor that is there as a whole: one of its rows every `finer`
/// ticks.
fn rate(
    network: &Network<'_>,
    step: &Step,
    origins: &HashMap<TensorId, Origin>,
    height: &mut Option<usize>,
    finer: usize,
    burst: usize,
) -> Option<Rate> {
    let window = |view: &OperandRecord| Window { stretch: step.stretch, ..Window::of(view, Axis::Rows) };
    let mut rates = Vec::new();
    let mut whole = Vec::new();
    for Operand { tensor, view } in &step.inputs {
        let root = network.root(*tensor);
        let moving = view.inner_stride > 0;
        match origins.get(&root) {
            Some(origin) if moving && root == *tensor && origin.same_slices(view, Axis::Rows) => {
                rates.push(behind(origin.rate, &window(view), burst)?);
            }
            Some(_) => return None,
            None if moving && view.slices == 1 => whole.push(view),
            None if moving => return None,
            None => {}
        }
    }
    if rates.is_empty() {
        let first = whole.first()?.rows as usize * finer;
        let height = *height.get_or_insert(first);
        for view in whole {
            let rows = view.rows as usize;
            let every = height.is_multiple_of(rows).then_some(height / rows)?;
            rates.push(behind(Rate { every, ..Rate::EACH }, &window(view), burst)?);
        }
    }
    let every = rates.first()?.every;
    let phase = rates.iter().map(|rate| rate.phase).max()?;
    let fits = every <= u16::MAX.into() && rates.iter().all(|rate| rate.every == every);
    fits.then_some(Rate { every, phase, burst })
}

/// Where a step can work in place, its input is given as many slots as its output, so that one ring serves both.
pub(super) fn share_memory(network: &Network<'_>, region: &mut Region) {
    for (index, step) in network.steps()[region.steps.clone()].iter().enumerate().rev() {
        let to = region.rings[&step.output.tensor];
        let rate = region.rates[index];
        for (operand, possible) in step.inputs.iter().zip(&step.may_be_in_place) {
            let id = operand.tensor;
            let Some(from) = region.rings.get(&id).copied().filter(|_| *possible) else { continue };
            let made = network.uses(id).and_then(|uses| Some((uses.made?, &uses.read[..], uses.is_output)));
            let Some((made, &[_], false)) = made else { continue };
            let due_together = region.rates[made - region.steps.start] == rate;
            let carried = network.steps()[made].carries;
            if due_together && !carried && from.slots <= rate.burst && operand.same_view(&step.output) {
                region.rings.insert(id, Ring { shared: true, ..to });
                break;
            }
        }
    }
}
