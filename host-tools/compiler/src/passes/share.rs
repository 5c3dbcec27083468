//! Common subexpressions: equal operators on equal operands are computed once.

use super::Changes;
use super::edit::Editor;
use crate::graph::{Graph, Node, Tensor, TensorId};
use std::collections::HashMap;

/// Larger constants are not compared.
const COMPARED_ELEMENTS: usize = 4096;

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("share");
    let canonical = equal_constants(graph);
    for node in &mut graph.nodes {
        for id in &mut node.inputs {
            *id = canonical[id.0];
        }
    }
    let mut editor = Editor::new(graph);
    let mut seen: HashMap<String, TensorId> = HashMap::new();
    for slot in 0..editor.len() {
        let Some((key, output)) =
            editor.node(slot).and_then(|node| Some((key(&editor, node)?, node.outputs[0])))
        else {
            continue;
        };
        match seen.get(&key) {
            Some(&first) => {
                // After a redirection to `output`, the first node writes there.
                if editor.redirect(output, first) {
                    let kept = if editor.maker(first).is_some() { first } else { output };
                    seen.insert(key, kept);
                    changes.count("common subexpression");
                }
            }
            None => {
                seen.insert(key, output);
            }
        }
    }
    editor.finish();
    changes
}

fn key(editor: &Editor, node: &Node) -> Option<String> {
    let &[output] = &node.outputs[..] else { return None };
    let Tensor { shape, dtype, quant, .. } = editor.tensor(output);
    let Node { op, inputs, activation, rounding, .. } = node;
    Some(format!("{op:?} {inputs:?} {activation:?} {rounding:?} {shape:?} {dtype:?} {quant:?}"))
}

/// For each tensor, itself or the first constant that equals it.
fn equal_constants(graph: &Graph) -> Vec<TensorId> {
    let mut seen: HashMap<String, TensorId> = HashMap::new();
    let representative = |(i, tensor): (usize, &Tensor)| {
        let id = TensorId(i);
        let Tensor { shape, dtype, quant, data, .. } = tensor;
        match data {
            Some(data) if data.len() <= COMPARED_ELEMENTS && !graph.outputs.contains(&id) => {
                let bytes = data.to_bytes();
                *seen.entry(format!("{shape:?} {dtype:?} {quant:?} {bytes:?}")).or_insert(id)
            }
            _ => id,
        }
    };
    graph.tensors.iter().enumerate().map(representative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{BinaryFn, UnaryFn};
    use crate::passes::testing::{Build, check};

    #[test]
    fn equal_chains_with_equal_constants_merge() {
        let mut b = Build::new();
        let x = b.input(&[1, 4]);
        let mut chain = || {
            let c = b.filled(&[1], 3.0);
            let s = b.binary(BinaryFn::Add, x, c);
            b.unary(UnaryFn::Relu6, s)
        };
        let (p, q) = (chain(), chain());
        let y = b.binary(BinaryFn::Mul, p, q);
        let graph = check(b.finish(&[y]), run);
        assert_eq!(graph.nodes.len(), 3);
    }

    #[test]
    fn equal_outputs_both_stay() {
        let mut b = Build::new();
        let x = b.input(&[1, 4]);
        let p = b.unary(UnaryFn::Relu6, x);
        let q = b.unary(UnaryFn::Relu6, x);
        let graph = check(b.finish(&[p, q]), run);
        assert_eq!((graph.nodes.len(), &graph.outputs[..]), (2, &[p, q][..]));
    }
}
