//! From a graph of reals with `Quantize` and `Dequantize` nodes to a graph of integers.
//!
//! [`fuse`] takes any graph that keeps the conventions of [`crate::graph`]; it knows nothing of ONNX. Nodes are
//! visited once, in order. For each tensor of reals it is known whether it is the [`Dequantize`](Op::Dequantize) of
//! codes that exist already, and ([`demand`]) whether all its readers want codes of one quantization. Then
//!
//! * what moves elements (transpose, reshape, slice, gather, max pool, nearest resize, concat ..) moves codes;
//! * a layer, sum, product, pool, mean, softmax or layer norm with codes on both sides computes with integers,
//!   a clamp behind it fused;
//! * whatever is a function of a single int8 tensor, over several elementwise nodes and the roundings between
//!   them, becomes one table ([`pointwise`]): GELU and swish, as quantizers leave them, are one step;
//! * all else stays in reals, between explicit `Quantize` and `Dequantize` nodes.

mod demand;
mod integer;
mod normalisation;
mod pointwise;

use crate::graph::{DType, Data, Graph, Node, Op, Quant, Rounding, Tensor, TensorId};
use std::collections::HashMap;

/// Replaces `Dequantize -> operator -> Quantize` by operators on integers, wherever one exists.
pub(crate) fn fuse(mut graph: Graph) -> Graph {
    let nodes = std::mem::take(&mut graph.nodes);
    if !nodes.iter().any(|n| matches!(n.op, Op::Quantize | Op::Dequantize)) {
        graph.nodes = nodes;
        return graph;
    }
    let (wanted, clamps) = (demand::of(&graph, &nodes), demand::clamps(&graph, &nodes));
    let mut fuser = Fuser {
        graph,
        wanted,
        codes: HashMap::new(),
        reals: HashMap::new(),
        alias: HashMap::new(),
        functions: HashMap::new(),
        tables: HashMap::new(),
        clamps,
    };
    for input in fuser.graph.inputs.clone() {
        fuser.quantize_if_wanted(input);
    }
    for node in nodes {
        fuser.visit(node);
    }
    for i in 0..fuser.graph.outputs.len() {
        let output = fuser.graph.outputs[i];
        let name = fuser.graph.tensor(output).name.clone();
        let bound = fuser.real_or_codes(output);
        if bound != output {
            fuser.graph.tensor_mut(bound).name = name;
        }
        fuser.graph.outputs[i] = bound;
    }
    fuser.graph
}

struct Fuser {
    graph: Graph,
    /// What the readers of a tensor of reals want.
    wanted: HashMap<TensorId, (Quant, DType)>,
    /// Reals -> codes of which they are the dequantization (or, where codes are wanted, may be taken to be).
    codes: HashMap<TensorId, TensorId>,
    /// Reals -> the tensor that stands for them in the new graph, once some node needs them as reals.
    reals: HashMap<TensorId, TensorId>,
    /// Output of a former `Quantize` -> codes computed directly.
    alias: HashMap<TensorId, TensorId>,
    /// Reals as functions of the codes of one tensor.
    functions: HashMap<TensorId, pointwise::Function>,
    /// Codes as functions of the codes of one tensor.
    tables: HashMap<TensorId, pointwise::Table>,
    /// Reals whose only reader is a clamp -> that clamp's activation and output.
    clamps: HashMap<TensorId, demand::Clamp>,
}

impl Fuser {
    fn visit(&mut self, node: Node) {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        match node.op {
            Op::Dequantize => {
                let codes = self.current(x);
                self.codes.insert(y, codes);
                self.dequantized(codes, y);
            }
            Op::Quantize => self.quantize(node),
            // The clamp was fused into the node before it.
            Op::Unary(_) if self.codes.contains_key(&y) => {}
            _ => {
                if !(self.moves_codes(&node) || self.computes_with_integers(&node)) {
                    self.stays_real(node);
                }
            }
        }
    }

    /// `Quantize`: mostly the codes exist already.
    fn quantize(&mut self, node: Node) {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        let wanted = (self.graph.tensor(y).quant.clone(), self.graph.tensor(y).dtype);
        if let Some(&codes) = self.codes.get(&x) {
            let tensor = self.graph.tensor(codes);
            if (&tensor.quant, tensor.dtype) == (&wanted.0, wanted.1) {
                self.alias.insert(y, codes);
            } else if !self.emit_table(x, y) {
                self.push(node.name, Op::Requantize, vec![codes], y);
            }
        } else if !self.emit_table(x, y) {
            let x = self.real(x);
            self.push(node.name, Op::Quantize, vec![x], y);
        }
    }

