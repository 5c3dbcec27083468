//! Editing of a graph while a pass walks it.
//!
//! The nodes are taken out of the graph into numbered slots, so that nodes can be removed and added without
//! moving others; [`Editor::finish`] puts those that matter back in topological order. Who makes and who reads a
//! tensor is known at any time.

use super::Changes;
use crate::graph::{Data, Graph, Node, Op, Quant, Tensor, TensorId, shape};

/// Changes the node in a slot, or leaves it.
pub(crate) type Rule = fn(&mut Editor, usize) -> Option<()>;

/// A pass that is a list of rules: tries each of them, by name, on every node once.
pub(crate) fn apply(graph: &mut Graph, pass: &'static str, rules: &[(&'static str, Rule)]) -> Changes {
    let mut changes = Changes::new(pass);
    let mut editor = Editor::new(graph);
    for slot in 0..editor.len() {
        for (what, rule) in rules {
            if rule(&mut editor, slot).is_some() {
                changes.count(what);
            }
        }
    }
    editor.finish();
    changes
}

pub(crate) struct Editor<'g> {
    graph: &'g mut Graph,
    slots: Vec<Option<Node>>,
    /// By tensor: the slot that computes it.
    makers: Vec<Option<usize>>,
    /// By tensor: the slots that read it, once for each operand.
    readers: Vec<Vec<usize>>,
}

impl<'g> Editor<'g> {
    pub fn new(graph: &'g mut Graph) -> Self {
        let nodes = std::mem::take(&mut graph.nodes);
        let count = graph.tensors.len();
        let mut editor =
            Editor { graph, slots: Vec::new(), makers: vec![None; count], readers: vec![Vec::new(); count] };
        nodes.into_iter().for_each(|node| {
            editor.push(node);
        });
        editor
    }

