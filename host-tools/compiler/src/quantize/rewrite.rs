//! The int8 graph.

use super::activations::code;
use super::domain::{Domain, Kind};
use super::measure::Energy;
use super::narrow::WeightBits;
use super::ranges::{Ranges, affine, extremes};
use super::weights;
use crate::graph::{DType, Data, Graph, Node, Op, Quant, Rounding, Tensor, TensorId};
use std::collections::HashMap;

/// What became of a layer's weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub weights: Energy,
    /// By what it does to the layer's output.
    pub rounded: bool,
    pub corrected: bool,
}

/// The int8 form of `float`, in which its tensors keep their indices; with it, what became of each node's weights.
pub(super) fn rewrite(
    float: &Graph,
    domain: &Domain,
    ranges: &Ranges<'_>,
    bits: WeightBits,
) -> (Graph, HashMap<usize, Layer>) {
    let graph = Graph { nodes: Vec::new(), ..float.clone() };
    let mut rewriter =
        Rewriter { float, domain, ranges, bits, graph, int8: HashMap::new(), real: HashMap::new() };
    rewriter.enter();
    let mut layers = HashMap::new();
    for (index, node) in float.nodes.iter().enumerate() {
        match domain.nodes[index] {
            Ok(kind) => {
                if let Some(layer) = rewriter.int8_node(index, node, kind) {
                    layers.insert(index, layer);
                }
            }
            Err(_) => rewriter.float_node(node),
        }
    }
    (rewriter.graph, layers)
}

struct Rewriter<'a> {
    float: &'a Graph,
    domain: &'a Domain,
    ranges: &'a Ranges<'a>,
    bits: WeightBits,
    graph: Graph,
    /// Tensors of `float` as int8, and as real numbers.
    int8: HashMap<TensorId, TensorId>,
    real: HashMap<TensorId, TensorId>,
}

