//! A graph under construction: layers by timm's module names, activations channels last.

use super::weights::{Source, Weights, WeightsError};
use super::{Parameter, Role};
use crate::Model;
use mote_compiler::graph::{
    BinaryFn, DType, Data, Graph, Node, Op, PoolKind, ReduceFn, Spatial, Tensor, TensorId, UnaryFn,
};

/// Epsilon of PyTorch's norms.
const EPSILON: f32 = 1e-5;

pub(crate) struct Builder<'w> {
    graph: Graph,
    source: Source<'w>,
    parameters: Vec<Parameter>,
}

/// A convolution; its input says the rest.
#[derive(Clone, Copy)]
pub(crate) struct Conv {
    pub channels: usize,
    pub kernel: usize,
    pub stride: usize,
    pub depthwise: bool,
    pub bias: bool,
}

impl Conv {
    /// 1 x 1, without bias.
    pub fn pointwise(channels: usize) -> Self {
        Self { channels, kernel: 1, stride: 1, depthwise: false, bias: false }
    }

    pub fn window(channels: usize, kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, ..Self::pointwise(channels) }
    }

    pub fn depthwise(channels: usize, kernel: usize, stride: usize) -> Self {
        Self { depthwise: true, ..Self::window(channels, kernel, stride) }
    }

    pub fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

impl<'w> Builder<'w> {
    pub fn new(name: String, weights: Weights<'w>) -> Self {
        let graph = Graph { name, ..Graph::default() };
        Self { graph, source: Source::new(weights), parameters: Vec::new() }
    }