    /// A node that keeps its operands real.
    fn stays_real(&mut self, mut node: Node) {
        let outputs = node.outputs.clone();
        self.learn_function(&node);
        for i in 0..node.inputs.len() {
            node.inputs[i] = self.real_or_codes(node.inputs[i]);
        }
        self.graph.nodes.push(node);
        outputs.into_iter().for_each(|y| self.quantize_if_wanted(y));
    }

    /// Where all readers want the same codes, these are made at once, so that movement happens on codes.
    fn quantize_if_wanted(&mut self, x: TensorId) {
        if let Some((quant, dtype)) = self.wanted.get(&x).cloned() {
            let y = self.new_codes(x, quant, dtype);
            if !self.emit_table(x, y) {
                let name = format!("{}_quantize", self.graph.tensor(x).name);
                self.push(name, Op::Quantize, vec![x], y);
            }
            self.codes.insert(x, y);
        }
    }

    // ---- tensors

    /// The tensor that now holds what `id` held.
    fn current(&self, id: TensorId) -> TensorId {
        self.alias.get(&id).copied().unwrap_or(id)
    }

    /// A tensor of codes for the reals `of`.
    fn new_codes(&mut self, of: TensorId, quant: Quant, dtype: DType) -> TensorId {
        let tensor = self.graph.tensor(of);
        let codes = Tensor::activation(tensor.name.clone(), tensor.shape.clone(), dtype).with_quant(quant);
        self.graph.add_tensor(codes)
    }

    /// An operand of a node that stays real: reals as reals, integers as they are.
    fn real_or_codes(&mut self, id: TensorId) -> TensorId {
        if self.codes.contains_key(&id) { self.real(id) } else { self.current(id) }
    }

    /// The reals `id`, dequantized if they exist only as codes; constants become constants of reals.
    fn real(&mut self, id: TensorId) -> TensorId {
        let Some(&codes) = self.codes.get(&id) else { return id };
        if let Some(&real) = self.reals.get(&id) {
            return real;
        }
        let source = self.graph.tensor(codes).clone();
        let name = self.graph.tensor(id).name.clone();
        let real = match (&source.data, &source.quant) {
            (Some(data), Some(quant)) => {
                let reals = dequantized(data, quant, &source.shape);
                self.graph.add_tensor(Tensor::constant(name, source.shape.clone(), Data::F32(reals.into())))
            }
            _ => {
                let real = Tensor::activation(name.clone(), source.shape.clone(), DType::F32);
                let real = self.graph.add_tensor(real);
                self.push(format!("{name}_dequantize"), Op::Dequantize, vec![codes], real);
                real
            }
        };
        self.reals.insert(id, real);
        real
    }

    fn push(&mut self, name: String, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        let mut node = Node::new(name, op, inputs, vec![output]);
        node.rounding = Rounding::Single;
        self.graph.nodes.push(node);
    }

    fn quant(&self, id: TensorId) -> Option<(f32, i32)> {
        self.graph.tensor(id).quant.as_ref()?.uniform()
    }

    /// Int8 codes of the reals `id` with one scale; constants included.
    fn int8(&self, id: TensorId) -> Option<TensorId> {
        let codes = *self.codes.get(&id)?;
        let tensor = self.graph.tensor(codes);
        (tensor.dtype == DType::I8 && self.quant(codes).is_some()).then_some(codes)
    }
}

/// Reals behind codes.
fn dequantized(data: &Data, quant: &Quant, shape: &[usize]) -> Vec<f32> {
    let inner: usize = quant.axis.map_or(1, |axis| shape.iter().skip(axis + 1).product());
    let channels = quant.scales.len().max(1);
    let codes = data.to_i64().unwrap_or_default().into_iter().enumerate();
    let real = |(i, code): (usize, i64)| {
        let c = i / inner.max(1) % channels;
        (code - i64::from(quant.zero_points[c])) as f32 * quant.scales[c]
    };
    codes.map(real).collect()
}
