//! Constant folding, removal of operators that do nothing and of nodes that nobody reads.

use super::Changes;
use super::edit::{Editor, permuted_like};
use crate::graph::eval::evaluate_node;
use crate::graph::{Activation, BinaryFn, Graph, Node, Op, PoolKind, Tensor, TensorId, UnaryFn, shape};

/// Constants larger than this stay computed, so that no small file turns into a huge plan.
const LARGEST_CONSTANT: usize = 1 << 24;

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("fold");
    let mut editor = Editor::new(graph);
    let mut slot = 0;
    while slot < editor.len() {
        for (what, rule) in RULES {
            if rule(&mut editor, slot) {
                changes.count(what);
            }
        }
        slot += 1;
    }
    changes.add("dead node", editor.finish());
    changes
}

type Rule = fn(&mut Editor, usize) -> bool;

const RULES: [(&str, Rule); 5] = [
    ("constant", fold_constant),
    ("identity", remove_identity),
    ("reshape of a reshape", merge_reshapes),
    ("slice of a slice", merge_slices),
    ("broadcast before a broadcasting operator", drop_broadcast),
];

fn fold_constant(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot) else { return false };
    let &[output] = &node.outputs[..] else { return false };
    let constant = !node.inputs.is_empty() && node.inputs.iter().all(|&id| editor.tensor(id).is_constant());
    if !constant
        || matches!(node.op, Op::Recycle { .. })
        || editor.is_output(output)
        || !folds_exactly(editor, node)
    {
        return false;
    }
    match evaluate_node(editor.graph(), node) {
        Some(data) => {
            editor.set_constant(slot, data);
            true
        }
        None => false,
    }
}

/// Whether the evaluator gives the very elements that the network would compute.
fn folds_exactly(editor: &Editor, node: &Node) -> bool {
    let Some(output) = node.outputs.first().map(|&id| editor.tensor(id)) else { return false };
    if output.len() > LARGEST_CONSTANT {
        return false;
    }
    let quantized = |&id: &TensorId| editor.tensor(id).quant.is_some();
    if !node.inputs.iter().any(quantized) && output.quant.is_none() {
        return true;
    }
    let Some(first) = node.inputs.first().map(|&id| editor.tensor(id)) else { return false };
    match &node.op {
        Op::Dequantize => node.activation == Activation::None,
        Op::Transpose { perm } => {
            shape::is_permutation(perm, first.shape.len()) && permuted_like(first, perm).quant == output.quant
        }
        Op::Reshape | Op::BroadcastTo | Op::Slice { .. } | Op::Gather { .. } | Op::Concat { .. } => {
            let uniform = |tensor: &Tensor| tensor.quant.as_ref().is_some_and(|q| q.uniform().is_some());
            let agrees = |&id: &TensorId| editor.tensor(id).quant == output.quant;
            let moved =
                if matches!(node.op, Op::Gather { .. }) { &node.inputs[..1] } else { &node.inputs[..] };
            uniform(output) && moved.iter().all(agrees)
        }
        _ => false,
    }
}

fn remove_identity(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot) else { return false };
    let (&[output], false) = (&node.outputs[..], node.activation != Activation::None) else { return false };
    match unchanged_operand(editor, node, output) {
        Some(x) => editor.redirect(output, x),
        None => false,
    }
}

