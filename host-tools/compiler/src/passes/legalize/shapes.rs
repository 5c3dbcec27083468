//! Forms of operators that differ by shapes only.

use crate::graph::{Activation, Data, Node, Op, PoolKind, ReduceFn, Tensor};
use crate::passes::edit::Editor;

/// `x * constant matrix`: a dense layer, whose weights are the matrix transposed.
pub fn matmul_to_dense(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (&Op::MatMul { transpose_a: false, transpose_b }, &[x, matrix]) = (&node.op, &node.inputs[..]) else {
        return None;
    };
    let (leading, last) =
        editor.shape(matrix).split_at_checked(editor.shape(matrix).len().checked_sub(2)?)?;
    let single = leading.iter().all(|&length| length == 1) && leading.len() + 2 <= editor.shape(x).len();
    if !editor.all_float(&node) || !single || !editor.tensor(matrix).is_constant() {
        return None;
    }
    if editor.tensor(x).is_constant() {
        return None;
    }
    let last = last.to_vec();
    let flat = editor.reshaped(&node, matrix, &last);
    let weights = if transpose_b { flat } else { editor.transposed(&node, flat, &[1, 0]) };
    editor.rewrite(slot, Op::Dense, vec![x, weights]);
    Some(())
}

/// A convolution of size 1 over a single pixel.
pub fn conv_to_dense(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let Op::Conv { spatial, groups: 1 } = &node.op else { return None };
    let (&x, &weights) = (node.inputs.first()?, node.inputs.get(1)?);
    let shape = editor.shape(x);
    let pixels = shape.get(1..shape.len().checked_sub(1)?)?;
    let single = pixels.iter().all(|&length| length == 1);
    let pointwise = spatial.size == [1; 3] && spatial.pad == [(0, 0); 3];
    if !single || !pointwise || !editor.all_float(&node) || !editor.tensor(weights).is_constant() {
        return None;
    }
    let &[rows, 1, 1, 1, depth] = editor.shape(weights) else { return None };
    let mut inputs = node.inputs.clone();
    inputs[1] = editor.reshaped(&node, weights, &[rows, depth]);
    editor.rewrite(slot, Op::Dense, inputs);
    Some(())
}

/// Global pools as reductions; axes in order; a mean of a mean in one; a reduction over single elements as reshape.
pub fn reduction(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (&[x], &[output]) = (&node.inputs[..], &node.outputs[..]) else { return None };
    if !editor.all_float(&node) || node.activation != Activation::None {
        return None;
    }
    match &node.op {
        Op::Pool { kind, spatial } => {
            let shape = editor.shape(x);
            let lengths = match *shape {
                [_, h, w, _] => [1, h, w],
                [_, t, h, w, _] => [t, h, w],
                _ => return None,
            };
            let out = editor.shape(output);
            let one = out.len() == shape.len() && out[1..out.len() - 1].iter().all(|&length| length == 1);
            let global = spatial.size == lengths && spatial.pad == [(0, 0); 3] && spatial.dilation == [1; 3];
            let function = match kind {
                PoolKind::Max => ReduceFn::Max,
                PoolKind::Average { .. } => ReduceFn::Mean,
            };
            let axes = (1..shape.len() - 1).collect();
            (global && one)
                .then(|| editor.rewrite(slot, Op::Reduce { function, axes, keep_dims: true }, vec![x]))
        }
        Op::Reduce { function, axes, keep_dims } => {
            if axes.iter().all(|&axis| editor.shape(x).get(axis) == Some(&1)) {
                editor.rewrite(slot, Op::Reshape, vec![x]);
                return Some(());
            }
            let mut all = axes.clone();
            let mut source = x;
            if let Some(Node { op: Op::Reduce { function: f, axes: first, keep_dims: kept }, inputs, .. }) =
                editor.maker(x).map(|(_, node)| node).filter(|inner| editor.all_float(inner))
                && f == function
                && editor.is_private(x)
                && let &[inner] = &inputs[..]
                && (*kept || !*keep_dims)
            {
                // Axes of the inner operand that the outer ones stand for.
                let left: Vec<usize> =
                    (0..editor.shape(inner).len()).filter(|axis| *kept || !first.contains(axis)).collect();
                let mapped = axes.iter().map(|&axis| left.get(axis).copied()).collect::<Option<Vec<_>>>()?;
                all = first.iter().copied().chain(mapped).collect();
                source = inner;
                // What one keeps and the other drops can't be said in one.
                if kept != keep_dims {
                    return None;
                }
            }
            all.sort_unstable();
            all.dedup();
            if all == *axes && source == x {
                return None;
            }
            let op = Op::Reduce { function: *function, axes: all, keep_dims: *keep_dims };
            editor.rewrite(slot, op, vec![source]);
            Some(())
        }
        _ => None,
    }
}

/// Constant indices that follow each other at equal distances. Exact for codes too.
pub fn gather_to_slice(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (&Op::Gather { axis }, &[x, indices], &[output]) = (&node.op, &node.inputs[..], &node.outputs[..])
    else {
        return None;
    };
    let picked = editor.tensor(indices).data.as_ref().and_then(Data::to_i64)?;
    let shape = editor.shape(x).to_vec();
    let &length = shape.get(axis)?;
    let wrapped = |&i: &i64| usize::try_from(if i < 0 { i + length as i64 } else { i }).ok();
    let picked: Vec<usize> = picked.iter().map(wrapped).collect::<Option<_>>()?;
    let (&first, rest) = picked.split_first()?;
    let step = rest.first().map_or(Some(1), |&second| second.checked_sub(first)).filter(|&step| step > 0)?;
    let even = picked.iter().enumerate().all(|(i, &index)| index == first + i * step && index < length);
    let same_codes = editor.tensor(x).quant == editor.tensor(output).quant
        && editor.tensor(x).quant.as_ref().is_none_or(|quant| quant.axis.is_none());
    if !even || !same_codes || node.activation != Activation::None {
        return None;
    }
    let mut starts = vec![0; shape.len()];
    let mut steps = vec![1; shape.len()];
    let mut sliced = shape;
    (starts[axis], steps[axis], sliced[axis]) = (first, step, picked.len());
    let op = Op::Slice { starts, steps };
    if sliced == editor.shape(output) {
        editor.rewrite(slot, op, vec![x]);
    } else {
        let result = Tensor { shape: sliced, data: None, ..editor.tensor(output).clone() };
        let slice = editor.emit(&node, op, vec![x], result);
        editor.rewrite(slot, Op::Reshape, vec![slice]);
    }
    Some(())
}
