use super::*;
use crate::graph::{BinaryFn, PoolKind, ReduceFn, ResizeCoordinates, ResizeMode, Spatial, UnaryFn};

/// One node on float operands; the output's shape is given.
fn apply(op: Op, operands: &[(&[usize], &[f32])], shape: &[usize]) -> Vec<f32> {
    let mut graph = Graph::default();
    let mut inputs = Vec::new();
    for (i, (shape, _)) in operands.iter().enumerate() {
        inputs.push(graph.add_tensor(Tensor::activation(format!("x{i}"), shape.to_vec(), DType::F32)));
    }
    let output = graph.add_tensor(Tensor::activation("y", shape.to_vec(), DType::F32));
    graph.inputs = inputs.clone();
    graph.outputs = vec![output];
    graph.nodes.push(Node::new("node", op, inputs, vec![output]));
    let data: Vec<Data> = operands.iter().map(|(_, values)| Data::F32((*values).into())).collect();
    evaluate(&graph, &data).unwrap()[0].to_f32()
}

#[test]
fn convolution_pads_and_strides() {
    // 3x3 ones over a 3x3 ramp, stride 2, padding 1: the corners' 2x2 sums.
    let spatial = Spatial::over_rows_and_columns([3, 3], [2, 2], [1, 1], [(1, 1), (1, 1)]);
    let x: Vec<f32> = (0..9).map(|i| i as f32).collect();
    let operands: [(&[usize], &[f32]); 3] =
        [(&[1, 3, 3, 1], &x), (&[1, 1, 3, 3, 1], &[1.0; 9]), (&[1], &[0.5])];
    let y = apply(Op::Conv { spatial, groups: 1 }, &operands, &[1, 2, 2, 1]);
    assert_eq!(y, [8.5, 12.5, 20.5, 24.5]);
}

#[test]
fn depthwise_keeps_channels_apart() {
    let spatial = Spatial::over_rows_and_columns([1, 2], [1, 1], [1, 1], [(0, 0), (0, 0)]);
    let operands: [(&[usize], &[f32]); 2] =
        [(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]), (&[2, 1, 1, 2, 1], &[1.0, 10.0, 1.0, 100.0])];
    assert_eq!(apply(Op::Conv { spatial, groups: 2 }, &operands, &[1, 1, 1, 2]), [31.0, 402.0]);
}

#[test]
fn average_pool_counts_padding_on_request() {
    let spatial = Spatial::over_rows_and_columns([1, 3], [1, 1], [1, 1], [(0, 0), (1, 1)]);
    let pool = |include_padding| {
        let op = Op::Pool { kind: PoolKind::Average { include_padding }, spatial: spatial.clone() };
        apply(op, &[(&[1, 1, 2, 1], &[3.0, 6.0])], &[1, 1, 2, 1])
    };
    assert_eq!(pool(true), [3.0, 3.0]);
    assert_eq!(pool(false), [4.5, 4.5]);
}

#[test]
fn matrix_products_broadcast_and_transpose() {
    let a: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    let b: [f32; 8] = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0];
    let op = |transpose_a, transpose_b| Op::MatMul { transpose_a, transpose_b };
    let y = apply(op(false, false), &[(&[1, 2, 2], &a), (&[2, 2, 2], &b)], &[2, 2, 2]);
    assert_eq!(y, [1.0, 2.0, 3.0, 4.0, 2.0, 1.0, 4.0, 3.0]);
    let y = apply(op(true, true), &[(&[2, 2], &a), (&[2, 2, 2], &b)], &[2, 2, 2]);
    assert_eq!(y, [1.0, 3.0, 2.0, 4.0, 3.0, 1.0, 4.0, 2.0]);
}

#[test]
fn bilinear_interpolates_between_half_pixels() {
    let op = Op::Resize {
        mode: ResizeMode::Bilinear,
        coordinates: ResizeCoordinates::HalfPixel { pytorch: false },
    };
    assert_eq!(apply(op, &[(&[1, 1, 2, 1], &[0.0, 4.0])], &[1, 1, 4, 1]), [0.0, 1.0, 3.0, 4.0]);
}

#[test]
fn reductions_and_softmax_follow_their_axis() {
    let x: [f32; 4] = [1.0, 3.0, 5.0, 9.0];
    let mean = Op::Reduce { function: ReduceFn::Mean, axes: vec![0], keep_dims: false };
    assert_eq!(apply(mean, &[(&[2, 2], &x)], &[2]), [3.0, 6.0]);
    let y = apply(Op::Softmax { axis: 0, beta: 1.0 }, &[(&[2, 2], &[0.0, 1.0, 0.0, 1.0])], &[2, 2]);
    assert_eq!(y, [0.5; 4]);
}

#[test]
fn erf_is_exact_to_the_last_float() {
    let known = [(0.1, 0.112462916018285), (1.0, 0.842700792949715), (2.5, 0.999593047982555)];
    for (x, y) in known {
        assert!((elementwise::erf(x) - y).abs() < 1e-14 && (elementwise::erf(-x) + y).abs() < 1e-14);
    }
}

#[test]
fn quantized_tensors_are_computed_in_real_numbers() {
    let mut graph = Graph::default();
    let quantized = |name: &str, scale, zero| {
        Tensor::activation(name, vec![2], DType::I8).with_quant(Quant::per_tensor(scale, zero))
    };
    let x = graph.add_tensor(quantized("x", 0.5, -1));
    let y = graph.add_tensor(quantized("y", 0.25, 3));
    graph.nodes.push(Node::new("relu", Op::Unary(UnaryFn::Relu), vec![x], vec![y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let y = evaluate(&graph, &[Data::I8([-5, 5].into())]).unwrap();
    assert_eq!(y, [Data::I8([3, 15].into())]);
}

#[test]
fn contradicting_shapes_are_errors() {
    let mut graph = Graph::default();
    let x = graph.add_tensor(Tensor::activation("x", vec![2], DType::F32));
    let y = graph.add_tensor(Tensor::activation("y", vec![3], DType::F32));
    graph.nodes.push(Node::new("add", Op::Binary(BinaryFn::Add), vec![x, x], vec![y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let input = Data::F32([1.0, 2.0].into());
    assert!(matches!(evaluate(&graph, std::slice::from_ref(&input)), Err(EvalError::Node { .. })));
    assert!(matches!(evaluate(&graph, &[]), Err(EvalError::InputCount { .. })));
}
