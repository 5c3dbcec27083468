//! Trained networks of MLPerf Tiny.

use super::super::import;
use super::shared_data;
use crate::graph::{Activation, DType, Graph, Node, Op, Rounding};
use crate::import::Imported;

fn load(name: &str) -> Option<Imported> {
    let bytes = shared_data(&format!("mlperf-tiny/{name}.tflite"))?;
    Some(import(&bytes).unwrap_or_else(|e| panic!("{name}: {e}")))
}

fn macs(graph: &Graph) -> usize {
    let of = |node: &Node| match node.op {
        Op::Conv { .. } | Op::Dense => {
            let weights = graph.tensor(node.inputs[1]);
            graph.tensor(node.outputs[0]).len() * (weights.len() / weights.shape[0])
        }
        _ => 0,
    };
    graph.nodes.iter().map(of).sum()
}

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

/// Name, nodes, MACs, input, output.
type Expected = (&'static str, usize, usize, &'static [usize], &'static [usize]);

const NETWORKS: [Expected; 5] = [
    ("ad", 10, 264_192, &[1, 640], &[1, 640]),
    ("kws", 13, 2_656_768, &[1, 49, 10, 1], &[1, 12]),
    ("sww", 11, 826_368, &[1, 30, 1, 40], &[1, 3]),
    ("vww", 31, 7_489_664, &[1, 96, 96, 3], &[1, 2]),
    ("ic_resnet8", 16, 12_501_632, &[1, 32, 32, 3], &[1, 10]),
];

#[test]
fn int8_networks_have_their_nodes_shapes_and_work() {
    for (name, nodes, work, input, output) in NETWORKS {
        let Some(Imported { graph, source_index }) = load(&format!("{name}_int8")) else { continue };
        assert_eq!(graph.nodes.len(), nodes, "{name}: {:?}", ops(&graph));
        assert_eq!(macs(&graph), work, "{name}");
        assert_eq!(graph.tensor(graph.inputs[0]).shape, input, "{name}");
        assert_eq!(graph.tensor(graph.outputs[0]).shape, output, "{name}");
        assert_eq!(source_index.len(), graph.tensors.len());
        for node in &graph.nodes {
            let out = graph.tensor(node.outputs[0]);
            assert_eq!(out.dtype, DType::I8, "{name}: {}", node.name);
            assert!(out.quant.as_ref().and_then(|q| q.uniform()).is_some(), "{name}: {}", node.name);
            assert!(source_index[node.outputs[0].0].is_some(), "{name}: {}", node.name);
            let rounding = if node.op == Op::Dense { Rounding::Single } else { Rounding::Double };
            assert_eq!(node.rounding, rounding, "{name}: {}", node.name);
            if let Op::Conv { .. } = node.op {
                let weights = graph.tensor(node.inputs[1]);
                let quant = weights.quant.as_ref().unwrap();
                assert_eq!((weights.dtype, quant.axis), (DType::I8, Some(0)), "{name}: {}", node.name);
                assert_eq!(quant.scales.len(), weights.shape[0], "{name}: {}", node.name);
                assert_eq!(graph.tensor(node.inputs[2]).dtype, DType::I32, "{name}: {}", node.name);
            }
        }
    }
}

#[test]
fn float_networks_match_their_int8_twins() {
    for (name, _, work, input, output) in NETWORKS {
        if name == "sww" {
            continue; // no float file
        }
        let Some(Imported { graph, .. }) = load(&format!("{name}_f32")) else { continue };
        assert_eq!(macs(&graph), work, "{name}");
        assert_eq!(graph.tensor(graph.inputs[0]).shape, input, "{name}");
        assert_eq!(graph.tensor(graph.outputs[0]).shape, output, "{name}");
        assert!(graph.nodes.iter().all(|n| graph.tensor(n.outputs[0]).dtype == DType::F32), "{name}");
    }
}

#[test]
fn keyword_spotting_begins_with_an_asymmetric_window() {
    let Some(Imported { graph, .. }) = load("kws_int8") else { return };
    let Op::Conv { spatial, groups } = &graph.nodes[0].op else { panic!("{:?}", graph.nodes[0].op) };
    assert_eq!((spatial.size, spatial.stride, *groups), ([1, 10, 4], [1, 2, 2], 1));
    assert_eq!(spatial.pad, [(0, 0), (4, 5), (1, 1)]);
    assert_eq!(graph.nodes[0].activation, Activation::Relu);
    assert_eq!(graph.tensor(graph.nodes[0].inputs[1]).shape, [64, 1, 10, 4, 1]);
    let Op::Conv { groups, .. } = &graph.nodes[1].op else { panic!("{:?}", graph.nodes[1].op) };
    assert_eq!(*groups, 64);
    assert_eq!(graph.tensor(graph.nodes[1].inputs[1]).shape, [64, 1, 3, 3, 1]);
}
