//! Who makes and who reads each tensor of a lowered network.

use crate::graph::{Graph, TensorId};
use crate::lower::{Lowered, Step};
use std::collections::HashMap;

/// A lowered network with its uses of tensors; tensors that are the same bytes (reshapes) count as one, their root.
pub struct Network<'a> {
    pub graph: &'a Graph,
    pub lowered: &'a Lowered,
    uses: HashMap<TensorId, Uses>,
}

/// Where the bytes of a tensor are needed.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    pub bytes: usize,
    /// Step that makes it; `None` for inputs.
    pub made: Option<usize>,
    /// Steps that read it, in order.
    pub read: Vec<usize>,
    /// It is an output of the network.
    pub is_output: bool,
}

impl Uses {
    /// Whether the bytes are still needed by step `step` or later ones.
    pub fn needed_from(&self, step: usize) -> bool {
        self.is_output || self.read.last().is_some_and(|&last| last >= step)
    }
}

impl<'a> Network<'a> {
    pub fn new(graph: &'a Graph, lowered: &'a Lowered) -> Self {
        let mut network = Self { graph, lowered, uses: HashMap::new() };
        for &id in &graph.inputs {
            network.entry(id);
        }
        for (index, step) in lowered.steps.iter().enumerate() {
            for operand in &step.inputs {
                if !graph.tensor(operand.tensor).is_constant() {
                    let uses = network.entry(operand.tensor);
                    if uses.read.last() != Some(&index) {
                        uses.read.push(index);
                    }
                }
            }
            network.entry(step.output.tensor).made = Some(index);
        }
        for &id in &graph.outputs {
            network.entry(id).is_output = true;
        }
        network
    }

    pub fn steps(&self) -> &'a [Step] {
        &self.lowered.steps
    }

    /// The tensor whose bytes `id` is.
    pub fn root(&self, id: TensorId) -> TensorId {
        self.lowered.root(id)
    }

    /// Uses of a tensor that is its own root.
    pub fn uses(&self, root: TensorId) -> Option<&Uses> {
        self.uses.get(&root)
    }

    /// All tensors that take memory.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorId, &Uses)> {
        self.uses.iter().map(|(&id, uses)| (id, uses))
    }

    fn entry(&mut self, id: TensorId) -> &mut Uses {
        let tensor = self.graph.tensor(id);
        let bytes = tensor.len() * tensor.dtype.size();
        let root = self.root(id);
        let uses = self.uses.entry(root).or_default();
        uses.bytes = uses.bytes.max(bytes);
        uses
    }
}