    pub fn input(&mut self, name: &str, shape: Vec<usize>) -> TensorId {
        let id = self.graph.add_tensor(Tensor::activation(name, shape, DType::F32));
        self.graph.inputs.push(id);
        id
    }

    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }

    /// Length of the last axis.
    pub fn channels(&self, id: TensorId) -> usize {
        self.shape(id).last().copied().unwrap_or(1)
    }

    /// The network, or everything that is wrong with its weights.
    pub fn finish(mut self, logits: TensorId) -> Result<Model, WeightsError> {
        self.source.finish()?;
        self.graph.tensor_mut(logits).name = "logits".into();
        self.graph.outputs.push(logits);
        Ok(Model { graph: self.graph, parameters: self.parameters })
    }

    /// Values of a parameter in PyTorch's order; `None` where only shapes are asked for.
    pub fn parameter(&mut self, name: String, shape: Vec<usize>, role: Role) -> Option<Vec<f32>> {
        let parameter = Parameter { name, shape, role };
        let values = self.source.values(&parameter);
        self.parameters.push(parameter);
        values
    }

    /// A constant; without data where `values` is `None`.
    pub fn constant(&mut self, name: &str, shape: Vec<usize>, values: Option<Vec<f32>>) -> TensorId {
        let mut tensor = Tensor::activation(name, shape, DType::F32);
        tensor.data = values.map(|values| Data::F32(values.into()));
        self.graph.add_tensor(tensor)
    }

    /// A parameter as it is.
    fn plain(&mut self, name: String, shape: Vec<usize>, role: Role) -> TensorId {
        let values = self.parameter(name.clone(), shape.clone(), role);
        self.constant(&name, shape, values)
    }

    pub fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>) -> TensorId {
        let output = self.graph.add_tensor(Tensor::activation(name, shape, DType::F32));
        self.graph.nodes.push(Node::new(name, op, inputs, vec![output]));
        output
    }

    /// A convolution that pads half its kernel, over `[1, H, W, C]`.
    pub fn conv(&mut self, name: &str, x: TensorId, conv: Conv) -> TensorId {
        let Conv { channels, kernel, stride, depthwise, bias } = conv;
        let [_, rows, columns, inputs] = *self.shape(x) else { unreachable!("convolutions read pictures") };
        let (groups, per_group) = if depthwise { (inputs, 1) } else { (1, inputs) };
        let role = Role::Kernel { fan_in: per_group * kernel * kernel };
        let weight = format!("{name}.weight");
        let values = self.parameter(weight.clone(), vec![channels, per_group, kernel, kernel], role);
        // PyTorch stores a kernel for each input channel, the graph all input channels for each place.
        let taps = kernel * kernel;
        let moved = values.map(|values| {
            let place = |i: usize| (i / (taps * per_group), i / per_group % taps, i % per_group);
            let source = |(o, tap, c): (usize, usize, usize)| values[(o * per_group + c) * taps + tap];
            (0..values.len()).map(|i| source(place(i))).collect()
        });
        let mut operands = vec![x];
        operands.push(self.constant(&weight, vec![channels, 1, kernel, kernel, per_group], moved));
        if bias {
            operands.push(self.plain(format!("{name}.bias"), vec![channels], Role::Bias));
        }
        let spatial = window(kernel, stride);
        let length = |axis, input| spatial.output_len(axis, input).unwrap_or(0);
        let shape = vec![1, length(1, rows), length(2, columns), channels];
        self.node(name, Op::Conv { spatial, groups }, operands, shape)
    }

    /// A batch normalisation over the last axis, behind whatever it follows.
    pub fn batch_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let channels = self.channels(x);
        let mut operands = vec![x];
        for (part, role) in [
            ("weight", Role::NormScale),
            ("bias", Role::NormShift),
            ("running_mean", Role::RunningMean),
            ("running_var", Role::RunningVariance),
        ] {
            operands.push(self.plain(format!("{name}.{part}"), vec![channels], role));
        }
        self.beside(format!("{name}.num_batches_tracked"), vec![]);
        let shape = self.shape(x).to_vec();
        self.node(name, Op::BatchNorm { epsilon: EPSILON }, operands, shape)
    }

    /// Takes note of what timm stores, and an answer does not need.
    pub fn beside(&mut self, name: String, shape: Vec<usize>) {
        let parameter = Parameter { name, shape, role: Role::Beside };
        self.source.pass_over(&parameter);
        self.parameters.push(parameter);
    }

    pub fn layer_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let channels = self.channels(x);
        let scale = self.plain(format!("{name}.weight"), vec![channels], Role::NormScale);
        let shift = self.plain(format!("{name}.bias"), vec![channels], Role::NormShift);
        let shape = self.shape(x).to_vec();
        self.node(name, Op::LayerNorm { axes: 1, epsilon: EPSILON }, vec![x, scale, shift], shape)
    }

    pub fn dense(&mut self, name: &str, x: TensorId, outputs: usize) -> TensorId {
        let inputs = self.channels(x);
        let weights = self.plain(format!("{name}.weight"), vec![outputs, inputs], Role::Matrix);
        let bias = self.plain(format!("{name}.bias"), vec![outputs], Role::Bias);
        let shape = self.with_channels(x, outputs);
        self.node(name, Op::Dense, vec![x, weights, bias], shape)
    }

    pub fn unary(&mut self, name: &str, function: UnaryFn, x: TensorId) -> TensorId {
        let shape = self.shape(x).to_vec();
        self.node(name, Op::Unary(function), vec![x], shape)
    }

    /// `b` broadcasts to `a`.
    pub fn binary(&mut self, name: &str, function: BinaryFn, a: TensorId, b: TensorId) -> TensorId {
        let shape = self.shape(a).to_vec();
        self.node(name, Op::Binary(function), vec![a, b], shape)
    }

    pub fn times(&mut self, name: &str, x: TensorId, factor: f32) -> TensorId {
        let factor = self.constant(&format!("{name}.factor"), vec![1], Some(vec![factor]));
        self.binary(name, BinaryFn::Mul, x, factor)
    }

    /// `x` times a learned factor per channel.
    pub fn layer_scale(&mut self, name: &str, x: TensorId) -> TensorId {
        let gamma = self.plain(format!("{name}.gamma"), vec![self.channels(x)], Role::LayerScale);
        self.binary(name, BinaryFn::Mul, x, gamma)
    }

    /// Mean over rows and columns.
    pub fn spatial_mean(&mut self, name: &str, x: TensorId, keep_dims: bool) -> TensorId {
        let channels = self.channels(x);
        let op = Op::Reduce { function: ReduceFn::Mean, axes: vec![1, 2], keep_dims };
        let shape = if keep_dims { vec![1, 1, 1, channels] } else { vec![1, channels] };
        self.node(name, op, vec![x], shape)
    }

    /// Average over a window; padding does not count.
    pub fn average_pool(&mut self, name: &str, x: TensorId, spatial: Spatial) -> TensorId {
        let [_, rows, columns, channels] = *self.shape(x) else { unreachable!("pools read pictures") };
        let length = |axis, input| spatial.output_len(axis, input).unwrap_or(0);
        let shape = vec![1, length(1, rows), length(2, columns), channels];
        let kind = PoolKind::Average { include_padding: false };
        self.node(name, Op::Pool { kind, spatial }, vec![x], shape)
    }

    pub fn reshape(&mut self, name: &str, x: TensorId, shape: &[usize]) -> TensorId {
        self.node(name, Op::Reshape, vec![x], shape.to_vec())
    }

    pub fn transpose(&mut self, name: &str, x: TensorId, perm: &[usize]) -> TensorId {
        let shape = perm.iter().map(|&axis| self.shape(x)[axis]).collect();
        self.node(name, Op::Transpose { perm: perm.to_vec() }, vec![x], shape)
    }

    fn with_channels(&self, x: TensorId, channels: usize) -> Vec<usize> {
        let mut shape = self.shape(x).to_vec();
        if let Some(last) = shape.last_mut() {
            *last = channels;
        }
        shape
    }
}

/// A square window that pads half of itself.
pub(crate) fn window(kernel: usize, stride: usize) -> Spatial {
    let pad = (kernel / 2, kernel / 2);
    Spatial::over_rows_and_columns([kernel; 2], [stride; 2], [1; 2], [pad; 2])
}
