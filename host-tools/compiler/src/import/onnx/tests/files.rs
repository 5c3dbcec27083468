//! Real networks from the folder that the environment variable `MOTE_CACHE` names (`vision/*.onnx`).

use crate::graph::{DType, Graph, Op};
use crate::import::onnx::{OnnxOptions, import, reader, walk};

#[test]
fn vision_networks() {
    let Some(folder) = std::env::var_os("MOTE_CACHE") else {
        eprintln!("skipped: MOTE_CACHE names no folder");
        return;
    };
    let Ok(entries) = std::fs::read_dir(std::path::Path::new(&folder).join("vision")) else {
        eprintln!("skipped: MOTE_CACHE holds no folder `vision`");
        return;
    };
    let mut failures = Vec::new();
    for path in entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        match import(&bytes, &OnnxOptions::default()) {
            Ok(imported) => {
                let graph = imported.graph;
                let mut counts = std::collections::BTreeMap::new();
                graph.nodes.iter().for_each(|n| *counts.entry(n.op.name()).or_insert(0) += 1);
                eprintln!("{}: {} nodes {counts:?}", path.display(), graph.nodes.len());
                let mut layers = graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv { .. } | Op::Dense));
                let wanted = if path.to_string_lossy().contains("_qdq") { DType::I8 } else { DType::F32 };
                assert!(layers.all(|n| graph.tensor(n.outputs[0]).dtype == wanted), "{}", path.display());
            }
            Err(e) => failures.push(format!("{}: {e}", path.display())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The translated graph with its explicit `Quantize` and `Dequantize` nodes.
pub fn without_fusion(bytes: &[u8], options: &OnnxOptions) -> Graph {
    let (file, opset) = reader::read(bytes).unwrap_or_else(|e| panic!("{e}"));
    let file = reader::graph(&file).unwrap_or_else(|e| panic!("{e}"));
    walk::translate(file, opset, bytes.len(), options).unwrap_or_else(|e| panic!("{e}"))
}