/// The operand that the node hands on as it is.
fn unchanged_operand(editor: &Editor, node: &Node, output: TensorId) -> Option<TensorId> {
    let &x = node.inputs.first()?;
    let same = |x: TensorId| {
        let (x, y) = (editor.tensor(x), editor.tensor(output));
        x.shape == y.shape && x.dtype == y.dtype && x.quant == y.quant
    };
    let filled = |id: TensorId, value: f32| {
        editor.constant(id).is_some_and(|v| v.iter().all(|&element| element == value))
    };
    let neutral = |a: TensorId, b: TensorId, value: f32| (filled(b, value) && same(a)).then_some(a);
    let float = editor.is_float(output);
    let identity = match &node.op {
        Op::Reshape | Op::BroadcastTo | Op::Cast | Op::Requantize | Op::Resize { .. } => true,
        Op::Transpose { perm } => shape::is_identity(perm),
        Op::Concat { .. } => node.inputs.len() == 1,
        Op::Slice { starts, steps } => {
            let lengths = &editor.tensor(output).shape;
            starts.iter().all(|&start| start == 0)
                && steps.iter().zip(lengths).all(|(&step, &length)| step == 1 || length == 1)
        }
        Op::Pad { pads, .. } => pads.iter().all(|&pad| pad == (0, 0)),
        Op::Reduce { axes, .. } => axes.iter().all(|&axis| editor.shape(x).get(axis) == Some(&1)) && float,
        Op::Pool { spatial, kind: PoolKind::Max | PoolKind::Average { .. } } => {
            spatial.size == [1; 3] && spatial.stride == [1; 3] && spatial.pad == [(0, 0); 3]
        }
        Op::Unary(UnaryFn::Clip { min, max }) => float && *min == f32::NEG_INFINITY && *max == f32::INFINITY,
        Op::Quantize => {
            // From the codes to real numbers and back to the same codes.
            let &codes = match editor.maker(x) {
                Some((_, Node { op: Op::Dequantize, inputs, .. })) => inputs.first()?,
                _ => return None,
            };
            return same(codes).then_some(codes);
        }
        Op::Binary(function) if float => {
            let (&a, &b) = (node.inputs.first()?, node.inputs.get(1)?);
            return match function {
                BinaryFn::Add => neutral(a, b, 0.0).or_else(|| neutral(b, a, 0.0)),
                BinaryFn::Mul => neutral(a, b, 1.0).or_else(|| neutral(b, a, 1.0)),
                BinaryFn::Sub => neutral(a, b, 0.0),
                BinaryFn::Div | BinaryFn::Pow => neutral(a, b, 1.0),
                _ => None,
            };
        }
        _ => false,
    };
    (identity && same(x)).then_some(x)
}

fn merge_reshapes(editor: &mut Editor, slot: usize) -> bool {
    let Some(Node { op: Op::Reshape, inputs, .. }) = editor.node(slot) else { return false };
    let source = match inputs.first().and_then(|&x| editor.maker(x)) {
        Some((_, Node { op: Op::Reshape, inputs, .. })) if inputs.len() == 1 => inputs[0],
        _ => return false,
    };
    let quant = |editor: &Editor, id: TensorId| editor.tensor(id).quant.clone();
    let outputs = editor.node(slot).map(|node| node.outputs.clone()).unwrap_or_default();
    if outputs.iter().any(|&id| quant(editor, id) != quant(editor, source)) {
        return false;
    }
    editor.rewrite(slot, Op::Reshape, vec![source]);
    true
}

fn merge_slices(editor: &mut Editor, slot: usize) -> bool {
    let Some(Node { op: Op::Slice { starts, steps }, inputs, .. }) = editor.node(slot) else { return false };
    let Some((_, Node { op: Op::Slice { starts: first, steps: strides }, inputs: sources, .. })) =
        inputs.first().and_then(|&x| editor.maker(x))
    else {
        return false;
    };
    let same_rank = [first.len(), steps.len(), strides.len()].iter().all(|&rank| rank == starts.len());
    let (Some(&source), true) = (sources.first(), same_rank) else { return false };
    if inputs.first().is_none_or(|&x| editor.tensor(x).quant != editor.tensor(source).quant) {
        return false;
    }
    let starts = (0..starts.len()).map(|i| first[i] + starts[i] * strides[i]).collect();
    let steps = (0..steps.len()).map(|i| steps[i] * strides[i]).collect();
    editor.rewrite(slot, Op::Slice { starts, steps }, vec![source]);
    true
}

