//! The int8 network follows the float one on samples that it was not calibrated on.

use super::*;
use crate::graph::Quant;

fn snr(float: &Graph, int8: &Graph) -> f64 {
    let mut energy = measure::Energy::default();
    for sample in samples(float, 8, 99) {
        energy.add(&outputs(float, &sample), &outputs(int8, &sample));
    }
    energy.decibels()
}

/// Quantizes and checks conventions, the absence of float nodes, and the noise.
fn check(graph: &Graph, least: f64) -> (Graph, Report) {
    let (int8, report) = quantize(graph, &Calibration::new(samples(graph, 16, 5))).unwrap();
    int8.validate().unwrap();
    assert_eq!(report.float_nodes, []);
    assert_eq!(report.nodes.len(), graph.nodes.len());
    for id in int8.inputs.iter().chain(&int8.outputs) {
        assert_eq!(int8.tensor(*id).dtype, DType::I8);
    }
    Runtime::new(&int8).map_err(|e| e.to_string()).unwrap();
    let (measured, told) = (snr(graph, &int8), report.output_snr().unwrap());
    assert!(measured >= least, "{measured:.1} dB\n{report}");
    assert!((measured - told).abs() < 4.0, "{measured:.1} dB, {told:.1} dB reported");
    (int8, report)
}

#[test]
fn convolutions_pools_and_dense() {
    let (int8, report) = check(&classifier(1), 30.0);
    assert!(report.nodes[0].weight_snr.unwrap() > 40.0);
    assert!(report.nodes[3].weight_snr.is_none());
    assert_eq!(report.corrected, 4);
    // The fused ReLU leaves no codes for negative numbers.
    assert_eq!((report.nodes[0].zero_point, report.nodes[1].zero_point), (-128, -128));
    // Pools and reshapes keep the quantization.
    let quant = |name: &str| int8.tensors.iter().find(|t| t.name == name).unwrap().quant.clone();
    assert_eq!(quant("conv2"), quant("max_pool3"));
    assert_eq!(quant("conv2"), quant("reshape5"));
}

#[test]
fn residual_addition() {
    let mut b = Builder::new(2);
    let x = b.input(&[1, 6, 6, 8]);
    let y = b.conv(x, 8, 3, 1);
    b.relu();
    let y = b.conv(y, 8, 3, 1);
    let x = b.binary(BinaryFn::Add, x, y);
    b.relu();
    let y = b.conv(x, 8, 1, 1);
    let x = b.binary(BinaryFn::Sub, x, y);
    let graph = b.finish(x);
    check(&graph, 30.0);
}

#[test]
fn concatenation_shares_or_requantizes() {
    let mut b = Builder::new(3);
    let input = b.input(&[1, 4, 4, 4]);
    let a = b.conv(input, 4, 1, 1);
    let c = b.conv(input, 4, 3, 1);
    let c = b.unary(UnaryFn::Sigmoid, c);
    let constant = b.constant(&[1, 4, 4, 2], vec![0.5; 32]);
    let x = b.node(Op::Concat { axis: 3 }, &[a, c, input, constant], &[1, 4, 4, 14]);
    let x = b.conv(x, 6, 1, 1);
    let graph = b.finish(x);
    let (int8, _) = check(&graph, 30.0);
    let requantized = int8.nodes.iter().filter(|n| n.op == Op::Requantize).count();
    assert_eq!(
        requantized, 2,
        "the sigmoid's and the input's quantization are given, the convolution's is not"
    );
    let concat = int8.nodes.iter().find(|n| n.op == Op::Concat { axis: 3 }).unwrap();
    let quant = &int8.tensor(concat.outputs[0]).quant;
    assert!(concat.inputs.iter().all(|&id| int8.tensor(id).quant == *quant));
}

