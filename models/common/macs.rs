//! Multiply-accumulates of a graph, from its shapes alone.

use mote_compiler::graph::{Graph, Node, Op};

/// Multiply-accumulates of convolutions, dense layers and products of attention; what is published for these families.
/// Padding counts like anything else.
pub fn macs(graph: &Graph) -> u64 {
    graph.nodes.iter().map(|node| node_macs(graph, node)).sum()
}

fn node_macs(graph: &Graph, node: &Node) -> u64 {
    let shape = |operand: usize| node.inputs.get(operand).map_or(&[][..], |&id| &graph.tensor(id).shape);
    let last = |operand: usize| shape(operand).last().copied().unwrap_or(1) as u64;
    let outputs = || node.outputs.iter().map(|&id| graph.tensor(id).len() as u64).sum::<u64>();
    let vectors = |operand: usize| shape(operand).iter().rev().skip(1).product::<usize>() as u64;
    match &node.op {
        Op::Conv { .. } => outputs() * shape(1).iter().skip(1).product::<usize>() as u64,
        Op::Dense => outputs() * last(1),
        Op::MatMul { transpose_a: false, .. } => outputs() * last(0),
        Op::MatMul { transpose_a: true, .. } => {
            outputs() * shape(0).iter().rev().nth(1).map_or(1, |&n| n as u64)
        }
        Op::Attention(a) => vectors(0) * vectors(1) * (a.heads * (a.query.depth + a.value.depth)) as u64,
        _ => 0,
    }
}
