//! What the passes leave of real networks.

use crate::golden::{difference, range};
use crate::network::Golden;
use mote_compiler::graph::eval::evaluate;
use mote_compiler::graph::{Data, Graph, Node, Op};
use mote_compiler::import::onnx::{OnnxOptions, import};
use mote_compiler::passes::{PatternKind, optimize};
use std::collections::BTreeMap;

/// What must be left of a network: (operator, number of nodes).
type Left = &'static [(&'static str, usize)];

const NETWORKS: [(&str, Left, usize); 9] = [
    // Attention reads queries, keys and values where they are.
    (
        "efficientformer_l1",
        &[("transpose", 0), ("attention", 1), ("gelu", 15), ("layer_norm", 3), ("mul", 14), ("dense", 5)],
        1,
    ),
    // Talking heads are convolutions over heads: two transpositions for each of them, and one each for query, key, values
    // and result, in four blocks.
    ("efficientformerv2_s0", &[("transpose", 32), ("attention", 1), ("gelu", 35), ("mul", 4)], 5),
    ("tinynet_a", &[("transpose", 0), ("sigmoid", 19)], 0),
    ("tinynet_e", &[("transpose", 0)], 0),
    ("mobilenetv1_100", &[("transpose", 0)], 0),
    ("mobilenetv2_100", &[("transpose", 0)], 0),
    ("mobilenetv2_100_bn", &[("transpose", 0)], 0),
    ("mobilenetv3_small_100", &[("transpose", 0), ("hard_swish", 19)], 0),
    ("efficientnet_lite0", &[("transpose", 0)], 0),
];

fn imported(name: &str) -> Graph {
    import(&Golden::load(name).network(name), &OnnxOptions::default()).unwrap().graph
}

fn histogram(graph: &Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    graph.nodes.iter().for_each(|node| *counts.entry(node.op.name()).or_default() += 1);
    counts
}

#[test]
fn only_what_must_be_is_left() {
    for (name, left, attentions) in NETWORKS {
        let mut graph = imported(name);
        let report = optimize(&mut graph);
        graph.validate().unwrap();
        let counts = histogram(&graph);
        println!("{name}: {report}  {counts:?}");
        let count = |op: &str| counts.get(op).copied().unwrap_or(0);
        for op in ["batch_norm", "erf", "pow", "div"] {
            assert_eq!(count(op), 0, "{name}: {op}");
        }
        for &(op, times) in left {
            assert_eq!(count(op), times, "{name}: {op}");
        }
        let found = report.patterns.iter().filter(|p| p.kind == PatternKind::Attention).count();
        assert_eq!(found, attentions, "{name}: attention");
        let alone = |node: &Node| matches!(node.op, Op::Unary(f) if f.name().starts_with("relu"));
        assert!(!graph.nodes.iter().any(alone), "{name}: a clamp stands alone");
        assert_eq!(optimize(&mut graph).changes, [], "{name}: not at rest");
    }
}

#[test]
fn outputs_agree() {
    for name in ["tinynet_e", "mobilenetv3_small_100"] {
        let mut graph = imported(name);
        let (picture, _) = Golden::load(name).samples().remove(0);
        let answer =
            |graph: &Graph| evaluate(graph, &[Data::F32(picture.as_slice().into())]).unwrap()[0].to_f32();
        let before = answer(&graph);
        optimize(&mut graph);
        let after = answer(&graph);
        assert!(difference(&before, &after) <= 1e-5 * range(&before), "{name}");
    }
}