#[test]
fn swish_and_squeeze_excite() {
    let mut b = Builder::new(4);
    let x = b.input(&[1, 6, 6, 8]);
    let x = b.conv(x, 16, 1, 1);
    let x = b.unary(UnaryFn::Swish, x);
    let s = b.mean(x);
    let s = b.conv(s, 4, 1, 1);
    let s = b.unary(UnaryFn::HardSwish, s);
    let s = b.conv(s, 16, 1, 1);
    let s = b.unary(UnaryFn::Sigmoid, s);
    let x = b.binary(BinaryFn::Mul, x, s);
    let x = b.conv(x, 8, 1, 1);
    let graph = b.finish(x);
    let (int8, _) = check(&graph, 30.0);
    let sigmoid = int8.tensors.iter().find(|t| t.name.starts_with("sigmoid")).unwrap();
    assert_eq!(sigmoid.quant, Some(Quant::per_tensor(1.0 / 256.0, -128)));
}

#[test]
fn attention() {
    let mut b = Builder::new(5);
    let x = b.input(&[1, 12, 16]);
    let (gamma, beta) = (b.constant(&[16], vec![1.0; 16]), b.constant(&[16], vec![0.1; 16]));
    let x = b.node(Op::LayerNorm { axes: 1, epsilon: 1e-5 }, &[x, gamma, beta], &[1, 12, 16]);
    let (q, k, v) = (b.dense(x, 16), b.dense(x, 16), b.dense(x, 16));
    let scores = b.node(Op::MatMul { transpose_a: false, transpose_b: true }, &[q, k], &[1, 12, 12]);
    let quarter = b.constant(&[1], vec![0.25]);
    let scores = b.binary(BinaryFn::Mul, scores, quarter);
    let scores = b.node(Op::Softmax { axis: 2, beta: 1.0 }, &[scores], &[1, 12, 12]);
    let y = b.node(Op::MatMul { transpose_a: false, transpose_b: false }, &[scores, v], &[1, 12, 16]);
    let y = b.node(Op::Transpose { perm: vec![0, 2, 1] }, &[y], &[1, 16, 12]);
    let graph = b.finish(y);
    check(&graph, 30.0);
}

#[test]
fn maximum_padding_and_prelu() {
    let mut b = Builder::new(6);
    let x = b.input(&[1, 4, 4, 4]);
    let y = b.conv(x, 4, 1, 1);
    let x = b.binary(BinaryFn::Max, x, y);
    let op = Op::Pad { pads: vec![(0, 0), (1, 1), (0, 2), (0, 0)], value: -0.5 };
    let x = b.node(op, &[x], &[1, 6, 6, 4]);
    let slopes = b.constant(&[4], vec![0.1, 0.2, -0.3, 0.25]);
    let x = b.node(Op::Prelu, &[x, slopes], &[1, 6, 6, 4]);
    let graph = b.finish(x);
    check(&graph, 30.0);
}

#[test]
fn nodes_without_an_int8_form_stay_float() {
    let mut b = Builder::new(7);
    let x = b.input(&[1, 4, 4, 4]);
    let y = b.conv(x, 4, 1, 1);
    let y = b.unary(UnaryFn::Softplus, y);
    let y = b.unary(UnaryFn::Exp, y);
    let y = b.unary(UnaryFn::Neg, y);
    let y = b.binary(BinaryFn::Div, x, y);
    let y = b.conv(y, 4, 3, 1);
    let graph = b.finish(y);
    let (int8, report) = quantize(&graph, &Calibration::new(samples(&graph, 16, 5))).unwrap();
    int8.validate().unwrap();
    let float: Vec<_> = report.float_nodes.iter().map(|n| n.node.as_str()).collect();
    assert_eq!(float, ["exp2", "neg3", "div4"]);
    let count = |op: Op| int8.nodes.iter().filter(|n| n.op == op).count();
    assert_eq!((count(Op::Dequantize), count(Op::Quantize)), (2, 1));
    let measured = snr(&graph, &int8);
    assert!(measured > 25.0, "{measured:.1} dB\n{report}");

    let kept = Calibration { keep_float: vec!["conv5".into()], ..Calibration::new(samples(&graph, 4, 5)) };
    let (int8, report) = quantize(&graph, &kept).unwrap();
    assert_eq!(report.float_nodes.last().unwrap().reason, "kept float on request");
    assert_eq!(int8.tensor(int8.outputs[0]).dtype, DType::F32);
}
