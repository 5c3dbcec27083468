//! Which codes the readers of a tensor of reals want.

use crate::graph::{Activation, DType, Graph, Node, Op, PoolKind, Quant, ResizeMode, TensorId, UnaryFn};
use std::collections::HashMap;

/// A clamp that is the only reader of its operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clamp {
    pub activation: Activation,
    pub output: TensorId,
}

/// Whether codes can take the place of reals in this operator without changing anything: it only moves or picks
/// elements of its first operand (of all operands for a concatenation).
pub(super) fn moves(op: &Op) -> bool {
    match op {
        Op::Transpose { .. } | Op::Reshape | Op::Slice { .. } | Op::Gather { .. } | Op::BroadcastTo => true,
        Op::Pad { .. } | Op::Concat { .. } => true,
        Op::Pool { kind, .. } => *kind == PoolKind::Max,
        Op::Resize { mode, .. } => matches!(mode, ResizeMode::Nearest { .. }),
        _ => false,
    }
}

/// For each tensor of reals: the one quantization to which all its readers bring it, if there is one.
pub(super) fn of(graph: &Graph, nodes: &[Node]) -> HashMap<TensorId, (Quant, DType)> {
    // `None`: reals are read, or codes of two kinds.
    let mut wanted: HashMap<TensorId, Option<(Quant, DType)>> = HashMap::new();
    graph.outputs.iter().for_each(|&id| {
        wanted.insert(id, None);
    });
    for node in nodes.iter().rev() {
        for (i, &id) in node.inputs.iter().enumerate() {
            let behind = node.outputs.first().map(|&y| graph.tensor(y));
            let asks = match (&node.op, behind) {
                (Op::Quantize, Some(y)) => y.quant.clone().map(|quant| (quant, y.dtype)),
                (op, _) if moves(op) && (i == 0 || matches!(op, Op::Concat { .. })) => {
                    node.outputs.first().and_then(|y| wanted.get(y).cloned().flatten())
                }
                _ => None,
            };
            let agreed = match wanted.get(&id) {
                None => asks,
                Some(before) if *before == asks => asks,
                Some(_) => None,
            };
            wanted.insert(id, agreed);
        }
    }
    let real = |id: &TensorId| graph.tensor(*id).dtype == DType::F32 && !graph.tensor(*id).is_constant();
    wanted.into_iter().filter(|(id, _)| real(id)).filter_map(|(id, w)| Some((id, w?))).collect()
}

/// Clamps by the tensor that they clamp, where nobody else reads it.
pub(super) fn clamps(graph: &Graph, nodes: &[Node]) -> HashMap<TensorId, Clamp> {
    let mut readers: HashMap<TensorId, usize> = HashMap::new();
    for id in nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
        *readers.entry(*id).or_default() += 1;
    }
    let clamp = |node: &Node| {
        let activation = match node.op {
            Op::Unary(UnaryFn::Relu) => Activation::Relu,
            Op::Unary(UnaryFn::Relu6) => Activation::Relu6,
            Op::Unary(UnaryFn::Clip { min, max }) => Activation::Clip { min, max },
            _ => return None,
        };
        let x = node.inputs[0];
        (readers.get(&x) == Some(&1)).then_some((x, Clamp { activation, output: node.outputs[0] }))
    };
    nodes.iter().filter_map(clamp).collect()
}
