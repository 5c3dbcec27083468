//! Groups of operators that are one thing to a reader, and may become one kernel: squeeze-excite, attention, the
//! pooling mixer. They stay as they are in the graph; lowering may ask for them.

use crate::graph::{BinaryFn, Graph, Node, Op, PoolKind, ReduceFn, TensorId};
use std::fmt;

/// What a group of operators is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PatternKind {
    /// `x * gate(mean(x))`.
    SqueezeExcite,
    /// `softmax(q * k) * v`, with scale, bias and talking heads.
    Attention,
    /// `x + g * (average_pool(x) - x)`.
    PoolingMixer,
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub kind: PatternKind,
    /// Name of the last node.
    pub name: String,
    /// Indices into the graph's nodes, in order.
    pub nodes: Vec<usize>,
}

impl fmt::Display for PatternKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternKind::SqueezeExcite => "squeeze_excite",
            PatternKind::Attention => "attention",
            PatternKind::PoolingMixer => "pooling_mixer",
        })
    }
}

/// All occurrences, in the order of their last nodes.
pub fn find(graph: &Graph) -> Vec<Pattern> {
    let view = View::new(graph);
    let finders: [(PatternKind, Finder); 3] = [
        (PatternKind::SqueezeExcite, squeeze_excite),
        (PatternKind::Attention, attention),
        (PatternKind::PoolingMixer, pooling_mixer),
    ];
    let mut patterns = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for (kind, finder) in finders {
            if let Some(mut nodes) = finder(&view, index) {
                nodes.sort_unstable();
                nodes.dedup();
                patterns.push(Pattern { kind, name: node.name.clone(), nodes });
            }
        }
    }
    patterns
}

type Finder = fn(&View, usize) -> Option<Vec<usize>>;

struct View<'g> {
    graph: &'g Graph,
    makers: Vec<Option<usize>>,
}

impl<'g> View<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut makers = vec![None; graph.tensors.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|id| makers[id.0] = Some(index));
        }
        View { graph, makers }
    }

    fn maker(&self, id: TensorId) -> Option<(usize, &'g Node)> {
        let index = self.makers[id.0]?;
        Some((index, &self.graph.nodes[index]))
    }

    /// The two operands of a binary node, in both orders.
    fn operands(&self, index: usize, function: BinaryFn) -> Option<[(TensorId, TensorId); 2]> {
        match (&self.graph.nodes[index].op, &self.graph.nodes[index].inputs[..]) {
            (Op::Binary(f), &[a, b]) if *f == function => Some([(a, b), (b, a)]),
            _ => None,
        }
    }
}

fn squeeze_excite(view: &View, index: usize) -> Option<Vec<usize>> {
    view.operands(index, BinaryFn::Mul)?.into_iter().find_map(|(x, gate)| {
        let mut nodes = vec![index];
        let mut layers = 0;
        let mut current = gate;
        loop {
            let (slot, node) = view.maker(current)?;
            nodes.push(slot);
            match &node.op {
                Op::Conv { .. } | Op::Dense => layers += 1,
                Op::Unary(_) | Op::Reshape | Op::Quantize | Op::Dequantize | Op::Requantize => {}
                Op::Reduce { function: ReduceFn::Mean, .. }
                | Op::Pool { kind: PoolKind::Average { .. }, .. } => {
                    return (node.inputs.first() == Some(&x) && layers > 0).then_some(nodes);
                }
                _ => return None,
            }
            current = *node.inputs.first()?;
        }
    })
}

/// Ends at the product with the values.
fn attention(view: &View, index: usize) -> Option<Vec<usize>> {
    let node = &view.graph.nodes[index];
    if matches!(node.op, Op::Attention(_)) {
        return Some(vec![index]);
    }
    let (Op::MatMul { .. }, Some(&scores)) = (&node.op, node.inputs.first()) else { return None };
    let mut nodes = vec![index];
    let mut normalised = false;
    let mut current = scores;
    loop {
        let (slot, node) = view.maker(current)?;
        nodes.push(slot);
        match &node.op {
            Op::Softmax { .. } => normalised = true,
            Op::MatMul { .. } => return normalised.then_some(nodes),
            Op::Conv { .. } | Op::Dense | Op::Transpose { .. } | Op::Reshape | Op::Unary(_) => {}
            Op::Quantize | Op::Dequantize | Op::Requantize => {}
            Op::Binary(BinaryFn::Add | BinaryFn::Mul | BinaryFn::Div | BinaryFn::Sub) => {
                // The mask or scale is a constant, or smaller than the scores.
                let &dynamic = node.inputs.iter().find(|&&id| !view.graph.tensor(id).is_constant())?;
                current = dynamic;
                continue;
            }
            _ => return None,
        }
        current = *node.inputs.first()?;
    }
}

fn pooling_mixer(view: &View, index: usize) -> Option<Vec<usize>> {
    view.operands(index, BinaryFn::Add)?.into_iter().find_map(|(x, branch)| {
        let mut nodes = vec![index];
        let (mut slot, mut node) = view.maker(branch)?;
        if let Some([(a, b), _]) = view.operands(slot, BinaryFn::Mul) {
            nodes.push(slot);
            let constant = |id: TensorId| view.graph.tensor(id).is_constant();
            (constant(a) || constant(b)).then_some(())?;
            (slot, node) = view.maker(if constant(a) { b } else { a })?;
        }
        let (&Op::Binary(BinaryFn::Sub), &[pooled, source]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        nodes.push(slot);
        let (slot, pool) = view.maker(pooled)?;
        let average = matches!(pool.op, Op::Pool { kind: PoolKind::Average { .. }, .. });
        nodes.push(slot);
        (source == x && average && pool.inputs.first() == Some(&x)).then_some(nodes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::UnaryFn;
    use crate::passes::testing::Build;

    #[test]
    fn each_pattern_is_found_with_its_nodes() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 6]);
        let s = b.reduce(ReduceFn::Mean, x, &[1, 2], true);
        let s = b.dense(s, 2, 1);
        let s = b.unary(UnaryFn::Swish, s);
        let s = b.dense(s, 6, 2);
        let s = b.unary(UnaryFn::Sigmoid, s);
        let x = b.binary(BinaryFn::Mul, s, x);

        let p = b.pool(x, PoolKind::Average { include_padding: false }, 3, 1, 1);
        let d = b.binary(BinaryFn::Sub, p, x);
        let g = b.constant(&[6], 3);
        let d = b.binary(BinaryFn::Mul, d, g);
        let x = b.binary(BinaryFn::Add, d, x);

        let k = b.transpose(x, &[0, 1, 3, 2]);
        let scores = b.matmul(x, k);
        let mask = b.constant(&[4, 4], 4);
        let scores = b.binary(BinaryFn::Add, scores, mask);
        let scores = b.softmax(scores, 3);
        let y = b.matmul(scores, x);
        let found: Vec<_> = find(&b.finish(&[y])).into_iter().map(|p| (p.kind, p.nodes)).collect();
        let expected = [
            (PatternKind::SqueezeExcite, (0..6).collect::<Vec<_>>()),
            (PatternKind::PoolingMixer, (6..10).collect()),
            (PatternKind::Attention, (11..15).collect()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_gate_from_elsewhere_is_no_squeeze_excite() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 6]);
        let z = b.unary(UnaryFn::Relu, x);
        let s = b.reduce(ReduceFn::Mean, z, &[1, 2], true);
        let s = b.dense(s, 6, 2);
        let y = b.binary(BinaryFn::Mul, s, x);
        assert!(find(&b.finish(&[y])).is_empty());
    }
}
