//! Support for the tests of passes: graphs built by hand, and the comparison before and after a pass.

use super::Changes;
use crate::graph::eval::evaluate;
use crate::graph::{
    BinaryFn, DType, Data, Graph, Node, Op, PoolKind, Quant, ReduceFn, Spatial, Tensor, TensorId, UnaryFn,
    shape,
};

/// Applies `pass` and checks that the graph is sound and computes the same, within 1e-5 of the range (floats)
/// or exactly (codes).
pub fn check(mut graph: Graph, pass: impl FnOnce(&mut Graph) -> Changes) -> Graph {
    check_with(&mut graph, |graph| {
        pass(graph);
    });
    graph
}

pub fn check_with(graph: &mut Graph, pass: impl FnOnce(&mut Graph)) {
    graph.validate().unwrap();
    let mut random = Random(graph.tensors.len() as u64 + 7);
    let inputs: Vec<Data> =
        graph.inputs.iter().map(|&id| random_data(graph.tensor(id), &mut random)).collect();
    let before = evaluate(graph, &inputs).unwrap();
    let (names, shapes) = outputs(graph);
    pass(graph);
    graph.validate().unwrap();
    assert_eq!(outputs(graph), (names, shapes));
    let after = evaluate(graph, &inputs).unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert_close(before, after);
    }
}

fn outputs(graph: &Graph) -> (Vec<String>, Vec<Vec<usize>>) {
    graph.outputs.iter().map(|&id| (graph.tensor(id).name.clone(), graph.tensor(id).shape.clone())).unzip()
}

pub fn assert_close(before: &Data, after: &Data) {
    if before.as_f32().is_none() {
        return assert_eq!(before, after);
    }
    let (before, after) = (before.to_f32(), after.to_f32());
    assert_eq!(before.len(), after.len());
    let range = before.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in before.iter().zip(&after).enumerate() {
        assert!((a - b).abs() <= 1e-5 * range, "element {i}: {a} became {b}, range {range}");
    }
}

pub fn random_data(tensor: &Tensor, random: &mut Random) -> Data {
    match tensor.dtype {
        DType::F32 => Data::F32((0..tensor.len()).map(|_| 3.0 * random.signed()).collect()),
        DType::I8 => Data::I8((0..tensor.len()).map(|_| random.next() as i8).collect()),
        other => panic!("no random data of {other:?}"),
    }
}

/// A small xorshift generator.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    /// In -1..1.
    pub fn signed(&mut self) -> f32 {
        (self.next() % 20001) as f32 / 10000.0 - 1.0
    }
}

/// Builds graphs node by node; shapes follow from the operands.
pub struct Build {
    pub graph: Graph,
}

impl Build {
    pub fn new() -> Self {
        Self { graph: Graph::default() }
    }

