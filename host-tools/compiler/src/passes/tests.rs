//! All passes together, on small networks written as importers of channel-first files write them.

use super::testing::{Build, Random, check_with, count};
use super::*;
use crate::graph::{Activation, BinaryFn, Op, PoolKind, ReduceFn, TensorId, UnaryFn};

fn optimized(mut graph: Graph) -> (Graph, Report) {
    let mut report = Report::default();
    check_with(&mut graph, |graph| report = optimize(graph));
    (graph, report)
}

/// Convolution, batch norm and perhaps a function, each between transpositions.
fn conv_norm(b: &mut Build, x: TensorId, columns: usize, size: usize, f: Option<UnaryFn>) -> TensorId {
    let seed = b.graph.nodes.len() as u64;
    let x = b.channels_last(x, |b, x| b.conv(x, columns, size, 1, seed));
    let x = b.channels_last(x, |b, x| b.batch_norm(x, seed + 2));
    match f {
        Some(f) => b.unary(f, x),
        None => x,
    }
}

fn gelu(b: &mut Build, x: TensorId) -> TensorId {
    let u = b.with_scalar(BinaryFn::Div, x, std::f32::consts::SQRT_2);
    let e = b.unary(UnaryFn::Erf, u);
    let g = b.with_scalar(BinaryFn::Add, e, 1.0);
    let y = b.binary(BinaryFn::Mul, x, g);
    b.with_scalar(BinaryFn::Mul, y, 0.5)
}

#[test]
fn inverted_residual_with_squeeze_excite() {
    let mut b = Build::new();
    let x = b.input(&[1, 6, 6, 4]);
    let x = b.transpose(x, &[0, 3, 1, 2]);
    let h = conv_norm(&mut b, x, 8, 1, Some(UnaryFn::Relu6));
    let h = conv_norm(&mut b, h, 0, 3, None);
    let s = b.unary(UnaryFn::Sigmoid, h);
    let h = b.binary(BinaryFn::Mul, h, s);
    let s = b.reduce(ReduceFn::Mean, h, &[2, 3], true);
    let s = b.channels_last(s, |b, x| b.conv(x, 2, 1, 1, 71));
    let t = b.unary(UnaryFn::Sigmoid, s);
    let s = b.binary(BinaryFn::Mul, t, s);
    let s = b.channels_last(s, |b, x| b.conv(x, 8, 1, 1, 72));
    let s = b.unary(UnaryFn::Sigmoid, s);
    let h = b.binary(BinaryFn::Mul, h, s);
    let h = conv_norm(&mut b, h, 4, 1, None);
    let x = b.binary(BinaryFn::Add, h, x);
    let x = b.reduce(ReduceFn::Mean, x, &[2, 3], false);
    let y = b.dense(x, 3, 99);
    let (graph, report) = optimized(b.finish(&[y]));
    let names: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
    let expected = [
        "conv", "conv", "swish", "mean", "dense", "swish", "dense", "sigmoid", "mul", "conv", "add", "mean",
        "dense",
    ];
    assert_eq!(names, expected);
    assert_eq!(graph.nodes[0].activation, Activation::Relu6);
    assert_eq!(report.patterns.len(), 1);
    assert_eq!(
        (report.of("recognise", "swish"), report.of("fold_batch_norm", "into the layer before")),
        (2, 3)
    );
    assert!(report.to_string().contains("squeeze_excite 1"));
}

#[test]
fn pooling_mixer_and_layer_scale() {
    let mut b = Build::new();
    let x = b.input(&[1, 6, 6, 4]);
    let x = b.transpose(x, &[0, 3, 1, 2]);
    let average = PoolKind::Average { include_padding: false };
    let p = b.channels_last(x, |b, x| b.pool(x, average, 3, 1, 1));
    let d = b.binary(BinaryFn::Sub, p, x);
    let g = b.constant(&[4, 1, 1], 5);
    let d = b.binary(BinaryFn::Mul, g, d);
    let x = b.binary(BinaryFn::Add, x, d);
    let h = conv_norm(&mut b, x, 6, 1, None);
    let h = gelu(&mut b, h);
    let h = conv_norm(&mut b, h, 4, 1, None);
    let g = b.constant(&[4, 1, 1], 6);
    let h = b.binary(BinaryFn::Mul, g, h);
    let x = b.binary(BinaryFn::Add, x, h);
    let y = b.transpose(x, &[0, 2, 3, 1]);
    let (graph, report) = optimized(b.finish(&[y]));
    let names: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(names, ["average_pool", "sub", "mul", "add", "conv", "gelu", "conv", "add"]);
    assert_eq!(report.patterns[0].kind, PatternKind::PoolingMixer);
}

