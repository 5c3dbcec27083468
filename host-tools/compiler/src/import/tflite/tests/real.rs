//! Trained networks of MLPerf Tiny.

use super::super::import;
use super::shared_data;
use crate::graph::eval::evaluate_all;
use crate::graph::{Activation, DType, Data, Graph, Node, Op, Rounding};
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
            let rounding = if node.op == Op::Dense { Rounding::SingleExact } else { Rounding::Double };
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

/// Imports whatever files `MOTE_TFLITE_FILES` names (separated by colons) and prints what they hold.
///
/// If `MOTE_TFLITE_ORACLE` names a folder with, per file, a folder of another runtime's tensors (`in0.bin`,
/// `in1.bin`, .. and `t<index>.bin`, raw), the evaluated graph is compared with them tensor by tensor.
#[test]
#[ignore = "for looking at files by hand"]
fn report_on_files() {
    let paths = std::env::var("MOTE_TFLITE_FILES").unwrap_or_default();
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        match std::fs::read(path).map(|bytes| import(&bytes)) {
            Err(error) => println!("{path}: {error}"),
            Ok(Err(error)) => println!("{path}: {error}"),
            Ok(Ok(imported)) => {
                let graph = &imported.graph;
                let shapes = |ids: &[crate::graph::TensorId]| -> Vec<Vec<usize>> {
                    ids.iter().map(|&id| graph.tensor(id).shape.clone()).collect()
                };
                let (inputs, outputs) = (shapes(&graph.inputs), shapes(&graph.outputs));
                println!("{path}: {} nodes, {} MACs", graph.nodes.len(), macs(graph));
                println!("  {inputs:?} -> {outputs:?}");
                if let Ok(root) = std::env::var("MOTE_TFLITE_ORACLE") {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    compare(&imported, &format!("{root}/{name}"));
                }
            }
        }
    }
}

/// Largest difference, relative to the tensor's range (float) or in steps (int8), over all tensors.
fn compare(imported: &Imported, folder: &str) {
    let Imported { graph, source_index } = imported;
    let read = |file: String, dtype: DType| -> Option<Data> {
        let bytes = std::fs::read(format!("{folder}/{file}")).ok()?;
        Some(match dtype {
            DType::F32 => {
                Data::F32(bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
            }
            _ => Data::I8(bytes.iter().map(|&b| b as i8).collect()),
        })
    };
    let given = graph.inputs.iter().enumerate();
    let given: Option<Vec<Data>> =
        given.map(|(k, &id)| read(format!("in{k}.bin"), graph.tensor(id).dtype)).collect();
    let Some(given) = given else { return println!("  nothing to compare with") };
    let all = evaluate_all(graph, &given).unwrap();
    let (mut worst, mut compared) = ((0.0f32, ""), 0);
    for (id, own) in all.iter().enumerate().filter(|&(id, _)| !graph.tensors[id].is_constant()) {
        let tensor = &graph.tensors[id];
        let Some(index) = source_index[id] else { continue };
        let (Some(own), Some(other)) = (own, read(format!("t{index}.bin"), tensor.dtype)) else { continue };
        let (a, b) = (own.to_f32(), other.to_f32());
        if a.len() != b.len() {
            println!("  {}: {} and {} elements", tensor.name, a.len(), b.len());
            continue;
        }
        let range = b.iter().fold(0f32, |m, x| m.max(x.abs())).max(1e-6);
        let scale = if tensor.dtype == DType::F32 { range } else { 1.0 };
        let difference = a.iter().zip(&b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / scale;
        compared += 1;
        if difference > worst.0 {
            worst = (difference, &tensor.name);
        }
    }
    println!("  {compared} tensors compared, largest difference {:e} at {}", worst.0, worst.1);
}
