//! Moving a transposition below the operator that reads it.

use super::absorb::{absorb, absorb_operand, absorbs, is_elementwise, operand_is_free};
use super::groups::reshape_first;
use super::{reshapes_freely, transposed_from};
use crate::graph::{Node, Op, Tensor, TensorId, shape};
use crate::passes::edit::{Editor, permuted_like};

/// Lets the node in `slot` read what its operands are transpositions of, and transposes its result.
pub fn sink(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot).cloned() else { return false };
    let &[output] = &node.outputs[..] else { return false };
    let plan = match &node.op {
        op if is_elementwise(op) => elementwise(editor, &node, output),
        Op::Concat { axis } => concat(editor, &node, *axis),
        _ => single(editor, &node, output),
    };
    let Some(Sunk { op, inputs, result, perm }) = plan else { return false };
    if shape::is_identity(&perm) && result.shape == editor.shape(output) {
        editor.rewrite(slot, op, inputs);
        return true;
    }
    let moved = editor.add_tensor(result);
    editor.update(slot, |node| {
        node.op = op;
        node.inputs = inputs;
        node.outputs = vec![moved];
    });
    let mut transpose = Node::new(node.name.clone(), Op::Transpose { perm }, vec![moved], vec![output]);
    transpose.rounding = node.rounding;
    editor.push(transpose);
    true
}

/// The operator as it is computed on untransposed operands, and the permutation that its result then needs.
struct Sunk {
    op: Op,
    inputs: Vec<TensorId>,
    result: Tensor,
    perm: Vec<usize>,
}

fn elementwise(editor: &mut Editor, node: &Node, output: TensorId) -> Option<Sunk> {
    let result = editor.tensor(output).clone();
    let rank = result.shape.len();
    let sources: Vec<_> = node.inputs.iter().map(|&id| transposed_from(editor, id)).collect();
    let perm = sources.iter().flatten().map(|(_, perm)| perm).find(|perm| perm.len() == rank)?.clone();
    let back = shape::inverse(&perm);
    let same = |source: &Option<(TensorId, Vec<usize>)>| source.as_ref().is_some_and(|(_, p)| *p == perm);
    let free = |(source, &id): (&_, &TensorId)| same(source) || operand_is_free(editor, id, &result, &back);
    if !sources.iter().zip(&node.inputs).all(free) {
        return None;
    }
    let mut inputs = Vec::new();
    for (source, &id) in sources.iter().zip(&node.inputs) {
        inputs.push(match source {
            Some((x, own)) if *own == perm => *x,
            _ => absorb_operand(editor, node, id, &back),
        });
    }
    Some(Sunk { op: node.op.clone(), inputs, result: permuted_like(&result, &back), perm })
}

fn concat(editor: &mut Editor, node: &Node, axis: usize) -> Option<Sunk> {
    let result = editor.tensor(*node.outputs.first()?).clone();
    let sources: Vec<_> = node.inputs.iter().map(|&id| transposed_from(editor, id)).collect();
    let perm = sources.iter().flatten().next()?.1.clone();
    (perm.len() == result.shape.len()).then_some(())?;
    let back = shape::inverse(&perm);
    let same = |source: &Option<(TensorId, Vec<usize>)>| source.as_ref().is_some_and(|(_, p)| *p == perm);
    if !sources.iter().zip(&node.inputs).all(|(source, &id)| same(source) || absorbs(editor, id, &back)) {
        return None;
    }
    let mut inputs = Vec::new();
    for (source, &id) in sources.iter().zip(&node.inputs) {
        inputs.push(match source {
            Some((x, own)) if *own == perm => *x,
            _ => absorb(editor, node, id, &back),
        });
    }
    let op = Op::Concat { axis: *perm.get(axis)? };
    Some(Sunk { op, inputs, result: permuted_like(&result, &back), perm })
}

