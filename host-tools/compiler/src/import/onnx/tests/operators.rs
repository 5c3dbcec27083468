//! Operators: attributes against inputs, forms of different opsets, layouts.

use super::model::{Model, find, float, int, ints, model, names, output_shape, single, text};
use crate::graph::eval::evaluate;
use crate::graph::{BinaryFn, Data, Op, PoolKind, ReduceFn, ResizeCoordinates, ResizeMode, Spatial, UnaryFn};

fn image() -> Model {
    model(17).input("x", &[1, 2, 6, 6])
}

fn spatial(op: &Op) -> &Spatial {
    match op {
        Op::Conv { spatial, .. } | Op::Pool { spatial, .. } => spatial,
        other => panic!("{other:?}"),
    }
}

#[test]
fn convolution_weights_become_channels_last() {
    let m = single(image().weights("w", &[4, 2, 3, 1]), "Conv", &["x", "w"], &[ints("strides", &[2, 1])]);
    let graph = m.graph();
    let conv = find(&graph, "conv");
    let weights = graph.tensor(conv.inputs[1]);
    assert_eq!(weights.shape, [4, 1, 3, 1, 2]);
    assert_eq!(
        weights.data.as_ref().map(|d| d.to_f32()[..6].to_vec()),
        Some(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
    );
    assert_eq!(spatial(&conv.op).stride, [1, 2, 1]);
    assert_eq!(graph.tensor(conv.outputs[0]).shape, [1, 2, 6, 4]);
    assert_eq!(output_shape(&graph), [1, 4, 2, 6]);
    let mut last = m;
    last.options.channels_last_io = true;
    let graph = last.graph();
    assert_eq!(graph.tensor(graph.inputs[0]).shape, [1, 6, 6, 2]);
    assert_eq!(output_shape(&graph), [1, 2, 6, 4]);
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn one_and_three_dimensional_convolutions() {
    let m = model(17).input("x", &[1, 4, 9]).weights("w", &[4, 1, 3]).weights("b", &[4]);
    let mut m = single(m, "Conv", &["x", "w", "b"], &[int("group", 4), ints("dilations", &[2])]);
    let graph = m.graph();
    let conv = find(&graph, "conv");
    assert_eq!(conv.op, Op::Conv { spatial: spatial(&conv.op).clone(), groups: 4 });
    assert_eq!((spatial(&conv.op).size, spatial(&conv.op).dilation), ([1, 1, 3], [1, 1, 2]));
    assert_eq!(graph.tensor(conv.inputs[1]).shape, [4, 1, 1, 3, 1]);
    assert_eq!(output_shape(&graph), [1, 4, 5]);
    m.options.channels_last_io = true;
    let graph = m.graph();
    assert_eq!(graph.tensor(graph.inputs[0]).shape, [1, 9, 4]);
    assert_eq!(output_shape(&graph), [1, 5, 4]);
    let m = model(17).input("x", &[1, 2, 4, 6, 6]).weights("w", &[3, 2, 2, 3, 3]);
    let graph = single(m, "Conv", &["x", "w"], &[]).graph();
    assert_eq!(spatial(&find(&graph, "conv").op).size, [2, 3, 3]);
    assert_eq!(output_shape(&graph), [1, 3, 3, 4, 4]);
}

#[test]
fn automatic_padding() {
    let pads = |mode: &str| {
        let m = image().weights("w", &[1, 2, 4, 4]);
        let attributes = [text("auto_pad", mode), ints("strides", &[2, 2])];
        let graph = single(m, "Conv", &["x", "w"], &attributes).graph();
        let s = spatial(&find(&graph, "conv").op).clone();
        (s.pad[1], output_shape(&graph)[2])
    };
    assert_eq!(pads("SAME_UPPER"), ((1, 1), 3));
    assert_eq!(pads("VALID"), ((0, 0), 2));
    let odd = |mode: &str| {
        let m = model(17).input("x", &[1, 1, 5, 5]).weights("w", &[1, 1, 2, 2]);
        let graph = single(m, "Conv", &["x", "w"], &[text("auto_pad", mode)]).graph();
        spatial(&find(&graph, "conv").op).pad[2]
    };
    assert_eq!((odd("SAME_UPPER"), odd("SAME_LOWER")), ((0, 1), (1, 0)));
}

#[test]
fn neighbours_share_their_layout() {
    let mut m = image()
        .weights("w", &[2, 2, 3, 3])
        .weights("c", &[2, 1, 1])
        .node("Conv", &["x", "w"], &["a"], &[ints("pads", &[1, 1, 1, 1])])
        .node("Sigmoid", &["a"], &["s"], &[])
        .node("Mul", &["a", "s"], &["m"], &[])
        .node("Mul", &["m", "c"], &["k"], &[])
        .node("Conv", &["k", "w"], &["y"], &[])
        .output("y");
    m.options.channels_last_io = true;
    let graph = m.graph();
    assert_eq!(graph.nodes.len(), 5);
    let last = graph.tensor(graph.nodes[3].inputs[1]);
    assert_eq!(last.shape, [1, 1, 1, 2]);
}

#[test]
fn pools() {
    let window = ints("kernel_shape", &[3, 3]);
    let graph = single(image(), "MaxPool", &["x"], &[window.clone(), ints("strides", &[2, 2])]).graph();
    assert_eq!(output_shape(&graph), [1, 2, 2, 2]);
    let ceil = [window.clone(), ints("strides", &[2, 2]), int("ceil_mode", 1)];
    let graph = single(image(), "AveragePool", &["x"], &ceil).graph();
    let pool = find(&graph, "average_pool");
    assert_eq!(output_shape(&graph), [1, 2, 3, 3]);
    assert_eq!(spatial(&pool.op).pad[1], (0, 1));
    assert!(matches!(pool.op, Op::Pool { kind: PoolKind::Average { include_padding: false }, .. }));
    let counted = [window, ints("pads", &[1, 1, 1, 1]), int("count_include_pad", 1)];
    let graph = single(image(), "AveragePool", &["x"], &counted).graph();
    let kind = PoolKind::Average { include_padding: true };
    assert!(matches!(&find(&graph, "average_pool").op, Op::Pool { kind: k, .. } if *k == kind));
    let graph = single(image(), "GlobalAveragePool", &["x"], &[]).graph();
    let mean = Op::Reduce { function: ReduceFn::Mean, axes: vec![1, 2], keep_dims: true };
    assert_eq!((&find(&graph, "mean").op, output_shape(&graph)), (&mean, &[1, 2, 1, 1][..]));
}

#[test]
fn matrix_products() {
    let m = || model(13).input("x", &[2, 3]).weights("b", &[3, 4]).weights("bt", &[4, 3]).weights("c", &[4]);
    let dense = |m: Model| {
        let graph = m.graph();
        let node = find(&graph, "dense").clone();
        let read =
            |i: usize| graph.tensor(node.inputs[i]).data.as_ref().map(|d| d.to_f32()).unwrap_or_default();
        (read(1), if node.inputs.len() > 2 { read(2) } else { vec![] })
    };
    let (w, bias) = dense(single(m(), "Gemm", &["x", "b", "c"], &[float("alpha", 2.0), float("beta", 3.0)]));
    assert_eq!((w[1], bias), (10.0, vec![3.0, 6.0, 9.0, 12.0]));
    let (w, bias) = dense(single(m(), "Gemm", &["x", "bt"], &[int("transB", 1)]));
    assert_eq!((w[1], bias), (2.0, vec![]));
    let (w, _) = dense(single(m(), "MatMul", &["x", "b"], &[]));
    assert_eq!(w[..3], [1.0, 5.0, 9.0]);
    let both = model(13).input("x", &[1, 4, 2, 3]).input("z", &[4, 3, 5]);
    let graph = single(both, "MatMul", &["x", "z"], &[]).graph();
    assert_eq!((names(&graph), output_shape(&graph)), (vec!["matmul"], &[1, 4, 2, 5][..]));
    let vector = model(13).input("x", &[3]).weights("b", &[3, 4]);
    assert_eq!(output_shape(&single(vector, "MatMul", &["x", "b"], &[]).graph()), [4]);
    let wrong = model(13).input("x", &[2, 5]).weights("b", &[3, 4]);
    assert!(single(wrong, "MatMul", &["x", "b"], &[]).import().is_err());
}

#[test]
fn clips_of_both_forms() {
    let op = |m: Model| m.graph().nodes.first().map(|n| n.op.clone());
    let old = single(model(10).input("x", &[2]), "Clip", &["x"], &[float("min", 0.0), float("max", 6.0)]);
    assert_eq!(op(old), Some(Op::Unary(UnaryFn::Relu6)));
    let m = model(13).input("x", &[2]).floats("l", &[], &[-1.0]).floats("h", &[], &[2.0]);
    let new = single(m, "Clip", &["x", "l", "h"], &[]);
    assert_eq!(op(new), Some(Op::Unary(UnaryFn::Clip { min: -1.0, max: 2.0 })));
    let m = model(13).input("x", &[2]).floats("l", &[], &[0.0]);
    assert_eq!(op(single(m, "Clip", &["x", "l"], &[])), Some(Op::Unary(UnaryFn::Relu)));
}

#[test]
fn functions() {
    for (op, name) in [
        ("HardSwish", "hard_swish"),
        ("HardSigmoid", "hard_sigmoid"),
        ("Gelu", "gelu"),
        ("Erf", "erf"),
        ("LeakyRelu", "leaky_relu"),
        ("Mish", "mish"),
        ("Softplus", "softplus"),
        ("Round", "round"),
    ] {
        assert_eq!(names(&single(model(20).input("x", &[2, 3]), op, &["x"], &[]).graph()), [name]);
    }
    let graph =
        single(model(13).input("x", &[2]).input("z", &[2]).input("w", &[2]), "Sum", &["x", "z", "w"], &[]);
    assert_eq!(names(&graph.graph()), ["add", "add"]);
    let power = single(model(13).input("x", &[2]).floats("p", &[], &[3.0]), "Pow", &["x", "p"], &[]).graph();
    assert_eq!(power.nodes[0].op, Op::Binary(BinaryFn::Pow));
    let m = image().weights("s", &[2, 1, 1]);
    assert_eq!(names(&single(m, "PRelu", &["x", "s"], &[]).graph()), ["prelu"]);
}

#[test]
fn softmax_before_and_after_opset_13() {
    let of = |opset| single(model(opset).input("x", &[2, 3, 4]), "Softmax", &["x"], &[]).graph();
    assert_eq!(find(&of(13), "softmax").op, Op::Softmax { axis: 2, beta: 1.0 });
    let old = of(11);
    let node = find(&old, "softmax");
    assert_eq!(old.tensor(node.inputs[0]).shape, [2, 12]);
    assert_eq!(output_shape(&old), [2, 3, 4]);
}

#[test]
fn normalizations() {
    let m = model(17).input("x", &[1, 5, 8]).weights("g", &[8]);
    let graph = single(m, "LayerNormalization", &["x", "g"], &[float("epsilon", 1e-3)]).graph();
    assert_eq!(find(&graph, "layer_norm").op, Op::LayerNorm { axes: 1, epsilon: 1e-3 });
    let four = image().weights("p", &[2]);
    let graph = single(four, "BatchNormalization", &["x", "p", "p", "p", "p"], &[]).graph();
    assert_eq!(graph.tensor(find(&graph, "batch_norm").outputs[0]).shape, [1, 6, 6, 2]);
    let m = image().weights("p", &[2]);
    let graph = single(m, "InstanceNormalization", &["x", "p", "p"], &[]).graph();
    assert!(names(&graph).contains(&"rsqrt"));
    assert_eq!(output_shape(&graph), [1, 2, 6, 6]);
}

#[test]
fn reductions_of_both_forms() {
    let old = single(image(), "ReduceMean", &["x"], &[ints("axes", &[-1, 2]), int("keepdims", 0)]).graph();
    let op = Op::Reduce { function: ReduceFn::Mean, axes: vec![2, 3], keep_dims: false };
    assert_eq!((&old.nodes[0].op, output_shape(&old)), (&op, &[1, 2][..]));
    let m = model(18).input("x", &[1, 2, 6, 6]).ints("a", &[1]);
    let new = single(m, "ReduceMax", &["x", "a"], &[]).graph();
    assert_eq!(output_shape(&new), [1, 1, 6, 6]);
}

#[test]
fn splits_of_three_forms() {
    let shapes = |m: Model| {
        let m = m.output("y1").output("y2");
        let graph = m.graph();
        graph.outputs.iter().map(|&o| graph.tensor(o).shape[1]).collect::<Vec<_>>()
    };
    let base = |opset| model(opset).input("x", &[1, 5]).ints("s", &[2, 3]);
    let axis = int("axis", -1);
    assert_eq!(
        shapes(base(11).node("Split", &["x"], &["y1", "y2"], &[axis.clone(), ints("split", &[1, 4])])),
        [1, 4]
    );
    assert_eq!(
        shapes(base(13).node("Split", &["x", "s"], &["y1", "y2"], std::slice::from_ref(&axis))),
        [2, 3]
    );
    assert_eq!(shapes(base(18).node("Split", &["x"], &["y1", "y2"], &[axis, int("num_outputs", 2)])), [3, 2]);
}

#[test]
fn movement() {
    let m = image().ints("p", &[0, 0, 1, -1, 0, 0, 2, 0]);
    let graph = single(m, "Pad", &["x", "p"], &[]).graph();
    assert_eq!((names(&graph), output_shape(&graph)), (vec!["slice", "pad"], &[1, 2, 9, 5][..]));
    let m = image().ints("p", &[0, 0, 0, 2, 0, 0, 1, 0]);
    let graph = single(m, "Pad", &["x", "p"], &[text("mode", "reflect")]).graph();
    assert_eq!((names(&graph), output_shape(&graph)), (vec!["gather", "gather"], &[1, 2, 7, 8][..]));
    let x: Vec<f32> = (0..72).map(|i| i as f32).collect();
    let y = evaluate(&graph, &[Data::F32(x.into())]).unwrap()[0].to_f32();
    assert_eq!(y[..8], [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(y[48..56], [26.0, 25.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0], "row 6 is row 4");
    let graph = single(image().ints("r", &[1, 1, 2, 1]), "Tile", &["x", "r"], &[]).graph();
    assert_eq!((names(&graph), output_shape(&graph)), (vec!["concat"], &[1, 2, 12, 6][..]));
    let m = image().ints("i", &[5, 0]);
    let graph = single(m, "Gather", &["x", "i"], &[int("axis", 3)]).graph();
    assert_eq!((names(&graph), output_shape(&graph)), (vec!["gather"], &[1, 2, 6, 2][..]));
    let graph = single(image().ints("i", &[1]), "Gather", &["x", "i"], &[int("axis", 1)]).graph();
    assert_eq!(names(&graph), ["slice"]);
    let graph = single(image().ints("s", &[0, -1]), "Reshape", &["x", "s"], &[]).graph();
    assert_eq!(output_shape(&graph), [1, 72]);
    let graph = single(image(), "SpaceToDepth", &["x"], &[int("blocksize", 2)]).graph();
    assert_eq!(output_shape(&graph), [1, 8, 3, 3]);
    let m = model(13).input("x", &[1, 8, 3, 3]);
    let graph = single(m, "DepthToSpace", &["x"], &[int("blocksize", 2), text("mode", "CRD")]).graph();
    assert_eq!(output_shape(&graph), [1, 2, 6, 6]);
    let graph = single(image().ints("s", &[3, 1, 1, 1]), "Expand", &["x", "s"], &[]).graph();
    assert_eq!(names(&graph), ["broadcast_to"]);
}

#[test]
fn resizes() {
    let scales = || image().floats("s", &[4], &[1.0, 1.0, 2.0, 0.5]).ints("to", &[1, 2, 9, 9]);
    let graph = single(scales(), "Resize", &["x", "", "s"], &[text("mode", "linear")]).graph();
    let bilinear = Op::Resize {
        mode: ResizeMode::Bilinear,
        coordinates: ResizeCoordinates::HalfPixel { pytorch: false },
    };
    assert_eq!((&find(&graph, "resize_bilinear").op, output_shape(&graph)), (&bilinear, &[1, 2, 12, 3][..]));
    let mode = text("coordinate_transformation_mode", "align_corners");
    let graph = single(scales(), "Resize", &["x", "", "", "to"], &[mode]).graph();
    let op = &find(&graph, "resize_nearest").op;
    assert!(matches!(op, Op::Resize { coordinates: ResizeCoordinates::AlignCorners, .. }));
    assert_eq!(output_shape(&graph), [1, 2, 9, 9]);
    let old = model(9).input("x", &[1, 2, 6, 6]).floats("s", &[4], &[1.0, 1.0, 2.0, 2.0]);
    assert_eq!(output_shape(&single(old, "Upsample", &["x", "s"], &[]).graph()), [1, 2, 12, 12]);
}

#[test]
fn masks_become_arithmetic() {
    let m = model(13)
        .input("x", &[1, 3])
        .raw("c", &[3], tract_onnx::pb::tensor_proto::DataType::Bool, vec![1, 0, 1])
        .floats("low", &[], &[f32::NEG_INFINITY]);
    let graph = single(m, "Where", &["c", "x", "low"], &[]).graph();
    assert_eq!(names(&graph), ["mul", "add"]);
    let added = graph.tensor(graph.nodes[1].inputs[1]).data.as_ref().map(|d| d.to_f32());
    assert_eq!(added, Some(vec![0.0, f32::NEG_INFINITY, 0.0]));
}
