//! A network that takes one step at a time already, with its states as inputs and outputs, as a region without end: all
//! steps run at every tick, and what is kept lies in the state.
//!
//! What replaces a state is written where the state lies, if nothing needs the old one any more when it is made; else it
//! is copied there at the end of the tick.

use super::time::{Rule, Violation};
use super::{Rate, Region, Ring};
use crate::graph::{Data, Graph, Tensor, TensorId};
use crate::lower::{Lowered, Operand, Step};
use mote_runtime::plan::{OperandRecord, RegionKind};
use std::collections::BTreeMap;

/// The region. The graph's states leave its inputs and outputs.
pub fn stepwise(graph: &mut Graph, lowered: &mut Lowered) -> Result<Region, Vec<Violation>> {
    let states = take_states(graph, lowered)?;
    name_roots(graph, lowered);
    for step in &mut lowered.steps {
        step.join_rows();
    }
    let mut kept = Vec::new();
    let mut copies = Vec::new();
    for state in &states {
        if state.made == state.read {
            continue; // It never changes.
        }
        if may_replace(lowered, &states, state) {
            lowered.aliases.insert(state.made, state.read);
            kept.push(state.made);
        } else {
            copies.push(*state);
        }
    }
    // What is copied from another state, or from the input, is taken before any state changes.
    for state in &mut copies {
        if states.iter().any(|other| other.read == state.made) {
            state.made = copy_step(graph, lowered, state.made, "taken");
        }
    }
    for state in copies {
        let to = copy_step(graph, lowered, state.made, "kept");
        lowered.aliases.insert(to, state.read);
        kept.push(to);
    }
    each_tick(graph, lowered)?;
    Ok(region(graph, lowered, states.iter().map(|state| state.read).chain(kept)))
}

/// Tensors of a state; both are their own roots.
#[derive(Clone, Copy)]
struct Tie {
    read: TensorId,
    made: TensorId,
}

fn take_states(graph: &mut Graph, lowered: &mut Lowered) -> Result<Vec<Tie>, Vec<Violation>> {
    let mut ties = Vec::new();
    for state in &graph.states {
        let (read, made) = (graph.inputs[state.input], lowered.root(graph.outputs[state.output]));
        lowered.initial.push((read, state.initial.clone()));
        ties.push(Tie { read, made });
    }
    let states = std::mem::take(&mut graph.states);
    let without = |ids: &[TensorId], gone: &dyn Fn(usize) -> bool| -> Vec<TensorId> {
        ids.iter().enumerate().filter(|(place, _)| !gone(*place)).map(|(_, &id)| id).collect()
    };
    graph.inputs = without(&graph.inputs, &|place| states.iter().any(|state| state.input == place));
    graph.outputs = without(&graph.outputs, &|place| states.iter().any(|state| state.output == place));
    match (graph.inputs.len(), graph.outputs.is_empty()) {
        (1, false) => Ok(ties),
        (inputs, _) => {
            let reason = format!(
                "besides its states it has {inputs} inputs and {} outputs; a step takes one input and gives one at least",
                graph.outputs.len()
            );
            Err(vec![Violation::of_graph(Rule::Unsupported, &reason)])
        }
    }
}

/// An output that is only another shape of a tensor is that tensor, under the output's name.
pub fn name_outputs(graph: &mut Graph, lowered: &Lowered) {
    for index in 0..graph.outputs.len() {
        let (output, root) = (graph.outputs[index], lowered.root(graph.outputs[index]));
        graph.outputs[index] = root;
        graph.tensor_mut(root).name = graph.tensor(output).name.clone();
    }
}

/// A reshape of a tensor is the tensor: one name.
fn name_roots(graph: &mut Graph, lowered: &mut Lowered) {
    name_outputs(graph, lowered);
    for index in 0..lowered.steps.len() {
        for k in 0..lowered.steps[index].inputs.len() {
            let root = lowered.root(lowered.steps[index].inputs[k].tensor);
            lowered.steps[index].inputs[k].tensor = root;
        }
    }
}