/// An elementwise operator broadcasts its operands by itself.
fn drop_broadcast(editor: &mut Editor, slot: usize) -> bool {
    let Some(node) = editor.node(slot) else { return false };
    let (Op::Binary(_), &[a, b], Some(&output)) = (&node.op, &node.inputs[..], node.outputs.first()) else {
        return false;
    };
    let source = |id: TensorId| match editor.maker(id) {
        Some((_, Node { op: Op::BroadcastTo, inputs, .. })) => {
            let &x = inputs.first()?;
            (editor.tensor(x).quant == editor.tensor(id).quant).then_some(x)
        }
        _ => None,
    };
    let fits = |a: TensorId, b: TensorId| {
        shape::broadcast(editor.shape(a), editor.shape(b)).as_deref() == Some(editor.shape(output))
    };
    let operands = match (source(a), source(b)) {
        (Some(a), _) if fits(a, b) => vec![a, b],
        (_, Some(b)) if fits(a, b) => vec![a, b],
        _ => return false,
    };
    let op = node.op.clone();
    editor.rewrite(slot, op, operands);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Data, Quant};
    use crate::passes::testing::{Build, check};

    #[test]
    fn constant_chains_become_one_constant() {
        let mut b = Build::new();
        let x = b.input(&[1, 2, 3]);
        let c = b.constant(&[3, 2], 1);
        let t = b.transpose(c, &[1, 0]);
        let s = b.unary(UnaryFn::Sqrt, t);
        let s = b.unary(UnaryFn::Abs, s);
        let g = b.reshape(s, &[1, 2, 3]);
        let y = b.binary(BinaryFn::Add, x, g);
        let graph = check(b.finish(&[y]), run);
        assert_eq!(graph.nodes.len(), 1);
    }

    #[test]
    fn identities_vanish_and_outputs_keep_their_tensor() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 3]);
        let r = b.unary(UnaryFn::Relu, x);
        let r = b.transpose(r, &[0, 1, 2]);
        let one = b.filled(&[3], 1.0);
        let zero = b.filled(&[1, 1, 1], 0.0);
        let r = b.binary(BinaryFn::Mul, one, r);
        let r = b.binary(BinaryFn::Sub, r, zero);
        let r = b.reshape(r, &[12]);
        let r = b.reshape(r, &[2, 6]);
        let y = b.reshape(r, &[1, 4, 3]);
        let graph = check(b.finish(&[y]), |graph| {
            run(graph);
            run(graph)
        });
        assert_eq!((graph.nodes.len(), graph.outputs[0]), (1, y));
    }

    #[test]
    fn neutral_constants_that_enlarge_stay() {
        let mut b = Build::new();
        let x = b.input(&[1, 3]);
        let one = b.filled(&[2, 3], 1.0);
        let y = b.binary(BinaryFn::Mul, x, one);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 1);
    }

    #[test]
    fn unread_nodes_go_and_slices_merge() {
        let mut b = Build::new();
        let x = b.input(&[1, 10]);
        b.unary(UnaryFn::Relu, x);
        let s = b.slice(x, &[0, 1], &[1, 2], &[1, 4]);
        let y = b.slice(s, &[0, 1], &[1, 2], &[1, 2]);
        let graph = check(b.finish(&[y]), run);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].op, Op::Slice { starts: vec![0, 3], steps: vec![1, 4] });
    }

    #[test]
    fn quantized_constants_only_move() {
        let mut b = Build::new();
        let codes = Tensor::constant("c", vec![2, 1], Data::I8([3, -4].into()));
        let c = b.graph.add_tensor(codes.with_quant(Quant::per_tensor(0.5, 1)));
        let t = b.quantized(&[1, 2], 0.5, 1);
        b.push(Op::Transpose { perm: vec![1, 0] }, &[c], t);
        let r = b.quantized(&[1, 2], 0.25, 1);
        b.push(Op::Requantize, &[t], r);
        let y = b.activation(&[1, 2]);
        b.push(Op::Dequantize, &[r], y);
        let graph = check(b.finish(&[y]), run);
        let names: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
        assert_eq!(names, ["requantize", "dequantize"]);
        assert_eq!(graph.tensor(graph.nodes[0].inputs[0]).data, Some(Data::I8([3, -4].into())));
    }

    #[test]
    fn requantization_to_other_codes_stays() {
        let mut b = Build::new();
        let x = b.quantized_input(&[4], 0.5, 0);
        let y = b.quantized(&[4], 0.25, 0);
        b.push(Op::Requantize, &[x], y);
        let z = b.quantized(&[4], 0.25, 0);
        b.push(Op::Requantize, &[y], z);
        let graph = check(b.finish(&[z]), run);
        assert_eq!((graph.nodes.len(), graph.tensor(z).dtype), (1, DType::I8));
    }
}
