//! Where tensors live.
//!
//! [`place`](memory::place) finds arena addresses; [`schedule`] decides which outputs take the place of an input,
//! and how long every tensor is needed: time is the index of a step, and what a region keeps from tick to tick is
//! needed from its first step to its last. Before all that, [`order`](order::order) looks for a better order of the steps.

pub mod memory;
pub mod order;

use crate::graph::{Graph, TensorId};
use crate::lower::{Lowered, Step};
use crate::stream::Region;
use memory::{Block, Layout, place};
use mote_runtime::plan::{ALIGN, RegionKind};
use std::collections::HashMap;

/// The arena's layout and the in-place choices.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Arena offset of every tensor that lives there.
    pub offsets: HashMap<TensorId, usize>,
    /// Offset in the state of every tensor that outlives a tick of a region without end.
    pub state: HashMap<TensorId, usize>,
    /// Bytes of the state.
    pub state_bytes: usize,
    /// Per step: offset of its scratch (0 without).
    pub scratch: Vec<usize>,
    /// Per step and input: stored where the output is.
    pub in_place: Vec<Vec<bool>>,
    /// Bytes of the arena.
    pub arena: usize,
    /// The least that any placement of these lives could need: the largest sum of bytes alive at once.
    pub lower_bound: usize,
    /// Who lives when: for pictures of the memory.
    pub lives: Vec<Life>,
}

/// A piece of the arena over time.
#[derive(Clone, Debug)]
pub struct Life {
    pub name: String,
    pub offset: usize,
    pub bytes: usize,
    /// First and last step at which the bytes are needed.
    pub first: usize,
    pub last: usize,
    pub scratch: bool,
}

/// Tensors that share bytes because one is a reshape of, or computed in place of, the other.
struct Classes {
    parent: HashMap<TensorId, TensorId>,
}

impl Classes {
    fn root(&self, mut id: TensorId) -> TensorId {
        while let Some(&parent) = self.parent.get(&id) {
            if parent == id {
                break;
            }
            id = parent;
        }
        id
    }

    fn join(&mut self, child: TensorId, parent: TensorId) {
        let (child, parent) = (self.root(child), self.root(parent));
        self.parent.insert(child, parent);
    }
}

