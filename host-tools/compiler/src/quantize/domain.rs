//! Which nodes become int8, and which tensors share one quantization.

use super::is_activation;
use crate::graph::{BinaryFn, DType, Graph, Node, Op, PoolKind, ReduceFn, TensorId, UnaryFn};

/// How a node's int8 kernel relates its output's quantization to its inputs'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any output quantization; constant weights.
    Weighted,
    /// Any output quantization.
    Free,
    /// The kernel fixes the output's quantization.
    Fixed,
    /// Output and input 0 share a quantization.
    Same,
    /// As [`Kind::Same`]; the node only moves elements about, and follows its input into float or int8.
    Move,
    /// Output and all inputs share a quantization.
    Joint,
    /// The output is rows of a constant, with which it shares a quantization.
    Table,
}

/// The decisions.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    /// Per node: the kind of int8 kernel, or why the node stays float.
    pub nodes: Vec<Result<Kind, String>>,
    /// Per tensor: a tensor that stands for all that share its quantization.
    groups: Vec<usize>,
    /// Inputs of joint nodes that need a [`Op::Requantize`], as (node, operand).
    pub requantized: Vec<(usize, usize)>,
    /// Per tensor: index of the node that computes it.
    producers: Vec<Option<usize>>,
}

impl Domain {
    pub fn group(&self, id: TensorId) -> TensorId {
        let mut id = id.0;
        while self.groups[id] != id {
            id = self.groups[id];
        }
        TensorId(id)
    }

    pub fn is_int8(&self, node: usize) -> bool {
        self.nodes[node].is_ok()
    }

    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.producers[id.0]
    }

    /// Whether the tensor's quantization comes from its own values, not from those of another tensor.
    pub fn is_root(&self, id: TensorId) -> bool {
        match self.producer(id).map(|node| &self.nodes[node]) {
            None | Some(Err(_)) => true,
            Some(Ok(kind)) => !matches!(kind, Kind::Same | Kind::Move | Kind::Joint),
        }
    }

    /// The constant whose first rows a tensor is.
    pub fn table(&self, graph: &Graph, id: TensorId) -> Option<Vec<f32>> {
        let node = self.producer(id).filter(|&node| matches!(self.nodes[node], Ok(Kind::Table)))?;
        let table = graph.tensor(*graph.nodes[node].inputs.first()?);
        Some(table.data.as_ref()?.to_f32())
    }

    fn unite(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.group(a), self.group(b));
        self.groups[b.0] = a.0;
    }
}

pub(super) fn decide(graph: &Graph, keep_float: &[String]) -> Domain {
    let mut producers = vec![None; graph.tensors.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        node.outputs.iter().for_each(|id| producers[id.0] = Some(index));
    }
    let groups = (0..graph.tensors.len()).collect();
    let nodes = graph.nodes.iter().map(|node| kind(graph, node, keep_float)).collect();
    let mut domain = Domain { nodes, groups, requantized: Vec::new(), producers };
    follow_inputs(graph, &mut domain);
    clear_islands(graph, &mut domain);
    follow_inputs(graph, &mut domain);
    for (index, node) in graph.nodes.iter().enumerate() {
        match domain.nodes[index] {
            Ok(Kind::Same | Kind::Move) => domain.unite(node.inputs[0], node.outputs[0]),
            Ok(Kind::Joint) => {
                for operand in 0..node.inputs.len() {
                    let input = node.inputs[operand];
                    if graph.tensor(input).is_constant() {
                        continue;
                    }
                    if adapts(graph, &domain, input) {
                        domain.unite(node.outputs[0], input);
                    } else {
                        domain.requantized.push((index, operand));
                    }
                }
            }
            _ => {}
        }
    }
    domain
}

