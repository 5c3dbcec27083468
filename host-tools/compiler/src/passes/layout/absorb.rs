//! Transposing a tensor at no cost, by changing how it is computed.

use super::groups::transpose_first;
use super::{reshapes_freely, transposed_from};
use crate::graph::{Node, Op, Tensor, TensorId, shape};
use crate::passes::edit::{Editor, permuted_like};

/// How far up to look.
const DEPTH: usize = 12;

/// Whether `id` can be had transposed by `perm` without one more transposition in the network.
pub fn absorbs(editor: &Editor, id: TensorId, perm: &[usize]) -> bool {
    absorbs_within(editor, id, perm, DEPTH)
}

fn absorbs_within(editor: &Editor, id: TensorId, perm: &[usize], depth: usize) -> bool {
    let tensor = editor.tensor(id);
    if tensor.is_constant() || shape::is_identity(perm) {
        return true;
    }
    if shape::moves_only_units(perm, &tensor.shape) && reshapes_freely(editor, id) {
        return true;
    }
    if let Some((x, first)) = transposed_from(editor, id) {
        let merged = shape::compose(&first, perm);
        return editor.is_private(id) || shape::moves_only_units(&merged, editor.shape(x));
    }
    let Some((_, node)) = editor.maker(id) else { return false };
    if depth == 0 || !editor.is_private(id) || node.outputs.len() != 1 {
        return false;
    }
    match &node.op {
        Op::Reshape => node.inputs.first().is_some_and(|&x| {
            editor.tensor(x).quant == tensor.quant
                && reshapes_freely(editor, x)
                && transpose_first(editor.shape(x), &tensor.shape, perm)
                    .is_some_and(|perm| absorbs_within(editor, x, &perm, depth - 1))
        }),
        op if is_elementwise(op) => {
            node.inputs.iter().all(|&x| operand_absorbs(editor, x, tensor, perm, depth - 1))
        }
        _ => false,
    }
}

fn operand_absorbs(editor: &Editor, id: TensorId, result: &Tensor, perm: &[usize], depth: usize) -> bool {
    let own = editor.tensor(id);
    if own.len() == 1 || own.shape.len() == result.shape.len() {
        return own.len() == 1 || absorbs_within(editor, id, perm, depth);
    }
    // A lower rank is filled up with ones in front.
    reshapes_freely(editor, id)
        && (own.is_constant() || shape::moves_only_units(perm, &shape::aligned(&own.shape, perm.len())))
}

/// Computes `id` transposed by `perm`; [`absorbs`] must have agreed, or a transposition is added.
pub fn absorb(editor: &mut Editor, origin: &Node, id: TensorId, perm: &[usize]) -> TensorId {
    let tensor = editor.tensor(id);
    if tensor.is_constant() || shape::moves_only_units(perm, &tensor.shape) {
        return editor.transposed(origin, id, perm);
    }
    if let Some((x, first)) = transposed_from(editor, id) {
        return editor.transposed(origin, x, &shape::compose(&first, perm));
    }
    let result = permuted_like(tensor, perm);
    let Some(node) = editor.maker(id).map(|(_, node)| node.clone()) else {
        return editor.transposed(origin, id, perm);
    };
    let mut made = node.clone();
    match (&node.op, &node.inputs[..]) {
        (Op::Reshape, &[x]) => {
            let Some(first) = transpose_first(editor.shape(x), editor.shape(id), perm) else {
                return editor.transposed(origin, id, perm);
            };
            let x = absorb(editor, &node, x, &first);
            return editor.reshaped(&node, x, &result.shape);
        }
        (op, inputs) if is_elementwise(op) => {
            made.inputs = inputs.iter().map(|&x| absorb_operand(editor, &node, x, perm)).collect();
        }
        _ => return editor.transposed(origin, id, perm),
    }
    let output = editor.add_tensor(result);
    made.outputs = vec![output];
    editor.push(made);
    output
}

/// The same for an operand of an elementwise operator of rank `perm.len()`, which may have a lower rank itself.
pub fn absorb_operand(editor: &mut Editor, origin: &Node, id: TensorId, perm: &[usize]) -> TensorId {
    if editor.tensor(id).len() == 1 {
        return id;
    }
    let full = shape::aligned(editor.shape(id), perm.len());
    let id = editor.reshaped(origin, id, &full);
    absorb(editor, origin, id, perm)
}

/// Whether [`absorb_operand`] comes for free.
pub fn operand_is_free(editor: &Editor, id: TensorId, result: &Tensor, perm: &[usize]) -> bool {
    operand_absorbs(editor, id, result, perm, DEPTH)
}

/// Operators that treat all elements alike, wherever they stand.
pub fn is_elementwise(op: &Op) -> bool {
    matches!(
        op,
        Op::Unary(_)
            | Op::Lookup { .. }
            | Op::Binary(_)
            | Op::Prelu
            | Op::Quantize
            | Op::Dequantize
            | Op::Requantize
            | Op::Cast
    )
}