/// Plans the arena for the steps in their order and in the views of `regions`.
pub fn schedule(graph: &Graph, lowered: &Lowered, regions: &[Region]) -> Schedule {
    let steps = &lowered.steps[..];
    let mut classes = Classes { parent: lowered.aliases.clone() };
    let region_of = |step: usize| regions.iter().find(|region| region.steps.contains(&step));
    let end = steps.len();
    let last_read = |classes: &Classes, id: TensorId| -> usize {
        let root = classes.root(id);
        let is_output = graph.outputs.iter().any(|&o| classes.root(o) == root);
        let reads = |step: &Step| step.inputs.iter().any(|i| classes.root(i.tensor) == root);
        let last = steps.iter().rposition(reads).unwrap_or(0);
        if is_output { end } else { last }
    };

    let mut in_place = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut flags = vec![false; step.inputs.len()];
        let output = step.output.tensor;
        let region = region_of(index).filter(|region| region.kind != RegionKind::Plain);
        for (k, input) in step.inputs.iter().enumerate() {
            let operand = graph.tensor(input.tensor);
            // From tick to tick a ring is free only where the region says so.
            let shared =
                region.is_none_or(|region| region.rings.get(&input.tensor).is_some_and(|ring| ring.shared));
            let possible = shared
                && step.may_be_in_place.get(k).copied().unwrap_or(false)
                && !operand.is_constant()
                && input.same_view(&step.output)
                && operand.dtype.size() == graph.tensor(output).dtype.size()
                && last_read(&classes, input.tensor) == index
                && classes.root(output) == output
                // The same bytes must not be read through another operand of the step.
                && step.inputs.iter().enumerate().all(|(j, other)| {
                    j == k || classes.root(other.tensor) != classes.root(input.tensor)
                });
            if possible {
                flags[k] = true;
                classes.join(output, input.tensor);
                break;
            }
        }
        in_place.push(flags);
    }

    let (state, state_bytes) = place_state(regions, &classes);

    // One block per class of tensors, one per scratch.
    let mut blocks: Vec<Block> = Vec::new();
    let mut names: Vec<(String, bool)> = Vec::new();
    let mut block_of: HashMap<TensorId, usize> = HashMap::new();
    let mut touch = |id: TensorId, at: usize, blocks: &mut Vec<Block>, names: &mut Vec<(String, bool)>| {
        let tensor = graph.tensor(id);
        let root = classes.root(id);
        if tensor.is_constant() || state.contains_key(&root) {
            return;
        }
        let ring = region_of(at).and_then(|region| region.rings.get(&id).map(|ring| (region, ring)));
        let bytes = ring.map_or(tensor.len() * tensor.dtype.size(), |(_, ring)| ring.bytes());
        let region = region_of(at).filter(|region| region.kind != RegionKind::Plain);
        // What is not made and used up in one tick is there all the time that the region runs.
        let (first, last) = match region {
            Some(region) if !ring.is_some_and(|(_, ring)| ring.temporary) => {
                (region.steps.start, region.steps.end - 1)
            }
            _ => (at, at),
        };
        let block = *block_of.entry(root).or_insert_with(|| {
            blocks.push(Block { bytes, first, last });
            names.push((graph.tensor(root).name.clone(), false));
            blocks.len() - 1
        });
        blocks[block].bytes = blocks[block].bytes.max(bytes);
        blocks[block].first = blocks[block].first.min(first);
        blocks[block].last = blocks[block].last.max(last);
    };
    for &input in &graph.inputs {
        touch(input, 0, &mut blocks, &mut names);
    }
    for (at, step) in steps.iter().enumerate() {
        for input in &step.inputs {
            touch(input.tensor, at, &mut blocks, &mut names);
        }
        touch(step.output.tensor, at, &mut blocks, &mut names);
    }
    for &output in &graph.outputs {
        touch(output, end, &mut blocks, &mut names);
    }
    let mut scratch_block = vec![None; steps.len()];
    for (at, step) in steps.iter().enumerate() {
        if step.packed.scratch > 0 {
            scratch_block[at] = Some(blocks.len());
            blocks.push(Block { bytes: step.packed.scratch, first: at, last: at });
            names.push((step.name.clone(), true));
        }
    }

    let Layout { offsets, arena, lower_bound } = place(&blocks);
    let scratch = scratch_block.iter().map(|b| b.map_or(0, |b| offsets[b])).collect();
    let lives = blocks.iter().zip(&offsets).zip(names).map(|((block, &offset), (name, scratch))| {
        let Block { bytes, first, last } = *block;
        Life { name, offset, bytes, first, last, scratch }
    });
    let lives = lives.collect();
    let mut tensor_offsets = HashMap::new();
    for id in (0..graph.tensors.len()).map(TensorId) {
        if let Some(&block) = block_of.get(&classes.root(id)) {
            tensor_offsets.insert(id, offsets[block]);
        }
    }
    let roots = (0..graph.tensors.len()).map(TensorId);
    let state = roots.filter_map(|id| Some((id, *state.get(&classes.root(id))?))).collect();
    Schedule { offsets: tensor_offsets, state, state_bytes, scratch, in_place, arena, lower_bound, lives }
}

/// Rings of regions without end, one behind the other, by root.
fn place_state(regions: &[Region], classes: &Classes) -> (HashMap<TensorId, usize>, usize) {
    let (mut offsets, mut bytes) = (HashMap::new(), 0usize);
    for region in regions.iter().filter(|region| region.kind == RegionKind::Endless) {
        for (&id, ring) in region.rings.iter().filter(|(_, ring)| !ring.temporary) {
            offsets.entry(classes.root(id)).or_insert_with(|| {
                let at = bytes;
                bytes = (bytes + ring.bytes()).next_multiple_of(ALIGN);
                at
            });
        }
    }
    (offsets, bytes)
}
