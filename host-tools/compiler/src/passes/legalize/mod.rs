//! Canonical forms: of several ways to write the same, the one that kernels exist for and other passes look for.
//!
//! Float arithmetic only, except where elements merely move.

mod clamps;
mod shapes;

use super::Changes;
use super::edit::{Editor, Rule, apply};
use crate::graph::{Activation, BinaryFn, Graph, Node, Op, UnaryFn, shape};

const PASS: &str = "legalize";

pub fn run(graph: &mut Graph) -> Changes {
    apply(graph, PASS, &RULES)
}

/// What must wait until nothing moves any more.
pub fn finish(graph: &mut Graph) -> Changes {
    apply(graph, PASS, &[("softmax to the last axis", softmax_to_last)])
}

const RULES: [(&str, Rule); 12] = [
    ("constant to the right", constant_right),
    ("division to multiplication", div_to_mul),
    ("subtraction to addition", sub_to_add),
    ("power to square or root", power),
    ("product with itself to square", square),
    ("maximum or minimum to clamp", clamps::from_binary),
    ("clamp to its simplest form", clamps::simplify),
    ("prelu to leaky relu", clamps::prelu),
    ("matrix product with constants to dense", shapes::matmul_to_dense),
    ("pointwise convolution of one pixel to dense", shapes::conv_to_dense),
    ("mean over whole rows and columns", shapes::reduction),
    ("gather of neighbours to slice", shapes::gather_to_slice),
];

/// A float node with a constant operand on the given side: the operator, dynamic and constant operand.
fn float_binary(editor: &Editor, slot: usize) -> Option<(BinaryFn, Node)> {
    let node = editor.node(slot)?;
    match node.op {
        Op::Binary(function) if editor.all_float(node) && node.inputs.len() == 2 => {
            Some((function, node.clone()))
        }
        _ => None,
    }
}

fn constant_right(editor: &mut Editor, slot: usize) -> Option<()> {
    let (function, node) = float_binary(editor, slot)?;
    let commutes = matches!(function, BinaryFn::Add | BinaryFn::Mul | BinaryFn::Max | BinaryFn::Min);
    let (a, b) = (node.inputs[0], node.inputs[1]);
    if !commutes || !editor.tensor(a).is_constant() || editor.tensor(b).is_constant() {
        return None;
    }
    editor.rewrite(slot, node.op, vec![b, a]);
    Some(())
}

fn div_to_mul(editor: &mut Editor, slot: usize) -> Option<()> {
    let (BinaryFn::Div, node) = float_binary(editor, slot)? else { return None };
    let divisor = editor.constant(node.inputs[1])?;
    let factor: Vec<f32> = divisor.iter().map(|&d| (1.0 / f64::from(d)) as f32).collect();
    if factor.iter().any(|f| !f.is_normal()) {
        return None;
    }
    map_constant(editor, slot, &node, BinaryFn::Mul, factor)
}

fn sub_to_add(editor: &mut Editor, slot: usize) -> Option<()> {
    let (BinaryFn::Sub, node) = float_binary(editor, slot)? else { return None };
    let negated = editor.constant(node.inputs[1])?.iter().map(|&c| -c).collect();
    map_constant(editor, slot, &node, BinaryFn::Add, negated)
}

/// `a function b` with the constant `b` replaced.
fn map_constant(
    editor: &mut Editor,
    slot: usize,
    node: &Node,
    function: BinaryFn,
    values: Vec<f32>,
) -> Option<()> {
    let (name, shape) = (editor.tensor(node.inputs[1]).name.clone(), editor.shape(node.inputs[1]).to_vec());
    let constant = editor.add_constant(name, shape, values);
    editor.rewrite(slot, Op::Binary(function), vec![node.inputs[0], constant]);
    Some(())
}

fn power(editor: &mut Editor, slot: usize) -> Option<()> {
    let (BinaryFn::Pow, node) = float_binary(editor, slot)? else { return None };
    let function = match editor.scalar(node.inputs[1])? {
        2.0 => UnaryFn::Square,
        0.5 => UnaryFn::Sqrt,
        -0.5 => UnaryFn::Rsqrt,
        -1.0 => UnaryFn::Reciprocal,
        _ => return None,
    };
    to_unary(editor, slot, &node, function)
}

fn square(editor: &mut Editor, slot: usize) -> Option<()> {
    let (BinaryFn::Mul, node) = float_binary(editor, slot)? else { return None };
    (node.inputs[0] == node.inputs[1]).then_some(())?;
    to_unary(editor, slot, &node, UnaryFn::Square)
}

/// A unary function of the first operand, if that has the shape of the result and no clamp follows.
fn to_unary(editor: &mut Editor, slot: usize, node: &Node, function: UnaryFn) -> Option<()> {
    let (x, &output) = (node.inputs[0], node.outputs.first()?);
    let same = editor.shape(x) == editor.shape(output) && node.activation == Activation::None;
    same.then(|| editor.rewrite(slot, Op::Unary(function), vec![x]))
}

fn softmax_to_last(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (&Op::Softmax { axis, beta }, &[x], &[output]) = (&node.op, &node.inputs[..], &node.outputs[..])
    else {
        return None;
    };
    let rank = editor.shape(x).len();
    if axis + 1 >= rank {
        return None;
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.remove(axis);
    perm.push(axis);
    let moved = editor.transposed(&node, x, &perm);
    let result = super::edit::permuted_like(editor.tensor(output), &perm);
    let normalised = editor.emit(&node, Op::Softmax { axis: rank - 1, beta }, vec![moved], result);
    editor.rewrite(slot, Op::Transpose { perm: shape::inverse(&perm) }, vec![normalised]);
    Some(())
}

#[cfg(test)]
mod tests;