/// The int8 form of a node, or why there is none.
fn kind(graph: &Graph, node: &Node, keep_float: &[String]) -> Result<Kind, String> {
    let &[output] = &node.outputs[..] else { return Err("it has several outputs".into()) };
    if keep_float.contains(&node.name) {
        return Err("kept float on request".into());
    }
    let dynamic = |index: usize| node.inputs.get(index).is_some_and(|&id| is_activation(graph, id));
    let constant = |index: usize| node.inputs.get(index).is_none_or(|&id| graph.tensor(id).is_constant());
    if !is_activation(graph, output) || graph.tensor(output).dtype != DType::F32 {
        return Err(format!("it computes {:?}", graph.tensor(output).dtype));
    }
    if matches!(node.op, Op::Recycle { .. }) && constant(0) {
        return Ok(Kind::Table);
    }
    if !(0..node.inputs.len()).any(dynamic) {
        return Err("it reads no float activation".into());
    }
    let real = |&id: &TensorId| graph.tensor(id).dtype == DType::F32;
    match &node.op {
        Op::Conv { .. } | Op::Dense => {
            if !constant(1) || !constant(2) {
                return Err("its weights are computed at run time".into());
            }
            if !node.inputs.iter().all(real) {
                Err("its operands are not all f32".into())
            } else {
                Ok(Kind::Weighted)
            }
        }
        Op::MatMul { .. } => Ok(Kind::Free),
        Op::Attention(_) if (0..3).all(dynamic) && constant(3) => Ok(Kind::Free),
        Op::Binary(BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul) if node.inputs.iter().all(real) => {
            Ok(Kind::Free)
        }
        Op::Binary(BinaryFn::Max | BinaryFn::Min) if node.inputs.iter().all(real) => Ok(Kind::Joint),
        Op::Unary(function) => match function {
            UnaryFn::Sigmoid => Ok(Kind::Fixed),
            UnaryFn::Exp | UnaryFn::Log | UnaryFn::Sqrt | UnaryFn::Rsqrt | UnaryFn::Reciprocal => {
                Err("256 codes are too coarse for its steep part".into())
            }
            _ => Ok(Kind::Free),
        },
        Op::Prelu if constant(1) => Ok(Kind::Free),
        Op::Pool { kind: PoolKind::Max | PoolKind::Average { .. }, .. } => Ok(Kind::Same),
        Op::Reduce { function: ReduceFn::Max, axes, .. } => {
            let shape = &graph.tensor(node.inputs[0]).shape;
            let kept_behind = shape.iter().enumerate().rev().take_while(|(axis, _)| !axes.contains(axis));
            if kept_behind.map(|(_, n)| n).product::<usize>() == 1 {
                Ok(Kind::Same)
            } else {
                Err("its int8 kernel reduces the last axes only; a max pool takes rows and columns".into())
            }
        }
        Op::Reduce { .. } => Ok(Kind::Free),
        Op::Softmax { axis, .. } if axis + 1 == graph.tensor(output).shape.len() => Ok(Kind::Fixed),
        Op::Softmax { .. } => Err("it does not run along the last axis".into()),
        Op::LayerNorm { .. } if constant(1) && constant(2) => Ok(Kind::Free),
        Op::Concat { .. } if node.inputs.iter().all(real) => Ok(Kind::Joint),
        Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Transpose { .. }
        | Op::Reshape
        | Op::BroadcastTo
        | Op::Resize { .. } => Ok(Kind::Move),
        Op::Gather { .. } if dynamic(0) && constant(1) => Ok(Kind::Move),
        Op::Cast if dynamic(0) => Ok(Kind::Move),
        Op::Gru { .. } | Op::Lstm => Err("its state needs more than 8 bits".into()),
        _ => Err("it has no int8 kernel".into()),
    }
}

/// Nodes that only move elements stay float where the elements are.
fn follow_inputs(graph: &Graph, domain: &mut Domain) {
    for (index, node) in graph.nodes.iter().enumerate() {
        let from_float = |id: &TensorId| match domain.producer(*id) {
            Some(producer) => !domain.is_int8(producer),
            None => graph.tensor(*id).is_constant(),
        };
        let follows = match domain.nodes[index] {
            Ok(Kind::Move) => node.inputs.first().is_some_and(from_float),
            Ok(Kind::Joint) => node.inputs.iter().all(from_float),
            _ => false,
        };
        if follows {
            domain.nodes[index] = Err("it moves float values".into());
        }
    }
}

/// A cheap node among float ones would cost two conversions and precision: it stays float.
fn clear_islands(graph: &Graph, domain: &mut Domain) {
    let consumers = consumers(graph);
    loop {
        let island = |index: &usize| {
            let node = &graph.nodes[*index];
            let cheap =
                matches!(domain.nodes[*index], Ok(Kind::Free | Kind::Same | Kind::Fixed | Kind::Table))
                    && !matches!(node.op, Op::MatMul { .. } | Op::Attention(_));
            let float = |id: &TensorId| domain.producer(*id).is_some_and(|p| !domain.is_int8(p));
            let mut dynamic = node.inputs.iter().filter(|&&id| is_activation(graph, id));
            let readers = &consumers[node.outputs[0].0];
            cheap
                && dynamic.all(float)
                && !readers.is_empty()
                && readers.iter().all(|&reader| !domain.is_int8(reader))
                && !graph.outputs.contains(&node.outputs[0])
        };
        match (0..graph.nodes.len()).find(island) {
            Some(index) => domain.nodes[index] = Err("it stands between float nodes".into()),
            None => return,
        }
    }
}

/// Per tensor: the nodes that read it.
pub(super) fn consumers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut consumers = vec![Vec::new(); graph.tensors.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            if consumers[id.0].last() != Some(&index) {
                consumers[id.0].push(index);
            }
        }
    }
    consumers
}

/// Whether a joint node can give its quantization to this input: nobody else reads it, and its producer does not
/// mind.
fn adapts(graph: &Graph, domain: &Domain, input: TensorId) -> bool {
    let (mut id, mut steps) = (input, graph.nodes.len());
    loop {
        if graph.outputs.contains(&id) || graph.consumers(id).len() != 1 || steps == 0 {
            return false;
        }
        let Some(producer) = domain.producer(id) else { return false };
        match &domain.nodes[producer] {
            Ok(Kind::Weighted | Kind::Free | Kind::Joint) => return true,
            Ok(Kind::Same | Kind::Move) => id = graph.nodes[producer].inputs[0],
            Ok(Kind::Fixed | Kind::Table) | Err(_) => return false,
        }
        steps -= 1;
    }
}