#[test]
fn token_attention_with_layer_norm() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 3, 8]);
    let x = b.transpose(x, &[0, 3, 1, 2]);
    let x = b.reshape(x, &[1, 8, 9]);
    let x = b.transpose(x, &[0, 2, 1]);
    let m = b.reduce(ReduceFn::Mean, x, &[2], true);
    let d = b.binary(BinaryFn::Sub, x, m);
    let s = b.with_scalar(BinaryFn::Pow, d, 2.0);
    let v = b.reduce(ReduceFn::Mean, s, &[2], true);
    let v = b.with_scalar(BinaryFn::Add, v, 1e-3);
    let s = b.unary(UnaryFn::Sqrt, v);
    let n = b.binary(BinaryFn::Div, d, s);
    let gamma = b.constant(&[8], 1);
    let n = b.binary(BinaryFn::Mul, n, gamma);
    let beta = b.weights(&[8], 2);
    let n = b.binary(BinaryFn::Add, n, beta);
    let w = b.weights(&[8, 24], 3);
    let qkv = b.matmul(n, w);
    let bias = b.weights(&[24], 4);
    let qkv = b.binary(BinaryFn::Add, bias, qkv);
    let qkv = b.reshape(qkv, &[1, 9, 2, 12]);
    let qkv = b.transpose(qkv, &[0, 2, 1, 3]);
    let part = |b: &mut Build, i: usize| b.slice(qkv, &[0, 0, 0, 4 * i], &[1; 4], &[1, 2, 9, 4]);
    let (q, k, v) = (part(&mut b, 0), part(&mut b, 1), part(&mut b, 2));
    let k = b.transpose(k, &[0, 1, 3, 2]);
    let a = b.matmul(q, k);
    let a = b.with_scalar(BinaryFn::Mul, a, 0.5);
    let bias = b.weights(&[1, 2, 9, 9], 6);
    let a = b.binary(BinaryFn::Add, a, bias);
    let a = b.softmax(a, 3);
    let o = b.matmul(a, v);
    let o = b.transpose(o, &[0, 2, 1, 3]);
    let o = b.reshape(o, &[1, 9, 8]);
    let o = b.dense(o, 8, 7);
    let g = b.constant(&[8], 8);
    let o = b.binary(BinaryFn::Mul, o, g);
    let x = b.binary(BinaryFn::Add, x, o);
    let y = b.reduce(ReduceFn::Mean, x, &[1], false);
    let (graph, report) = optimized(b.finish(&[y]));
    assert_eq!((count(&graph, "layer_norm"), count(&graph, "dense"), count(&graph, "transpose")), (1, 2, 0));
    assert_eq!(report.patterns[0].kind, PatternKind::Attention);
    assert_eq!(count(&graph, "attention"), 1);
}

#[test]
fn a_second_run_changes_nothing() {
    let mut b = Build::new();
    let x = b.input(&[1, 6, 6, 4]);
    let x = b.transpose(x, &[0, 3, 1, 2]);
    let x = conv_norm(&mut b, x, 8, 3, Some(UnaryFn::Relu));
    let x = gelu(&mut b, x);
    let y = b.softmax(x, 2);
    let (mut graph, _) = optimized(b.finish(&[y]));
    let nodes = graph.nodes.len();
    let report = optimize(&mut graph);
    assert_eq!((report.changes, graph.nodes.len()), (vec![], nodes));
}