/// Operators whose first operand is the only one with the axes of the result.
fn single(editor: &Editor, node: &Node, output: TensorId) -> Option<Sunk> {
    let (x, perm) = transposed_from(editor, *node.inputs.first()?)?;
    let (from, result) = (editor.tensor(x), editor.tensor(output));
    let rank = perm.len();
    let back = shape::inverse(&perm);
    let last_fixed = |count: usize| (rank.saturating_sub(count)..rank).all(|i| perm[i] == i);
    let op = match &node.op {
        Op::Softmax { axis, beta } => {
            let moved = *perm.get(*axis)?;
            // Kernels work along the last axis: don't leave it.
            if *axis + 1 == rank && moved + 1 != rank {
                return None;
            }
            Op::Softmax { axis: moved, beta: *beta }
        }
        Op::Pad { pads, value } if pads.len() == rank => {
            Op::Pad { pads: shape_of(pads, &back), value: *value }
        }
        Op::Slice { starts, steps } if starts.len() == rank && steps.len() == rank => {
            Op::Slice { starts: shape::permuted(starts, &back), steps: shape::permuted(steps, &back) }
        }
        Op::LayerNorm { axes, .. } if last_fixed(*axes) => node.op.clone(),
        Op::BatchNorm { .. } | Op::Dense if last_fixed(1) => node.op.clone(),
        Op::BroadcastTo if result.shape.len() == rank => Op::BroadcastTo,
        Op::Reduce { .. } => return reduce(node, x, &perm, result),
        Op::Gather { axis } => return gather(editor, node, *axis, x, &perm, result),
        Op::Reshape => {
            if from.quant != result.quant || !reshapes_freely(editor, x) {
                return None;
            }
            let (shape, perm) = reshape_first(&perm, &from.shape, &result.shape)?;
            let result = Tensor { shape, ..result.clone() };
            return Some(Sunk { op: Op::Reshape, inputs: vec![x], result, perm });
        }
        _ => return None,
    };
    (result.shape.len() == rank).then_some(())?;
    let mut inputs = node.inputs.clone();
    inputs[0] = x;
    Some(Sunk { op, inputs, result: permuted_like(result, &back), perm })
}

fn reduce(node: &Node, x: TensorId, perm: &[usize], result: &Tensor) -> Option<Sunk> {
    let Op::Reduce { function, axes, keep_dims } = &node.op else { return None };
    let mut moved: Vec<usize> = axes.iter().map(|&axis| perm.get(axis).copied()).collect::<Option<_>>()?;
    moved.sort_unstable();
    let op = Op::Reduce { function: *function, axes: moved.clone(), keep_dims: *keep_dims };
    let perm = if *keep_dims {
        perm.to_vec()
    } else {
        // Axes that are left, numbered among those of the untransposed result.
        let left = perm.iter().filter(|axis| !moved.contains(axis));
        left.map(|&axis| axis - moved.iter().filter(|&&gone| gone < axis).count()).collect()
    };
    (result.shape.len() == perm.len()).then_some(())?;
    let result = permuted_like(result, &shape::inverse(&perm));
    Some(Sunk { op, inputs: vec![x], result, perm })
}

fn gather(
    editor: &Editor,
    node: &Node,
    axis: usize,
    x: TensorId,
    perm: &[usize],
    result: &Tensor,
) -> Option<Sunk> {
    let &indices = node.inputs.get(1)?;
    let picked = editor.shape(indices).len();
    let moved = *perm.get(axis)?;
    // The picked axis becomes `picked` axes, both in the transposed result and in the untransposed one.
    let start = |axis: usize| if axis < moved { axis } else { axis + picked - 1 };
    let mut order = Vec::new();
    for &from in perm {
        if from == moved {
            order.extend(moved..moved + picked);
        } else {
            order.push(if from < moved { from } else { start(from) });
        }
    }
    if order.len() != result.shape.len() || !shape::is_permutation(&order, order.len()) {
        return None;
    }
    let result = permuted_like(result, &shape::inverse(&order));
    Some(Sunk { op: Op::Gather { axis: moved }, inputs: vec![x, indices], result, perm: order })
}

fn shape_of(pads: &[(usize, usize)], perm: &[usize]) -> Vec<(usize, usize)> {
    perm.iter().map(|&axis| pads[axis]).collect()
}