impl Rewriter<'_> {
    /// Float inputs that an int8 node reads, or that nobody reads, become int8.
    fn enter(&mut self) {
        for &id in &self.float.inputs {
            let readers = self.float.consumers(id);
            let int8 = readers.is_empty() || readers.iter().any(|&node| self.domain.is_int8(node));
            if self.float.tensor(id).dtype == DType::F32 && int8 {
                self.make_int8(id);
            }
        }
    }

    fn make_int8(&mut self, id: TensorId) {
        let quant = self.ranges.quant(id);
        let tensor = self.graph.tensor_mut(id);
        tensor.dtype = DType::I8;
        tensor.quant = Some(quant);
        self.int8.insert(id, id);
    }

    fn float_node(&mut self, node: &Node) {
        let inputs = node.inputs.iter().map(|&id| self.as_real(id)).collect();
        self.graph.nodes.push(Node { inputs, ..node.clone() });
    }

    fn as_real(&mut self, id: TensorId) -> TensorId {
        if self.int8.get(&id) != Some(&id) {
            return id;
        }
        if let Some(&real) = self.real.get(&id) {
            return real;
        }
        let tensor = self.float.tensor(id);
        let name = format!("{}/dequantized", tensor.name);
        let real = self.graph.add_tensor(Tensor::activation(name.clone(), tensor.shape.clone(), DType::F32));
        self.graph.nodes.push(Node::new(name, Op::Dequantize, vec![id], vec![real]));
        self.real.insert(id, real);
        real
    }

    /// An activation or a constant operand as int8.
    fn as_int8(&mut self, id: TensorId) -> TensorId {
        if let Some(&int8) = self.int8.get(&id) {
            return int8;
        }
        let tensor = self.float.tensor(id);
        if tensor.is_constant() {
            let values = tensor.data.as_ref().map(Data::to_f32).unwrap_or_default();
            let (low, high) = extremes(&values);
            let (scale, zero_point) = affine(low, high);
            let int8 = self.constant(id, &values, scale, zero_point);
            self.int8.insert(id, int8);
            return int8;
        }
        let name = format!("{}/quantized", tensor.name);
        let activation = Tensor::activation(name.clone(), tensor.shape.clone(), DType::I8);
        let int8 = self.graph.add_tensor(activation.with_quant(self.ranges.quant(id)));
        let mut quantize = Node::new(name, Op::Quantize, vec![id], vec![int8]);
        quantize.rounding = Rounding::Single;
        self.graph.nodes.push(quantize);
        self.int8.insert(id, int8);
        int8
    }

    fn constant(&mut self, id: TensorId, values: &[f32], scale: f32, zero_point: i32) -> TensorId {
        let tensor = self.float.tensor(id);
        let codes = values.iter().map(|&x| code(x, scale, zero_point)).collect();
        let int8 = Tensor::constant(format!("{}/int8", tensor.name), tensor.shape.clone(), Data::I8(codes));
        self.graph.add_tensor(int8.with_quant(Quant::per_tensor(scale, zero_point)))
    }

    fn int8_node(&mut self, index: usize, node: &Node, kind: Kind) -> Option<Layer> {
        let output = node.outputs[0];
        let mut layer = None;
        let inputs = match (kind, &node.op) {
            (Kind::Weighted, _) => {
                let (inputs, made) = self.weighted(node);
                layer = Some(made);
                inputs
            }
            (Kind::Joint, _) => {
                (0..node.inputs.len()).map(|operand| self.joined(index, node, operand)).collect()
            }
            (Kind::Table, _) => {
                let (scale, zero_point) = self.ranges.of(output);
                let values = self.float.tensor(node.inputs[0]).data.as_ref().map(Data::to_f32);
                vec![self.constant(node.inputs[0], &values.unwrap_or_default(), scale, zero_point)]
            }
            (_, Op::Attention(_)) => {
                let codes: Vec<_> = node.inputs[..3].iter().map(|&id| self.as_int8(id)).collect();
                codes.into_iter().chain(node.inputs[3..].iter().copied()).collect()
            }
            (_, Op::LayerNorm { .. } | Op::Gather { .. }) => {
                let first = self.as_int8(node.inputs[0]);
                [first].into_iter().chain(node.inputs[1..].iter().copied()).collect()
            }
            _ => node.inputs.iter().map(|&id| self.as_int8(id)).collect(),
        };
        self.make_int8(output);
        let op = match &node.op {
            // From float to float: the codes stay as they are.
            Op::Cast => Op::Reshape,
            op => op.clone(),
        };
        let node = Node { op, inputs, rounding: Rounding::Single, ..node.clone() };
        self.graph.nodes.push(node);
        layer
    }

    /// An input of a node that shares its quantization, in the output's quantization.
    fn joined(&mut self, index: usize, node: &Node, operand: usize) -> TensorId {
        let (id, output) = (node.inputs[operand], node.outputs[0]);
        let tensor = self.float.tensor(id);
        if let Some(data) = &tensor.data {
            let (scale, zero_point) = self.ranges.of(output);
            return self.constant(id, &data.to_f32(), scale, zero_point);
        }
        let source = self.as_int8(id);
        let quant = self.ranges.quant(output);
        if !self.domain.requantized.contains(&(index, operand))
            || self.graph.tensor(source).quant.as_ref() == Some(&quant)
        {
            return source;
        }
        let name = format!("{}/requantized/{operand}", node.name);
        let int8 = Tensor::activation(name.clone(), tensor.shape.clone(), DType::I8).with_quant(quant);
        let int8 = self.graph.add_tensor(int8);
        let mut requantize = Node::new(name, Op::Requantize, vec![source], vec![int8]);
        requantize.rounding = Rounding::Single;
        self.graph.nodes.push(requantize);
        int8
    }

    /// Operands of a convolution or dense layer.
    fn weighted(&mut self, node: &Node) -> (Vec<TensorId>, Layer) {
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let input = self.as_int8(x);
        let (input_scale, _) = self.ranges.of(x);
        let tensor = self.float.tensor(w);
        let channels = tensor.shape.first().copied().unwrap_or(1);
        let reals = tensor.data.as_ref().map(Data::to_f32).unwrap_or_default();
        let given = node.inputs.get(2).map(|&id| self.float.tensor(id));
        let bias = given.and_then(|t| t.data.as_ref()).map(Data::to_f32).unwrap_or_default();
        let quantized = weights::quantize(&reals, &bias, channels, input_scale, self.bits.largest(&node.op));

        let exact: Vec<f64> = bias.iter().map(|&b| b.into()).collect();
        let mut energy = Energy::default();
        energy.add(&reals, &quantized.reals());

        let int8 = Tensor::constant(
            format!("{}/int8", tensor.name),
            tensor.shape.clone(),
            Data::I8(quantized.codes.as_slice().into()),
        );
        let int8 = self.graph.add_tensor(int8.with_quant(quantized.quant()));
        let mut inputs = vec![input, int8];
        if !exact.is_empty() {
            let (codes, quant) = quantized.bias(&exact, input_scale);
            let name = given.map_or_else(|| format!("{}/bias", node.name), |t| format!("{}/int32", t.name));
            let bias = Tensor::constant(name, vec![channels], Data::I32(codes.into()));
            inputs.push(self.graph.add_tensor(bias.with_quant(quant)));
        }
        (inputs, Layer { weights: energy, rounded: false, corrected: false })
    }
}
