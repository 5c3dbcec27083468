//! Transpositions: cancelled, merged, and moved to where they cost nothing.
//!
//! Importers of channel-first files wrap each spatial operator into transpositions. Here they *sink*: an operator
//! that does not care about the order of axes is computed on the untransposed operand, its result transposed
//! instead. Where one meets its inverse, both vanish; one that moves only axes of length 1 is a reshape. What can't
//! sink may *rise* into another transposition above. Every step keeps the number of transpositions on each path, or
//! lowers it; all are exact, also for quantized tensors.

mod absorb;
mod groups;
mod sink;

use super::Changes;
use super::edit::{Editor, permuted_like};
use crate::graph::{Activation, Graph, Node, Op, TensorId, shape};
use absorb::{absorb, absorbs};

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("layout");
    let mut editor = Editor::new(graph);
    sweep(&mut editor, &mut changes, &RULES);
    if changes.is_empty() {
        // Only now: as transpositions they would have met their inverses.
        sweep(&mut editor, &mut changes, &[("transpose of unit axes to reshape", to_reshape)]);
    }
    editor.finish();
    changes
}

fn sweep(editor: &mut Editor, changes: &mut Changes, rules: &[(&'static str, Rule)]) {
    let mut slot = 0;
    while slot < editor.len() {
        for (what, rule) in rules {
            if rule(editor, slot) {
                changes.count(what);
            }
        }
        slot += 1;
    }
}

type Rule = fn(&mut Editor, usize) -> bool;

const RULES: [(&str, Rule); 5] = [
    ("transposes merged", merge),
    ("transpose sunk", sink::sink),
    ("transpose raised into another", raise),
    ("transpose taken up by a matrix product", into_matmul),
    ("transpose before flattening taken up by weights", into_dense),
];

/// Operand and permutation, if `id` is made by nothing but a transposition.
fn transposed_from(editor: &Editor, id: TensorId) -> Option<(TensorId, Vec<usize>)> {
    let (_, node) = editor.maker(id)?;
    let (Op::Transpose { perm }, &[x]) = (&node.op, &node.inputs[..]) else { return None };
    (node.activation == Activation::None && moves_only(editor, x, id, perm)).then(|| (x, perm.clone()))
}

/// Whether `y` is `x` transposed by `perm` in shape, type and quantization.
fn moves_only(editor: &Editor, x: TensorId, y: TensorId, perm: &[usize]) -> bool {
    let (x, y) = (editor.tensor(x), editor.tensor(y));
    if !shape::is_permutation(perm, x.shape.len()) {
        return false;
    }
    let moved = permuted_like(x, perm);
    moved.shape == y.shape && moved.quant == y.quant && moved.dtype == y.dtype
}

/// Whether a reshape of the tensor keeps its quantization meaningful.
fn reshapes_freely(editor: &Editor, id: TensorId) -> bool {
    editor.tensor(id).quant.as_ref().is_none_or(|quant| quant.axis.is_none())
}

fn to_reshape(editor: &mut Editor, slot: usize) -> bool {
    let Some(output) = editor.node(slot).and_then(|node| node.outputs.first().copied()) else { return false };
    let Some((x, perm)) = transposed_from(editor, output) else { return false };
    let free = shape::moves_only_units(&perm, editor.shape(x)) && reshapes_freely(editor, x);
    if free {
        editor.rewrite(slot, Op::Reshape, vec![x]);
    }
    free
}

fn merge(editor: &mut Editor, slot: usize) -> bool {
    let Some(output) = editor.node(slot).and_then(|node| node.outputs.first().copied()) else { return false };
    let Some((middle, second)) = transposed_from(editor, output) else { return false };
    let Some((x, first)) = transposed_from(editor, middle) else { return false };
    let perm = shape::compose(&first, &second);
    if shape::is_identity(&perm) && editor.redirect(output, x) {
        return true;
    }
    editor.rewrite(slot, Op::Transpose { perm }, vec![x]);
    true
}

/// A transposition whose operand is computed from transpositions (or free ones) alone.
fn raise(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot).cloned() else { return false };
    let &[output] = &node.outputs[..] else { return false };
    let Some((x, perm)) = transposed_from(editor, output) else { return false };
    let gains = transposed_from(editor, x).is_none()
        && !shape::moves_only_units(&perm, editor.shape(x))
        && editor.is_private(x)
        && absorbs(editor, x, &perm);
    if !gains {
        return false;
    }
    let risen = absorb(editor, &node, x, &perm);
    editor.redirect(output, risen)
}

/// `a * transpose(b)`: matrix products read either operand in both orders. The transposition of the other axes, if
/// there is any, stays, and then moves whole rows.
fn into_matmul(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot) else { return false };
    let (&Op::MatMul { mut transpose_a, mut transpose_b }, &[a, b]) = (&node.op, &node.inputs[..]) else {
        return false;
    };
    let node = node.clone();
    let taken = |editor: &mut Editor, id: TensorId| -> Option<TensorId> {
        let (x, mut perm) = transposed_from(editor, id)?;
        let last = perm.len().checked_sub(2)?;
        if perm[last] != last + 1 {
            return None;
        }
        perm.swap(last, last + 1);
        let free = shape::is_identity(&perm) || shape::moves_only_units(&perm, editor.shape(x));
        (free || editor.is_private(id)).then(|| editor.transposed(&node, x, &perm))
    };
    let (new_a, new_b) = (taken(editor, a), if a == b { None } else { taken(editor, b) });
    transpose_a ^= new_a.is_some();
    transpose_b ^= new_b.is_some();
    if new_a.is_none() && new_b.is_none() {
        return false;
    }
    let inputs = vec![new_a.unwrap_or(a), new_b.unwrap_or(b)];
    editor.rewrite(slot, Op::MatMul { transpose_a, transpose_b }, inputs);
    true
}

