//! ONNX files (opset 11 to 21) to graphs.
//!
//! The file is read through its protocol buffers and translated node by node, in topological order. All shapes are
//! known while translating: the importer infers them itself and evaluates everything that follows from constants
//! and shapes, so that the `Shape`, `Gather`, `Concat` chains of exporters leave nothing behind.
//!
//! * **Layout.** Convolutions, pools and resizes work on channels last; the file's tensors are channels first.
//!   Between the two stand `Transpose` nodes (`[N, C, L]` becomes `[N, 1, L, C]`, its window the columns).
//!   Elementwise nodes follow their operands, so that few transposes remain between convolutions. Operators with
//!   axes keep the file's order of axes. With [`OnnxOptions::channels_last_io`] the inputs and outputs of the graph
//!   are channels last too.
//! * **Numbers.** Half, bfloat and double precision are read as `f32`. `uint8` codes are shifted to `int8`, also
//!   where they are an input or an output of the graph.
//! * **Quantized networks (QDQ).** Translation leaves `Quantize` and `Dequantize` nodes; then [`qdq`] finds the
//!   operators that can compute with integers between them. Inputs and outputs keep the file's element type.
//! * **Refusals.** Nodes without a translation are collected and listed together. Dead nodes are ignored.
//!
//! Files may be hostile: shapes are bounded and computed with checks, and constants made while importing may not
//! grow beyond a multiple of the file.

mod border;
mod call;
mod importer;
mod literal;
mod numeric;
mod ops;
mod qdq;
mod reader;
mod shaping;
mod walk;

#[cfg(test)]
mod tests;

use super::{ImportError, Imported};
use std::collections::BTreeMap;

/// What a file leaves open, and choices.
#[derive(Clone, Debug)]
pub struct OnnxOptions {
    /// Sizes of open axes by their symbol in the file. An open first axis without a size is 1.
    pub symbols: BTreeMap<String, usize>,
    /// Whole shapes by name of the input, in the file's order of axes.
    pub inputs: BTreeMap<String, Vec<usize>>,
    /// Inputs that reach a convolution or pool, and outputs that come from one, are channels last at the border:
    /// `[1, 3, H, W]` of the file is `[1, H, W, 3]` of the graph, `[N, C, L]` is `[N, L, C]`, `[N, C, T, H, W]` is
    /// `[N, T, H, W, C]`. Nothing has to be transposed at run time then. Without it, every input and output keeps
    /// the file's shape.
    pub channels_last_io: bool,
    /// Inputs and outputs that are the state of a network which takes one step at a time, by name. Pairs named `s0` and
    /// `ns0`, `s1` and `ns1`, .. are found without being told. Both keep the file's order of axes.
    pub states: Vec<(String, String)>,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self { symbols: BTreeMap::new(), inputs: BTreeMap::new(), channels_last_io: true, states: Vec::new() }
    }
}

/// Translates an ONNX file.
pub fn import(bytes: &[u8], options: &OnnxOptions) -> Result<Imported, ImportError> {
    let (model, opset) = reader::read(bytes)?;
    let graph = walk::translate(reader::graph(&model)?, opset, bytes.len(), options)?;
    let graph = border::without_dead_nodes(qdq::fuse(graph));
    graph.validate()?;
    let source_index = vec![None; graph.tensors.len()];
    Ok(Imported { graph, source_index })
}
