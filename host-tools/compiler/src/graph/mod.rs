//! The compiler's picture of a network, between import and lowering.
//!
//! Conventions, which every producer keeps and every consumer may rely on:
//! * Activations are channels last: `[N, H, W, C]`, `[N, T, H, W, C]`, `[N, L, C]`, `[N, C]`; the batch axis is
//!   kept in the shape and is 1.
//! * Convolution weights are `[C_out, k_t, k_h, k_w, C_in / groups]` ("OTHWI"), also for depthwise ones
//!   (`groups == C_in`); dense weights are `[N, K]`. A bias has one element per output channel.
//! * Nodes stand in topological order; each tensor has at most one producer.
//! * Quantized tensors hold integers and a [`Quant`]; `real = scale * (q - zero_point)`.
//!   `uint8` networks are shifted to `int8` on import (data and zero points minus 128), which changes no result.

mod data;
pub mod eval;
pub use eval::unary_value;
mod op;
pub mod shape;
mod validate;

pub use data::{DType, Data};
pub use op::{
    Activation, Attention, BinaryFn, HeadLayout, NearestRounding, Op, PoolKind, ReduceFn, ResizeCoordinates,
    ResizeMode, Rounding, Spatial, UnaryFn,
};
pub use validate::GraphError;

/// Index of a tensor in [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// A whole network.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub name: String,
    pub tensors: Vec<Tensor>,
    /// In topological order.
    pub nodes: Vec<Node>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
    /// Class names, first class first; empty if unknown.
    pub labels: Vec<String>,
    /// Inputs and outputs that are one and the same memory, step after step.
    pub states: Vec<State>,
}

/// What a network that takes one step at a time keeps: an output that is an input of the next step.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Index in [`Graph::inputs`].
    pub input: usize,
    /// Index in [`Graph::outputs`]; a tensor like the input.
    pub output: usize,
    /// The input of the first step.
    pub initial: Data,
}

/// One tensor: an activation, or a constant if it has [`Tensor::data`].
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Name in the original file, or one derived from it.
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: DType,
    pub quant: Option<Quant>,
    /// Present for constants.
    pub data: Option<Data>,
}

/// Affine quantization, per tensor or along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Quant {
    /// One, or one per index of `axis`.
    pub scales: Vec<f32>,
    /// As many as scales.
    pub zero_points: Vec<i32>,
    /// `None`: per tensor.
    pub axis: Option<usize>,
}

impl Quant {
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: None }
    }

    /// Scale and zero point, if the quantization is per tensor.
    pub fn uniform(&self) -> Option<(f32, i32)> {
        match (self.axis, &self.scales[..], &self.zero_points[..]) {
            (None, &[scale], &[zero_point]) => Some((scale, zero_point)),
            _ => None,
        }
    }
}

/// One operator with its operands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the original file, or one derived from it; shown by `inspect` and in refusals.
    pub name: String,
    pub op: Op,
    /// In the order that [`Op`] documents; an absent optional operand (a bias) is simply missing at the end.
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
    /// Clamp fused behind the operator (convolution, dense, binary, pools).
    pub activation: Activation,
    /// How an integer kernel rounds when it requantizes.
    pub rounding: Rounding,
}

impl Node {
    pub fn new(name: impl Into<String>, op: Op, inputs: Vec<TensorId>, outputs: Vec<TensorId>) -> Self {
        Self {
            name: name.into(),
            op,
            inputs,
            outputs,
            activation: Activation::None,
            rounding: Rounding::Double,
        }
    }
}

impl Tensor {
    pub fn activation(name: impl Into<String>, shape: Vec<usize>, dtype: DType) -> Self {
        Self { name: name.into(), shape, dtype, quant: None, data: None }
    }

    /// A constant; the element type follows from the data.
    pub fn constant(name: impl Into<String>, shape: Vec<usize>, data: Data) -> Self {
        let dtype = data.dtype();
        Self { name: name.into(), shape, dtype, quant: None, data: Some(data) }
    }

    pub fn with_quant(mut self, quant: Quant) -> Self {
        self.quant = Some(quant);
        self
    }

    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_constant(&self) -> bool {
        self.data.is_some()
    }
}

impl Graph {
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    pub fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        &mut self.tensors[id.0]
    }

    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// Index of the node that computes `id`; `None` for inputs and constants.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.outputs.contains(&id))
    }

    /// Indices of the nodes that read `id`, each once.
    pub fn consumers(&self, id: TensorId) -> Vec<usize> {
        let reads = |node: &Node| node.inputs.contains(&id);
        (0..self.nodes.len()).filter(|&i| reads(&self.nodes[i])).collect()
    }

    /// Makes every reader of `old`, the graph's outputs included, read `new`.
    pub fn replace_uses(&mut self, old: TensorId, new: TensorId) {
        let slots = self.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut());
        for slot in slots.chain(self.outputs.iter_mut()) {
            if *slot == old {
                *slot = new;
            }
        }
    }
}