/// `dense(flatten(transpose(x)))`: the columns of the weights are put into the order of `x` instead.
fn into_dense(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot).cloned() else { return false };
    let (Op::Dense, Some(&flat), Some(&weights)) = (&node.op, node.inputs.first(), node.inputs.get(1)) else {
        return false;
    };
    let Some((_, Node { op: Op::Reshape, inputs, .. })) = editor.maker(flat) else { return false };
    let Some((middle, (x, perm))) = inputs.first().and_then(|&id| Some((id, transposed_from(editor, id)?)))
    else {
        return false;
    };
    let columns_only =
        editor.tensor(weights).quant.as_ref().is_none_or(|quant| quant.axis.is_none_or(|axis| axis == 0));
    let same_codes = editor.tensor(flat).quant == editor.tensor(x).quant && reshapes_freely(editor, x);
    if !editor.tensor(weights).is_constant() || !columns_only || !same_codes {
        return false;
    }
    let from = editor.shape(middle).to_vec();
    let to = editor.shape(flat).to_vec();
    let Some((merged, last)) = groups::groups(&from, &to).and_then(|groups| groups.last().cloned()) else {
        return false;
    };
    let first = merged.start;
    let tail_only = (0..perm.len()).all(|i| if i < first { perm[i] == i } else { perm[i] >= first });
    let &[rows, depth] = editor.shape(weights) else { return false };
    if last.len() != 1 || !tail_only || depth != from[first..].iter().product::<usize>() {
        return false;
    }
    let mut split = vec![rows];
    split.extend_from_slice(&from[first..]);
    let back = shape::inverse(&perm);
    let mut order = vec![0];
    order.extend((first..perm.len()).map(|axis| back[axis] - first + 1));
    let split = editor.reshaped(&node, weights, &split);
    let ordered = editor.transposed(&node, split, &order);
    let mut inputs = node.inputs.clone();
    inputs[1] = editor.reshaped(&node, ordered, &[rows, depth]);
    inputs[0] = editor.reshaped(&node, x, &to);
    editor.rewrite(slot, Op::Dense, inputs);
    true
}

#[cfg(test)]
mod tests;
