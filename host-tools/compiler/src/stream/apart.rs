//! Rings over time, a slot shorter.
//!
//! A window of `k` frames needs `k - 1` of them from one tick to the next: the newest comes in the tick in which the
//! window is complete. So each tensor keeps its newest slice where it was made, in the arena, for as long as the tick
//! needs it; behind its last reader a copy goes into the ring of the older ones, over a slice that has had its time.

use super::{Region, Ring};
use crate::graph::{Graph, Tensor, TensorId};
use crate::lower::{Lowered, Operand, Step};
use mote_runtime::plan::OperandRecord;

/// Marks a view whose newest slice is in another tensor, [`Lowered::newest`]. The tensor's index is still open.
const ELSEWHERE: u16 = 1;

/// Shortens the rings of a region without end, in the views of its steps.
pub fn apart(graph: &mut Graph, lowered: &mut Lowered, region: &mut Region) {
    let rings: Vec<(TensorId, Ring)> = region.rings.iter().map(|(&id, &ring)| (id, ring)).collect();
    for (id, ring) in rings {
        if ring.slots > 1
            && !ring.shared
            && let Some(reads) = readers(graph, lowered, region, id)
        {
            shorten(graph, lowered, region, id, ring, &reads);
        }
    }
}

/// An operand that reads the ring.
struct Read {
    step: usize,
    operand: usize,
    /// By how many slices the window ends before the newest one.
    lag: i64,
}

/// All who read a tensor; `None` where its newest slice can't be kept apart.
fn readers(graph: &Graph, lowered: &Lowered, region: &Region, id: TensorId) -> Option<Vec<Read>> {
    let stays = graph.outputs.contains(&id) || lowered.initial.iter().any(|(initial, _)| *initial == id);
    let in_place = |input: &Operand| region.rings.get(&input.tensor).is_some_and(|ring| ring.shared);
    let bound = |step: &Step| step.carries || step.accumulates || step.inputs.iter().any(in_place);
    if lowered.made(id).is_some_and(|made| bound(&lowered.steps[made])) {
        return None; // Its memory is also that of something else.
    }
    let rate = region.rate(lowered, id);
    let mut reads = Vec::new();
    for (index, step) in lowered.steps.iter().enumerate() {
        let of_ring = |(_, input): &(usize, &Operand)| input.tensor == id;
        for (operand, Operand { view, .. }) in step.inputs.iter().enumerate().filter(of_ring) {
            let ticks = region.rates[index].phase - rate.phase;
            if !ticks.is_multiple_of(rate.every) {
                return None; // Between two slices the newest one is in the ring already.
            }
            let lag = (ticks / rate.every) as i64 - view.last_of_window(0);
            reads.push(Read { step: index, operand, lag });
        }
    }
    (!stays && !reads.is_empty()).then_some(reads)
}

fn shorten(
    graph: &mut Graph,
    lowered: &mut Lowered,
    region: &mut Region,
    id: TensorId,
    ring: Ring,
    reads: &[Read],
) {
    let tensor = graph.tensor(id);
    let name = format!("{} (before)", tensor.name);
    let older = Tensor { name: name.clone(), data: None, ..tensor.clone() };
    let older = graph.add_tensor(older);
    let slots = ring.slots - 1;
    for read in reads {
        let Operand { tensor, view } = &mut lowered.steps[read.step].inputs[read.operand];
        match (read.lag, view.outer_count) {
            (0, 1) => view.slots = 1,
            (0, _) => (*tensor, view.slots, view.newest) = (older, slots as u32, ELSEWHERE),
            _ => (*tensor, view.slots) = (older, slots as u32),
        }
    }
    let rate = region.rate(lowered, id);
    if let Some(made) = lowered.made(id) {
        lowered.steps[made].output.view.slots = 1;
    }
    let slice = |slots: usize| {
        let view = OperandRecord::rows(0, 1, ring.slice_bytes as u32).as_slices(slots as u32);
        OperandRecord { slices: u32::MAX, ..view }
    };
    let from = Operand { tensor: id, view: slice(1) };
    let copy = Step::copy(name, from, Operand { tensor: older, view: slice(slots) });
    let behind = reads.iter().map(|read| read.step + 1).max().unwrap_or(lowered.steps.len());
    lowered.steps.insert(behind, copy);
    lowered.newest.insert(older, id);
    region.rates.insert(behind, rate);
    region.steps.end += 1;
    region.rings.insert(id, Ring { slots: 1, temporary: true, ..ring });
    region.rings.insert(older, Ring { slots, temporary: false, ..ring });
}