/// Random networks of layers, constants and functions in both layouts.
#[test]
fn random_networks_agree() {
    for seed in 1..150 {
        let mut random = Random(seed * 31);
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 4]);
        let mut pool = vec![b.transpose(x, &[0, 3, 1, 2])];
        for step in 0..12 {
            let x = pool[pool.len() - 1 - random.below(pool.len().min(3))];
            let same: Vec<TensorId> = pool.iter().copied().filter(|&y| b.shape(y) == b.shape(x)).collect();
            let other = same[random.below(same.len())];
            let functions = [BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul];
            let function = functions[random.below(3)];
            let next = match random.below(9) {
                0 => conv_norm(&mut b, x, 4, 3, Some(UnaryFn::Relu)),
                1 => conv_norm(&mut b, x, 0, 1, None),
                2 => gelu(&mut b, x),
                3 => {
                    let c = b.constant(&[4, 1, 1], step);
                    let f = [BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul, BinaryFn::Div][random.below(4)];
                    if random.below(2) == 0 { b.binary(f, x, c) } else { b.binary(function, c, x) }
                }
                4 => {
                    let s = b.unary(UnaryFn::Sigmoid, x);
                    b.binary(BinaryFn::Mul, s, x)
                }
                5 => b.unary(UnaryFn::Clip { min: -1.0, max: 2.0 }, x),
                6 => {
                    let m = b.reduce(ReduceFn::Mean, x, &[2, 3], true);
                    b.binary(BinaryFn::Sub, other, m)
                }
                7 => b.channels_last(x, |b, x| b.pool(x, PoolKind::Max, 3, 1, 1)),
                _ => b.binary(function, x, other),
            };
            // Keep numbers in a range where floats compare well.
            pool.push(b.unary(UnaryFn::Tanh, next));
        }
        let outputs = [pool[pool.len() - 1], pool[pool.len() - 2]];
        optimized(b.finish(&outputs));
    }
}

/// Random quantized networks keep every code.
#[test]
fn random_quantized_networks_agree_exactly() {
    for seed in 1..150 {
        let mut random = Random(seed * 17);
        let mut b = Build::new();
        let mut pool = vec![b.quantized_input(&[1, 3, 4, 4], 0.1, -7)];
        for _ in 0..14 {
            let x = pool[random.below(pool.len())];
            let shape = b.shape(x);
            let scale_of =
                |b: &Build, id: TensorId| b.graph.tensor(id).quant.as_ref().unwrap().uniform().unwrap();
            let (scale, zero) = scale_of(&b, x);
            let (other_scale, other_zero) = [(scale, zero), (0.05, -128), (0.2, 3)][random.below(3)];
            let next = match random.below(8) {
                0..3 => {
                    let mut perm: Vec<usize> = (0..4).collect();
                    (1..4).for_each(|i| perm.swap(i, random.below(i + 1)));
                    let y = b.quantized(&crate::graph::shape::permuted(&shape, &perm), scale, zero);
                    b.push(Op::Transpose { perm }, &[x], y)
                }
                3 => {
                    let functions = [UnaryFn::Relu, UnaryFn::Relu6, UnaryFn::Sigmoid, UnaryFn::HardSwish];
                    let y = b.quantized(&shape, other_scale, other_zero);
                    b.push(Op::Unary(functions[random.below(4)]), &[x], y)
                }
                4 => {
                    let same: Vec<TensorId> = pool.iter().copied().filter(|&y| b.shape(y) == shape).collect();
                    let y = b.quantized(&shape, other_scale, other_zero);
                    let functions = [BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul];
                    b.push(Op::Binary(functions[random.below(3)]), &[x, same[random.below(same.len())]], y)
                }
                5 => {
                    let y = b.quantized(&shape, other_scale, other_zero);
                    b.push(Op::Requantize, &[x], y)
                }
                6 => {
                    let axis = random.below(4);
                    let mut pads = [(0, 0); 4];
                    pads[axis] = (0, 1);
                    let mut padded = shape.clone();
                    padded[axis] += 1;
                    let y = b.quantized(&padded, scale, zero);
                    b.push(Op::Pad { pads: pads.to_vec(), value: 0.0 }, &[x], y)
                }
                _ => {
                    let y = b.quantized(&shape, scale, zero);
                    b.push(Op::Reshape, &[x], y)
                }
            };
            pool.push(next);
        }
        let outputs = [pool[pool.len() - 1], pool[pool.len() - 2]];
        optimized(b.finish(&outputs));
    }
}
