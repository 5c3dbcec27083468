//! Rewrites the views of lowered steps to the regions that were chosen.
use super::Region;
use crate::graph::{Graph, TensorId};
use crate::lower::{Lowered, Operand, Step};
use mote_runtime::plan::{OperandRecord, RegionKind};
use std::collections::HashMap;

/// Steps of plain regions get their contiguous rows joined; those of regions over rows get slices of one row each.
pub fn apply(graph: &Graph, lowered: &mut Lowered, regions: &[Region]) {
    for region in regions {
        for step in &mut lowered.steps[region.steps.clone()] {
            match region.kind {
                RegionKind::Plain if step.accumulates => at_once(step),
                RegionKind::Plain => step.join_rows(),
                RegionKind::Rows => by_slices(step, region),
                RegionKind::Endless => {}
            }
        }
        if region.kind == RegionKind::Endless {
            without_end(graph, lowered, region);
        }
    }
}

/// Slices become those of a stream. A window moves as far as its step's rate tells: by its stride, or by the hop.
fn without_end(graph: &Graph, lowered: &mut Lowered, region: &Region) {
    // A reshape of a frame is the frame: one ring, one name.
    for index in region.steps.clone() {
        for k in 0..lowered.steps[index].inputs.len() {
            let root = lowered.root(lowered.steps[index].inputs[k].tensor);
            lowered.steps[index].inputs[k].tensor = root;
        }
    }
    let tables = &lowered.tables;
    let steps = &mut lowered.steps[region.steps.clone()];
    let mut every: HashMap<TensorId, usize> = region.port.iter().map(|&port| (port, 1)).collect();
    for (step, rate) in steps.iter_mut().zip(&region.rates) {
        for Operand { tensor, view } in &mut step.inputs {
            if let Some(&table) = tables.get(tensor) {
                // Frame `t` has row `t mod rows`: a ring whose slices never change.
                let rows = graph.tensor(table).shape.first().copied().unwrap_or(1);
                (*tensor, view.slots, view.slices) = (table, rows as u32, u32::MAX);
            }
            if let (Some(ring), Some(made)) = (region.rings.get(tensor), every.get(tensor)) {
                (view.slots, view.slices) = (ring.slots as u32, u32::MAX);
                view.outer_stride = (rate.every / made) as u16;
            }
        }
        // What the clip costs is the cost of all its slices.
        step.macs /= u64::from(step.output.view.slices.max(1));
        if let Some(ring) = region.rings.get(&step.output.tensor) {
            (step.output.view.slots, step.output.view.slices) = (ring.slots as u32, u32::MAX);
        }
        if step.joinable {
            step.inputs
                .iter_mut()
                .chain([&mut step.output])
                .for_each(|operand| join_slice(&mut operand.view));
        }
        every.insert(step.output.tensor, rate.every);
    }
}

/// The rows of each slice, which lie one behind the other, as one.
fn join_slice(view: &mut OperandRecord) {
    let bytes = view.rows * view.row_bytes;
    (view.rows, view.row_stride, view.row_bytes) = (1, bytes, bytes);
}

/// A sum that could grow row by row is made of all rows.
fn at_once(step: &mut Step) {
    for input in &mut step.inputs {
        let rows = input.view.rows as u16;
        input.view = input.view.with_inner(rows, 0, 1, 0);
    }
    step.output.view = OperandRecord::rows(0, 1, step.output.view.row_bytes);
}

/// Rows become slices, windows over rows become windows over slices.
fn by_slices(step: &mut Step, region: &Region) {
    for operand in step.inputs.iter_mut().filter(|operand| operand.view.inner_stride > 0) {
        slices(operand, region);
    }
    slices(&mut step.output, region);
    if step.accumulates {
        step.output.view.slots = 1;
    }
}

fn slices(operand: &mut Operand, region: &Region) {
    let v = operand.view;
    let slots = region.rings.get(&operand.tensor).map_or(v.rows, |ring| ring.slots as u32);
    operand.view = v
        .as_slices(slots)
        .with_outer(v.inner_count, v.inner_stride, v.inner_dilation, v.inner_pad)
        .with_inner(1, 1, 1, 0);
}
