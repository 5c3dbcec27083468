//! Every tensor of a run as a whole, also where the plan keeps only a few rows of it at a time.

use mote_runtime::Plan;
use mote_runtime::engine::Observer;
use std::collections::HashMap;
use std::ops::Range;

/// Collects what the steps make.
pub struct Recorder<'a> {
    plan: &'a Plan<'a>,
    /// By index in the plan's table of tensors.
    found: HashMap<u16, Vec<u8>>,
    /// Indices in the order in which the tensors were begun.
    order: Vec<u16>,
}

impl<'a> Recorder<'a> {
    pub fn new(plan: &'a Plan<'a>) -> Self {
        Self { plan, found: HashMap::new(), order: Vec::new() }
    }

    /// Index and bytes of each tensor.
    pub fn tensors(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.order.iter().filter_map(|index| Some((*index, self.found.get(index)?.as_slice())))
    }
}

impl Observer for Recorder<'_> {
    fn after(&mut self, step: usize, slices: Range<usize>, output: &[u8]) {
        let record = self.plan.step(step);
        let Some(view) = record.and_then(|record| self.plan.step_output(&record)) else { return };
        let tensor = self.found.entry(view.tensor).or_insert_with(|| {
            self.order.push(view.tensor);
            Vec::new()
        });
        if slices.len() == view.slices as usize {
            // Of a tensor that several steps write, the last one sees all.
            tensor.clear();
            tensor.extend_from_slice(output);
            return;
        }
        for slice in slices {
            let slot = slice % (view.slots as usize).max(1);
            let (from, to) = (slot * view.slice_stride as usize, slice * view.slice_stride as usize);
            let bytes = (view.rows as usize - 1) * view.row_stride as usize + view.row_bytes as usize;
            tensor.resize(tensor.len().max(to + bytes), 0);
            if let Some(made) = output.get(view.offset as usize + from..).and_then(|rest| rest.get(..bytes)) {
                tensor[to..to + bytes].copy_from_slice(made);
            }
        }
    }
}
