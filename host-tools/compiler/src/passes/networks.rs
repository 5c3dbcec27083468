//! The passes on real networks: timm exports in `$MOTE_CACHE/vision/*.onnx`. Without that folder the tests say so
//! and pass.

use super::optimize;
use super::testing::{Random, assert_close, count, random_data};
use crate::graph::eval::evaluate;
use crate::graph::{Data, Graph, Op};
use crate::import::onnx::{OnnxOptions, import};
use crate::passes::PatternKind;
use std::collections::BTreeMap;
use std::path::PathBuf;

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

fn load(name: &str) -> Option<Graph> {
    let folder = PathBuf::from(std::env::var_os("MOTE_CACHE")?).join("vision");
    let bytes = std::fs::read(folder.join(format!("{name}.onnx"))).ok()?;
    Some(import(&bytes, &OnnxOptions::default()).unwrap().graph)
}

fn histogram(graph: &Graph) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    graph.nodes.iter().for_each(|node| *counts.entry(node.op.name()).or_default() += 1);
    counts
}

#[test]
fn only_what_must_be_is_left() {
    for (name, left, attentions) in NETWORKS {
        let Some(mut graph) = load(name) else {
            eprintln!("skipped: $MOTE_CACHE/vision/{name}.onnx is not there");
            continue;
        };
        let report = optimize(&mut graph);
        graph.validate().unwrap();
        eprintln!("{name}: {report}  {:?}", histogram(&graph));
        for op in ["batch_norm", "erf", "pow", "div"] {
            assert_eq!(count(&graph, op), 0, "{name}: {op}");
        }
        for &(op, times) in left {
            assert_eq!(count(&graph, op), times, "{name}: {op}");
        }
        let found = report.patterns.iter().filter(|p| p.kind == PatternKind::Attention).count();
        assert_eq!(found, attentions, "{name}: attention");
        let alone =
            |node: &crate::graph::Node| matches!(node.op, Op::Unary(f) if f.name().starts_with("relu"));
        assert!(!graph.nodes.iter().any(alone), "{name}: a clamp stands alone");
        assert_eq!(optimize(&mut graph).changes, [], "{name}: not at rest");
    }
}

#[test]
fn outputs_agree() {
    for name in ["tinynet_e", "mobilenetv3_small_100", "mobilenetv2_100_bn"] {
        let Some(mut graph) = load(name) else {
            eprintln!("skipped: $MOTE_CACHE/vision/{name}.onnx is not there");
            continue;
        };
        let mut random = Random(5);
        let inputs: Vec<Data> =
            graph.inputs.iter().map(|&id| random_data(graph.tensor(id), &mut random)).collect();
        let before = evaluate(&graph, &inputs).unwrap();
        optimize(&mut graph);
        let after = evaluate(&graph, &inputs).unwrap();
        before.iter().zip(&after).for_each(|(before, after)| assert_close(before, after));
    }
}