/// Whether the new value can be made where the old one lies.
fn may_replace(lowered: &Lowered, states: &[Tie], state: &Tie) -> bool {
    let reads = |step: &Step| step.inputs.iter().any(|operand| operand.tensor == state.read);
    let Some(first) = lowered.made(state.made) else { return false };
    let last = lowered.steps.iter().rposition(reads);
    let alone = states.iter().filter(|other| other.made == state.made).count() == 1;
    let copied = states.iter().any(|other| other.made == state.read);
    last.is_none_or(|last| last < first) && alone && !copied
}

/// Adds a step that copies a tensor; gives the copy.
fn copy_step(graph: &mut Graph, lowered: &mut Lowered, from: TensorId, what: &str) -> TensorId {
    let tensor = graph.tensor(from);
    let (name, bytes) = (format!("{} ({what})", tensor.name), (tensor.len() * tensor.dtype.size()) as u32);
    let copy = Tensor { name: name.clone(), data: None, ..tensor.clone() };
    let to = graph.add_tensor(copy);
    let flat = |tensor| Operand { tensor, view: OperandRecord::rows(0, 1, bytes) };
    lowered.steps.push(Step::copy(name, flat(from), flat(to)));
    to
}

/// Whole tensors become slices of a stream, one a tick.
fn each_tick(graph: &Graph, lowered: &mut Lowered) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    for step in &mut lowered.steps {
        let constant = |operand: &Operand| graph.tensor(operand.tensor).is_constant();
        let inputs = step.inputs.iter_mut().map(|operand| (constant(operand), &mut operand.view));
        for (constant, view) in inputs.chain([(false, &mut step.output.view)]) {
            if by_tick(view, constant).is_none() {
                violations.push(Violation {
                    node: step.name.clone(),
                    operator: step.op.into(),
                    rule: Rule::Unsupported,
                    reason: "it looks at several slices of a tensor within one step".into(),
                });
            }
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn by_tick(view: &mut OperandRecord, constant: bool) -> Option<()> {
    if view.slices > 1 {
        // One behind the other, they are rows.
        let contiguous =
            view.slice_stride == view.rows * view.row_stride && view.row_stride == view.row_bytes;
        let each = |count: u16, stride: u16, pad: i16| (count, stride, pad) == (1, 1, 0);
        let alone = each(view.outer_count, view.outer_stride, view.outer_pad)
            && each(view.inner_count, view.inner_stride, view.inner_pad);
        (contiguous && alone).then_some(())?;
        *view = OperandRecord::rows(0, view.slices * view.rows, view.row_bytes);
    }
    (view.outer_count == 1 && view.outer_pad == 0).then_some(())?;
    if constant {
        view.outer_stride = 0;
    } else {
        (view.slots, view.slices, view.outer_stride) = (1, u32::MAX, 1);
    }
    Some(())
}

fn region(graph: &Graph, lowered: &Lowered, kept: impl Iterator<Item = TensorId>) -> Region {
    let slice_bytes = |id: TensorId| graph.tensor(id).len() * graph.tensor(id).dtype.size();
    let mut rings = BTreeMap::new();
    for id in lowered.steps.iter().map(|step| step.output.tensor).chain(graph.inputs.iter().copied()) {
        let ring = Ring { slots: 1, slice_bytes: slice_bytes(id), temporary: true, shared: true };
        rings.insert(id, ring);
    }
    for id in kept {
        rings.insert(id, Ring { slots: 1, slice_bytes: slice_bytes(id), temporary: false, shared: false });
    }
    Region {
        kind: RegionKind::Endless,
        steps: 0..lowered.steps.len(),
        port: graph.inputs.first().copied(),
        ticks: 0,
        period: 1,
        rates: vec![Rate::EACH; lowered.steps.len()],
        rings,
    }
}

/// Runs of equal elements: `(start, count, bytes of an element, element)`.
pub fn runs(data: &Data) -> Vec<(usize, usize, usize, u32)> {
    let size = data.dtype().size();
    let mut runs: Vec<(usize, usize, usize, u32)> = Vec::new();
    for (index, element) in data.to_bytes().chunks_exact(size.min(4)).enumerate() {
        let mut value = [0; 4];
        value.iter_mut().zip(element).for_each(|(to, from)| *to = *from);
        let value = u32::from_le_bytes(value);
        match runs.last_mut() {
            Some((_, count, _, last)) if *last == value => *count += 1,
            _ => runs.push((index * size, 1, size, value)),
        }
    }
    runs
}
