//! The sum of two layers of the same operand is one layer (the two heads of a distilled classifier).

use super::Changes;
use super::edit::{Editor, apply};
use super::linear::Linear;
use crate::graph::{BinaryFn, Graph, Op};

pub fn run(graph: &mut Graph) -> Changes {
    apply(graph, "merge_layers", &[("sum of layers", merge)])
}

fn merge(editor: &mut Editor, slot: usize) -> Option<()> {
    let sum = editor.node(slot)?.clone();
    let (Op::Binary(BinaryFn::Add), &[a, b], &[output]) = (&sum.op, &sum.inputs[..], &sum.outputs[..]) else {
        return None;
    };
    if a == b || !editor.is_float(output) {
        return None;
    }
    let (first, second) = (Linear::making(editor, a)?, Linear::making(editor, b)?);
    let (p, q) = (editor.node(first.slot)?, editor.node(second.slot)?);
    let same_weights = editor.shape(*p.inputs.get(1)?) == editor.shape(*q.inputs.get(1)?);
    let same = p.op == q.op && p.inputs.first() == q.inputs.first() && same_weights;
    if !same || editor.shape(a) != editor.shape(output) || editor.shape(b) != editor.shape(output) {
        return None;
    }
    first.add(editor, &second);
    editor.take_over(first.slot, output);
    editor.update(first.slot, |layer| layer.activation = sum.activation);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::TensorId;
    use crate::passes::testing::{Build, check};

    fn nodes_left(body: impl FnOnce(&mut Build, TensorId) -> Vec<TensorId>) -> usize {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 3]);
        let outputs = body(&mut b, x);
        check(b.finish(&outputs), run).nodes.len()
    }

    #[test]
    fn two_heads_become_one() {
        let dense = |b: &mut Build, x| {
            let (p, q) = (b.dense(x, 4, 1), b.dense(x, 4, 3));
            vec![b.binary(BinaryFn::Add, p, q)]
        };
        assert_eq!(nodes_left(dense), 1);
        let conv = |b: &mut Build, x| {
            let (p, q) = (b.conv(x, 4, 3, 1, 1), b.conv(x, 4, 3, 1, 3));
            vec![b.binary(BinaryFn::Add, p, q)]
        };
        assert_eq!(nodes_left(conv), 1);
    }

    #[test]
    fn other_kernels_operands_and_readers_stay() {
        let kernels = |b: &mut Build, x| {
            let (p, q) = (b.conv(x, 4, 3, 1, 1), b.conv(x, 4, 1, 1, 3));
            vec![b.binary(BinaryFn::Add, p, q)]
        };
        assert_eq!(nodes_left(kernels), 3);
        let operands = |b: &mut Build, x| {
            let p = b.dense(x, 3, 1);
            let q = b.dense(p, 3, 3);
            vec![b.binary(BinaryFn::Add, p, q)]
        };
        assert_eq!(nodes_left(operands), 3);
        let readers = |b: &mut Build, x| {
            let (p, q) = (b.dense(x, 4, 1), b.dense(x, 4, 3));
            vec![b.binary(BinaryFn::Add, p, q), p]
        };
        assert_eq!(nodes_left(readers), 3);
    }
}
