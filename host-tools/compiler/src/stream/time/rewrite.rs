//! The graph that is being written while the nodes of the original are walked.

use super::Stream;
use super::axes::Time;
use super::rules::{Rule, Violation};
use crate::graph::{Data, Graph, Node, Op, Tensor, TensorId};
use std::collections::HashMap;

pub(super) struct Rewriter<'g> {
    pub graph: &'g Graph,
    pub stream: &'g Stream,
    out: Graph,
    /// Tensors that depend on the stream.
    times: HashMap<TensorId, Time>,
    /// Tensors that are another one behind so many frames of zeros.
    padded: HashMap<TensorId, (TensorId, usize)>,
    /// Rows of tables, by output.
    tables: HashMap<TensorId, Node>,
    /// Tensors whose frames were made one, by tensor.
    collected: HashMap<TensorId, TensorId>,
    violations: Vec<Violation>,
}

impl<'g> Rewriter<'g> {
    pub fn new(graph: &'g Graph, stream: &'g Stream) -> Self {
        let out = Graph { nodes: Vec::new(), ..graph.clone() };
        Self {
            graph,
            stream,
            out,
            times: HashMap::new(),
            padded: HashMap::new(),
            tables: HashMap::new(),
            collected: HashMap::new(),
            violations: Vec::new(),
        }
    }

    /// The graph, or why there is none.
    pub fn finish(mut self) -> Result<Graph, Vec<Violation>> {
        for &output in &self.graph.outputs {
            if !self.times.contains_key(&output) && self.violations.is_empty() {
                let reason =
                    format!("the output `{}` does not depend on the input", self.graph.tensor(output).name);
                self.violations.push(Violation::of_graph(Rule::Unsupported, &reason));
            }
        }
        if self.violations.is_empty() { Ok(self.out) } else { Err(self.violations) }
    }

    pub fn time(&self, id: TensorId) -> Option<Time> {
        self.times.get(&id).copied()
    }

    pub fn shape(&self, id: TensorId) -> &'g [usize] {
        // A tensor that was added here has the numbers of another one.
        let original =
            |id: TensorId| self.collected.iter().find(|&(_, &made)| made == id).map(|(&from, _)| from);
        let id = if id.0 < self.graph.tensors.len() { id } else { original(id).unwrap_or(TensorId(0)) };
        &self.graph.tensor(id).shape
    }

    /// Shape of a tensor in the new graph.
    pub fn canonical(&self, id: TensorId) -> Vec<usize> {
        self.out.tensor(id).shape.clone()
    }

    /// Notes where the time axis of a tensor is, and gives the tensor its form; `None` if it has none.
    pub fn follow(&mut self, id: TensorId, time: Time) -> Option<()> {
        let shape = time.canonical(self.shape(id))?;
        self.out.tensor_mut(id).shape = shape;
        self.times.insert(id, time);
        Some(())
    }

    /// Adds a node like `node` with another operator and other inputs; its output has this time axis.
    pub fn push(&mut self, node: &Node, op: Op, inputs: Vec<TensorId>, time: Time) {
        let output = node.outputs[0];
        match self.follow(output, time) {
            Some(()) => self.out.nodes.push(Node { op, inputs, ..node.clone() }),
            None => self.refuse(node, Rule::Unsupported, "a frame of its result has more than three axes"),
        }
    }

    /// Leaves the padding of time at the start of a stream to the window of the convolution that follows.
    pub fn pad(&mut self, node: &Node, x: TensorId, before: usize, time: Time) {
        self.follow(node.outputs[0], time);
        self.padded.insert(node.outputs[0], (x, before));
    }

    /// Adds a node that moves no frames: where `x` is another tensor with padding, on that one.
    pub fn push_below_padding(&mut self, node: &Node, op: Op, x: TensorId, time: Time) {
        let Some(&(source, before)) = self.padded.get(&x) else {
            return self.push(node, op, vec![x], time);
        };
        let output = node.outputs[0];
        self.pad(node, source, before, time);
        let mut tensor = self.out.tensor(output).clone();
        tensor.shape[1] = self.out.tensor(source).shape[1];
        let moved = self.out.add_tensor(tensor);
        self.out.nodes.push(Node { op, inputs: vec![source], outputs: vec![moved], ..node.clone() });
        self.padded.insert(output, (moved, before));
    }

    /// Whether a tensor exists only as another one with padding.
    pub fn is_padded(&self, id: TensorId) -> bool {
        self.padded.contains_key(&id)
    }

    /// The tensor without frames of zeros in front, and how many these were.
    pub fn without_padding(&self, id: TensorId) -> (TensorId, usize) {
        self.padded.get(&id).copied().unwrap_or((id, 0))
    }

    /// Notes rows of a table, to be written where they meet frames.
    pub fn table(&mut self, node: &Node) {
        self.tables.insert(node.outputs[0], node.clone());
    }

    /// The node whose output is rows of a table.
    pub fn table_of(&self, id: TensorId) -> Option<Node> {
        self.tables.get(&id).cloned()
    }

    /// All frames of a tensor with time axis 1 as positions of one.
    pub fn collected(&mut self, node: &Node, id: TensorId) -> TensorId {
        if let Some(&done) = self.collected.get(&id) {
            return done;
        }
        let mut tensor = self.out.tensor(id).clone();
        // Both forms hold the same numbers in the same order: a frame of a sequence is one vector.
        tensor.shape = Time::Window.canonical(self.shape(id)).unwrap_or(tensor.shape);
        let output = self.out.add_tensor(tensor);
        let (name, inputs) = (format!("{} (frames)", node.name), vec![id]);
        self.out.nodes.push(Node::new(name, Op::Collect, inputs, vec![output]));
        self.times.insert(output, Time::Window);
        self.collected.insert(id, output);
        output
    }

    /// Keeps a node as it is.
    pub fn keep(&mut self, node: &Node) {
        self.out.nodes.push(node.clone());
    }

    /// A constant with the data of `id` in another shape, and in the order that `arrange` gives it.
    pub fn constant(&mut self, id: TensorId, shape: Vec<usize>, arrange: impl Fn(&Data) -> Data) -> TensorId {
        let tensor = self.graph.tensor(id);
        let data = tensor.data.as_ref().map(arrange);
        self.out.add_tensor(Tensor { shape, data, ..tensor.clone() })
    }

    pub fn refuse(&mut self, node: &Node, rule: Rule, reason: impl Into<String>) {
        // What follows is read as if it had been possible, so that all reasons are told at once.
        for &output in &node.outputs {
            let guess = node.inputs.iter().find_map(|&input| self.time(input));
            let rank = self.shape(output).len();
            let time = match guess {
                Some(Time::Axis(axis)) if axis < rank && rank > 1 => Time::Axis(axis),
                _ => Time::Window,
            };
            self.follow(output, time);
        }
        self.violations.push(Violation {
            node: node.name.clone(),
            operator: node.op.name().into(),
            rule,
            reason: reason.into(),
        });
    }
}