    pub fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph
    }

    pub fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    pub fn activation(&mut self, shape: &[usize]) -> TensorId {
        let name = format!("t{}", self.graph.tensors.len());
        self.graph.add_tensor(Tensor::activation(name, shape.to_vec(), DType::F32))
    }

    pub fn input(&mut self, shape: &[usize]) -> TensorId {
        let id = self.activation(shape);
        self.graph.inputs.push(id);
        id
    }

    pub fn quantized(&mut self, shape: &[usize], scale: f32, zero_point: i32) -> TensorId {
        let name = format!("q{}", self.graph.tensors.len());
        let tensor = Tensor::activation(name, shape.to_vec(), DType::I8);
        self.graph.add_tensor(tensor.with_quant(Quant::per_tensor(scale, zero_point)))
    }

    pub fn quantized_input(&mut self, shape: &[usize], scale: f32, zero_point: i32) -> TensorId {
        let id = self.quantized(shape, scale, zero_point);
        self.graph.inputs.push(id);
        id
    }

    /// Random numbers between 0.2 and 1.2: fit for divisors and variances too.
    pub fn constant(&mut self, shape: &[usize], seed: u64) -> TensorId {
        let mut random = Random(seed * 977 + 13);
        let values = (0..shape.iter().product()).map(|_| 0.7 + 0.5 * random.signed()).collect();
        self.constant_of(shape, values)
    }

    /// Random numbers around zero.
    pub fn weights(&mut self, shape: &[usize], seed: u64) -> TensorId {
        let mut random = Random(seed * 977 + 13);
        let values = (0..shape.iter().product()).map(|_| random.signed()).collect();
        self.constant_of(shape, values)
    }

    pub fn filled(&mut self, shape: &[usize], value: f32) -> TensorId {
        self.constant_of(shape, vec![value; shape.iter().product()])
    }

    pub fn scalar(&mut self, value: f32) -> TensorId {
        self.filled(&[], value)
    }

    pub fn constant_of(&mut self, shape: &[usize], values: Vec<f32>) -> TensorId {
        let name = format!("c{}", self.graph.tensors.len());
        self.graph.add_tensor(Tensor::constant(name, shape.to_vec(), Data::F32(values.into())))
    }

    pub fn push(&mut self, op: Op, inputs: &[TensorId], output: TensorId) -> TensorId {
        let name = format!("{}{}", op.name(), self.graph.nodes.len());
        self.graph.nodes.push(Node::new(name, op, inputs.to_vec(), vec![output]));
        output
    }

    fn same(&mut self, op: Op, inputs: &[TensorId]) -> TensorId {
        let shape = self.shape(inputs[0]);
        let output = self.activation(&shape);
        self.push(op, inputs, output)
    }

    pub fn unary(&mut self, function: UnaryFn, x: TensorId) -> TensorId {
        self.same(Op::Unary(function), &[x])
    }

    pub fn binary(&mut self, function: BinaryFn, a: TensorId, b: TensorId) -> TensorId {
        let shape = shape::broadcast(&self.shape(a), &self.shape(b)).unwrap();
        let output = self.activation(&shape);
        self.push(Op::Binary(function), &[a, b], output)
    }

    pub fn with_scalar(&mut self, function: BinaryFn, x: TensorId, value: f32) -> TensorId {
        let c = self.scalar(value);
        self.binary(function, x, c)
    }

    pub fn transpose(&mut self, x: TensorId, perm: &[usize]) -> TensorId {
        let output = self.activation(&shape::permuted(&self.shape(x), perm));
        self.push(Op::Transpose { perm: perm.to_vec() }, &[x], output)
    }

    pub fn reshape(&mut self, x: TensorId, shape: &[usize]) -> TensorId {
        let output = self.activation(shape);
        self.push(Op::Reshape, &[x], output)
    }

    pub fn slice(&mut self, x: TensorId, starts: &[usize], steps: &[usize], shape: &[usize]) -> TensorId {
        let output = self.activation(shape);
        self.push(Op::Slice { starts: starts.to_vec(), steps: steps.to_vec() }, &[x], output)
    }

    pub fn pad(&mut self, x: TensorId, pads: &[(usize, usize)], value: f32) -> TensorId {
        let shape: Vec<usize> = self.shape(x).iter().zip(pads).map(|(n, (a, b))| n + a + b).collect();
        let output = self.activation(&shape);
        self.push(Op::Pad { pads: pads.to_vec(), value }, &[x], output)
    }

    pub fn concat(&mut self, parts: &[TensorId], axis: usize) -> TensorId {
        let mut shape = self.shape(parts[0]);
        shape[axis] = parts.iter().map(|&part| self.shape(part)[axis]).sum();
        let output = self.activation(&shape);
        self.push(Op::Concat { axis }, parts, output)
    }

    pub fn reduce(&mut self, function: ReduceFn, x: TensorId, axes: &[usize], keep_dims: bool) -> TensorId {
        let own = self.shape(x);
        let kept = |i: usize| if axes.contains(&i) { keep_dims.then_some(1) } else { Some(own[i]) };
        let shape: Vec<usize> = (0..own.len()).filter_map(kept).collect();
        let output = self.activation(&shape);
        self.push(Op::Reduce { function, axes: axes.to_vec(), keep_dims }, &[x], output)
    }

    pub fn softmax(&mut self, x: TensorId, axis: usize) -> TensorId {
        self.same(Op::Softmax { axis, beta: 1.0 }, &[x])
    }

    pub fn matmul(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let (mut shape, b_shape) = (self.shape(a), self.shape(b));
        *shape.last_mut().unwrap() = *b_shape.last().unwrap();
        let output = self.activation(&shape);
        self.push(Op::MatMul { transpose_a: false, transpose_b: false }, &[a, b], output)
    }

    pub fn dense(&mut self, x: TensorId, columns: usize, seed: u64) -> TensorId {
        let mut shape = self.shape(x);
        let w = self.weights(&[columns, *shape.last().unwrap()], seed);
        let bias = self.weights(&[columns], seed + 1);
        *shape.last_mut().unwrap() = columns;
        let output = self.activation(&shape);
        self.push(Op::Dense, &[x, w, bias], output)
    }

    /// A square convolution with "same" padding of half its size on `[N, H, W, C]`; depthwise if `columns` is 0.
    pub fn conv(&mut self, x: TensorId, columns: usize, size: usize, stride: usize, seed: u64) -> TensorId {
        self.conv_padded(x, columns, size, stride, size / 2, seed)
    }

    pub fn conv_padded(
        &mut self,
        x: TensorId,
        columns: usize,
        size: usize,
        stride: usize,
        pad: usize,
        seed: u64,
    ) -> TensorId {
        let input = self.shape(x);
        let channels = input[3];
        let (groups, depth, columns) =
            if columns == 0 { (channels, 1, channels) } else { (1, channels, columns) };
        let w = self.weights(&[columns, 1, size, size, depth], seed);
        let bias = self.weights(&[columns], seed + 1);
        let spatial = square(size, stride, pad);
        let length = |axis: usize| spatial.output_len(axis, input[axis]).unwrap();
        let output = self.activation(&[input[0], length(1), length(2), columns]);
        self.push(Op::Conv { spatial, groups }, &[x, w, bias], output)
    }

    pub fn pool(&mut self, x: TensorId, kind: PoolKind, size: usize, stride: usize, pad: usize) -> TensorId {
        let input = self.shape(x);
        let spatial = square(size, stride, pad);
        let length = |axis: usize| spatial.output_len(axis, input[axis]).unwrap();
        let output = self.activation(&[input[0], length(1), length(2), input[3]]);
        self.push(Op::Pool { kind, spatial }, &[x], output)
    }

    pub fn batch_norm(&mut self, x: TensorId, seed: u64) -> TensorId {
        let channels = *self.shape(x).last().unwrap();
        let mut parameters: Vec<TensorId> = (0..3).map(|i| self.weights(&[channels], seed + i)).collect();
        parameters.insert(0, x);
        parameters.push(self.constant(&[channels], seed + 4));
        self.same(Op::BatchNorm { epsilon: 1e-5 }, &parameters)
    }

    /// What an importer of channel-first files does: to channels last, `f`, and back.
    pub fn channels_last(
        &mut self,
        x: TensorId,
        f: impl FnOnce(&mut Self, TensorId) -> TensorId,
    ) -> TensorId {
        let t = self.transpose(x, &[0, 2, 3, 1]);
        let y = f(self, t);
        self.transpose(y, &[0, 3, 1, 2])
    }
}

fn square(size: usize, stride: usize, pad: usize) -> Spatial {
    Spatial::over_rows_and_columns([size; 2], [stride; 2], [1; 2], [(pad, pad); 2])
}

/// How many nodes are of this kind (by [`Op::name`]).
pub fn count(graph: &Graph, name: &str) -> usize {
    graph.nodes.iter().filter(|node| node.op.name() == name).count()
}
