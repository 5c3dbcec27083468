//! Rewrites the views of lowered steps to the regions that were chosen.
use super::Region;
use crate::lower::{Lowered, Operand, Step};
use mote_runtime::plan::{OperandRecord, RegionKind};

/// Steps of plain regions get their contiguous rows joined; those of regions over rows get slices of one row each.
pub fn apply(lowered: &mut Lowered, regions: &[Region]) {
    for region in regions {
        for step in &mut lowered.steps[region.steps.clone()] {
            match region.kind {
                RegionKind::Plain if step.accumulates => at_once(step),
                RegionKind::Plain => step.join_rows(),
                RegionKind::Rows | RegionKind::Endless => by_slices(step, region),
            }
        }
    }
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