    /// Number of slots so far; new nodes get higher numbers.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn graph(&self) -> &Graph {
        self.graph
    }

    pub fn node(&self, slot: usize) -> Option<&Node> {
        self.slots.get(slot)?.as_ref()
    }

    pub fn tensor(&self, id: TensorId) -> &Tensor {
        self.graph.tensor(id)
    }

    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }

    /// The node that computes `id`, with its slot.
    pub fn maker(&self, id: TensorId) -> Option<(usize, &Node)> {
        let slot = self.makers[id.0]?;
        Some((slot, self.slots[slot].as_ref()?))
    }

    /// Slots of the nodes that read `id`, each once.
    pub fn readers(&self, id: TensorId) -> Vec<usize> {
        let mut slots = self.readers[id.0].clone();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    pub fn is_output(&self, id: TensorId) -> bool {
        self.graph.outputs.contains(&id)
    }

    /// Whether exactly one node reads `id` (it may do so twice) and the caller of the network does not see it.
    pub fn is_private(&self, id: TensorId) -> bool {
        let readers = &self.readers[id.0];
        !self.is_output(id) && readers.first().is_some_and(|first| readers.iter().all(|slot| slot == first))
    }

    /// Float without quantization.
    pub fn is_float(&self, id: TensorId) -> bool {
        let tensor = self.tensor(id);
        tensor.dtype.is_float() && tensor.quant.is_none()
    }

    /// Whether all operands and results of a node are plain floats.
    pub fn all_float(&self, node: &Node) -> bool {
        node.inputs.iter().chain(&node.outputs).all(|&id| self.is_float(id))
    }

    /// Numbers of a float constant.
    pub fn constant(&self, id: TensorId) -> Option<Vec<f32>> {
        let data = self.tensor(id).data.as_ref()?;
        self.is_float(id).then(|| data.to_f32())
    }

    /// The number in a float constant of one element.
    pub fn scalar(&self, id: TensorId) -> Option<f32> {
        if self.tensor(id).len() != 1 {
            return None;
        }
        self.constant(id)?.first().copied()
    }

    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.makers.push(None);
        self.readers.push(Vec::new());
        self.graph.add_tensor(tensor)
    }

    pub fn add_constant(&mut self, name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> TensorId {
        self.add_tensor(Tensor::constant(name, shape, Data::F32(values.into())))
    }

    pub fn push(&mut self, node: Node) -> usize {
        let slot = self.slots.len();
        self.link(slot, &node);
        self.slots.push(Some(node));
        slot
    }

    pub fn remove(&mut self, slot: usize) -> Option<Node> {
        let node = self.slots[slot].take()?;
        for &id in &node.inputs {
            self.readers[id.0].retain(|&reader| reader != slot);
        }
        for &id in &node.outputs {
            if self.makers[id.0] == Some(slot) {
                self.makers[id.0] = None;
            }
        }
        Some(node)
    }

    /// Changes the node in `slot`; its links follow.
    pub fn update(&mut self, slot: usize, change: impl FnOnce(&mut Node)) {
        if let Some(mut node) = self.remove(slot) {
            change(&mut node);
            self.link(slot, &node);
            self.slots[slot] = Some(node);
        }
    }

    /// Replaces operator and operands of a node; name and results stay.
    pub fn rewrite(&mut self, slot: usize, op: Op, inputs: Vec<TensorId>) {
        self.update(slot, |node| {
            node.op = op;
            node.inputs = inputs;
        });
    }

    /// A new node named after the one in `origin`, with a new result.
    pub fn emit(&mut self, origin: &Node, op: Op, inputs: Vec<TensorId>, result: Tensor) -> TensorId {
        let output = self.add_tensor(result);
        let mut node = Node::new(origin.name.clone(), op, inputs, vec![output]);
        node.rounding = origin.rounding;
        self.push(node);
        output
    }

    /// Makes the node in `slot` write `result` itself, instead of the node that does so now.
    pub fn take_over(&mut self, slot: usize, result: TensorId) {
        if let Some(old) = self.makers[result.0] {
            self.remove(old);
        }
        self.update(slot, |node| node.outputs = vec![result]);
    }

    /// Makes `old` disappear in favour of `new`, which holds the same. Answers whether it could: a graph output
    /// keeps its tensor, so `new` must then be a result that may be computed in its place.
    pub fn redirect(&mut self, old: TensorId, new: TensorId) -> bool {
        if old == new {
            return false;
        }
        let (gone, kept) = if !self.is_output(old) {
            (old, new)
        } else if self.makers[new.0].is_some() && !self.is_output(new) {
            (new, old)
        } else {
            return false;
        };
        if gone == old {
            if let Some(slot) = self.makers[old.0] {
                self.remove(slot);
            }
        } else if let Some(slot) = self.makers[new.0] {
            self.take_over(slot, old);
        }
        for slot in self.readers(gone) {
            self.update(slot, |node| {
                node.inputs.iter_mut().filter(|id| **id == gone).for_each(|id| *id = kept);
            });
        }
        true
    }

    /// Puts the nodes back: those that no output needs are dropped, the others sorted. Answers how many went.
    pub fn finish(self) -> usize {
        let mut state = vec![State::New; self.slots.len()];
        let mut order = Vec::with_capacity(self.slots.len());
        let roots: Vec<usize> = self.graph.outputs.iter().filter_map(|id| self.makers[id.0]).collect();
        let mut live = vec![false; self.slots.len()];
        let mut stack = roots;
        while let Some(slot) = stack.pop() {
            if !std::mem::replace(&mut live[slot], true)
                && let Some(node) = &self.slots[slot]
            {
                stack.extend(node.inputs.iter().filter_map(|id| self.makers[id.0]));
            }
        }
        // Depth first from each slot in turn, so that nodes move no further than they must.
        for root in (0..self.slots.len()).filter(|&slot| live[slot]) {
            let mut stack = vec![root];
            while let Some(&slot) = stack.last() {
                if state[slot] == State::New {
                    state[slot] = State::Open;
                    let inputs = self.slots[slot].iter().flat_map(|node| &node.inputs);
                    let sources: Vec<usize> = inputs.filter_map(|id| self.makers[id.0]).collect();
                    stack.extend(sources.into_iter().rev().filter(|&source| state[source] == State::New));
                } else {
                    stack.pop();
                    if state[slot] == State::Open {
                        state[slot] = State::Done;
                        order.push(slot);
                    }
                }
            }
        }
        let dropped = self.slots.iter().zip(&live).filter(|(node, live)| node.is_some() && !**live).count();
        let mut slots = self.slots;
        self.graph.nodes = order.into_iter().filter_map(|slot| slots[slot].take()).collect();
        dropped
    }

    fn link(&mut self, slot: usize, node: &Node) {
        for &id in &node.inputs {
            self.readers[id.0].push(slot);
        }
        for &id in &node.outputs {
            self.makers[id.0] = Some(slot);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// Rearranging tensors.
impl Editor<'_> {
    /// `x` transposed by `perm`: a constant is rearranged at once, and moving only unit axes is a reshape.
    pub fn transposed(&mut self, origin: &Node, x: TensorId, perm: &[usize]) -> TensorId {
        if shape::is_identity(perm) {
            return x;
        }
        let result = permuted_like(self.tensor(x), perm);
        let op = if shape::moves_only_units(perm, self.shape(x)) {
            Op::Reshape
        } else {
            Op::Transpose { perm: perm.to_vec() }
        };
        self.emit_or_fold(origin, op, vec![x], result)
    }

    /// `x` with the same elements in another shape.
    pub fn reshaped(&mut self, origin: &Node, x: TensorId, shape: &[usize]) -> TensorId {
        if self.shape(x) == shape {
            return x;
        }
        let result = Tensor { shape: shape.to_vec(), data: None, ..self.tensor(x).clone() };
        self.emit_or_fold(origin, Op::Reshape, vec![x], result)
    }

    /// A new node, or its value if all operands are constants.
    fn emit_or_fold(&mut self, origin: &Node, op: Op, inputs: Vec<TensorId>, result: Tensor) -> TensorId {
        let constant = inputs.iter().all(|&id| self.tensor(id).is_constant());
        let output = self.add_tensor(result);
        let mut node = Node::new(origin.name.clone(), op, inputs, vec![output]);
        node.rounding = origin.rounding;
        match constant.then(|| crate::graph::eval::evaluate_node(self.graph, &node)).flatten() {
            Some(data) => self.graph.tensor_mut(output).data = Some(data),
            None => {
                self.push(node);
            }
        }
        output
    }

    /// Turns the result of the node in `slot` into a constant.
    pub fn set_constant(&mut self, slot: usize, data: Data) {
        if let Some(node) = self.remove(slot)
            && let Some(&output) = node.outputs.first()
        {
            self.graph.tensor_mut(output).data = Some(data);
        }
    }
}

/// A tensor like `x` with its axes permuted, without data.
pub(crate) fn permuted_like(x: &Tensor, perm: &[usize]) -> Tensor {
    let moved = |quant: &Quant| Quant {
        axis: quant.axis.and_then(|axis| perm.iter().position(|&from| from == axis)),
        ..quant.clone()
    };
    Tensor {
        name: x.name.clone(),
        shape: shape::permuted(&x.shape, perm),
        dtype: x.dtype,
        quant: x.quant.as_ref().map(moved),
        data: None,
    }
}
