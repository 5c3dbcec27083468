//! Small networks, quantized and run.

mod bundled;
mod errors;
mod networks;
mod properties;

use super::*;
use crate::graph::{BinaryFn, Data, Node, Op, PoolKind, ReduceFn, Spatial, Tensor, TensorId, UnaryFn};

/// Builds float networks with random weights.
struct Builder {
    graph: Graph,
    random: Random,
}

/// Normally distributed numbers.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u32 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    fn normals(&mut self, n: usize, deviation: f32) -> Vec<f32> {
        (0..n).map(|_| self.normal() * deviation).collect()
    }
}

impl Builder {
    fn new(seed: u64) -> Self {
        Self { graph: Graph::default(), random: Random(seed) }
    }

    fn input(&mut self, shape: &[usize]) -> TensorId {
        let id = self.graph.add_tensor(Tensor::activation("input", shape.to_vec(), DType::F32));
        self.graph.inputs.push(id);
        id
    }

    fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    fn constant(&mut self, shape: &[usize], values: Vec<f32>) -> TensorId {
        self.graph.add_tensor(Tensor::constant("constant", shape.to_vec(), Data::F32(values.into())))
    }

    fn node(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let name = format!("{}{}", op.name(), self.graph.nodes.len());
        let output = self.graph.add_tensor(Tensor::activation(name.clone(), shape.to_vec(), DType::F32));
        self.graph.nodes.push(Node::new(name, op, inputs.to_vec(), vec![output]));
        output
    }

    fn conv(&mut self, x: TensorId, outputs: usize, size: usize, groups: usize) -> TensorId {
        let shape = self.shape(x);
        let per_group = shape[3] / groups;
        let taps = size * size * per_group;
        let weights = self.random.normals(outputs * taps, (taps as f32).powf(-0.5));
        let weights = self.constant(&[outputs, 1, size, size, per_group], weights);
        let bias = self.random.normals(outputs, 0.3);
        let bias = self.constant(&[outputs], bias);
        let pad = size / 2;
        let spatial = Spatial::over_rows_and_columns([size; 2], [1; 2], [1; 2], [(pad, pad); 2]);
        self.node(Op::Conv { spatial, groups }, &[x, weights, bias], &[1, shape[1], shape[2], outputs])
    }

    fn relu(&mut self) {
        self.graph.nodes.last_mut().unwrap().activation = crate::graph::Activation::Relu;
    }

    fn dense(&mut self, x: TensorId, outputs: usize) -> TensorId {
        let mut shape = self.shape(x);
        let inputs = *shape.last().unwrap();
        let weights = self.random.normals(outputs * inputs, (inputs as f32).powf(-0.5));
        let weights = self.constant(&[outputs, inputs], weights);
        let bias = self.random.normals(outputs, 0.3);
        let bias = self.constant(&[outputs], bias);
        *shape.last_mut().unwrap() = outputs;
        self.node(Op::Dense, &[x, weights, bias], &shape)
    }

    fn unary(&mut self, function: UnaryFn, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.node(Op::Unary(function), &[x], &shape)
    }

    fn binary(&mut self, function: BinaryFn, a: TensorId, b: TensorId) -> TensorId {
        let (a_shape, b_shape) = (self.shape(a), self.shape(b));
        let shape = crate::graph::shape::broadcast(&a_shape, &b_shape).unwrap();
        self.node(Op::Binary(function), &[a, b], &shape)
    }

    fn pool(&mut self, kind: PoolKind, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        let spatial = Spatial::over_rows_and_columns([2; 2], [2; 2], [1; 2], [(0, 0); 2]);
        self.node(Op::Pool { kind, spatial }, &[x], &[1, shape[1] / 2, shape[2] / 2, shape[3]])
    }

    fn mean(&mut self, x: TensorId) -> TensorId {
        let channels = self.shape(x)[3];
        let op = Op::Reduce { function: ReduceFn::Mean, axes: vec![1, 2], keep_dims: true };
        self.node(op, &[x], &[1, 1, 1, channels])
    }

    fn finish(mut self, output: TensorId) -> Graph {
        self.graph.outputs.push(output);
        self.graph.validate().unwrap();
        self.graph
    }
}

fn samples(graph: &Graph, count: usize, seed: u64) -> Vec<Vec<Vec<f32>>> {
    let mut random = Random(seed);
    let mut sample = || graph.inputs.iter().map(|&id| random.normals(graph.tensor(id).len(), 1.0)).collect();
    (0..count).map(|_| sample()).collect()
}

fn outputs(graph: &Graph, sample: &[Vec<f32>]) -> Vec<f32> {
    let mut found = Vec::new();
    let visit = &mut |id, values: &[f32]| {
        if id == graph.outputs[0] {
            found = values.to_vec();
        }
    };
    activations::network(graph).run(sample, visit).unwrap();
    found
}

/// conv - relu - conv - pool - dense.
fn classifier(seed: u64) -> Graph {
    let mut b = Builder::new(seed);
    let x = b.input(&[1, 8, 8, 3]);
    let x = b.conv(x, 8, 3, 1);
    b.relu();
    let x = b.conv(x, 8, 3, 8);
    b.relu();
    let x = b.conv(x, 16, 1, 1);
    let x = b.pool(PoolKind::Max, x);
    let x = b.pool(PoolKind::Average { include_padding: false }, x);
    let x = b.node(Op::Reshape, &[x], &[1, 64]);
    let x = b.dense(x, 10);
    b.finish(x)
}
