//! Operators that the trained networks don't have, on files written here.

use super::super::import;
use super::writer::{TensorSpec, Writer, options};
use crate::graph::{Activation, BinaryFn, DType, Data, Graph, Op, PoolKind, Spatial, Tensor, UnaryFn};
use crate::import::{ImportError, Imported, Refusal};
use half::f16;
use tract_tflite::tflite::{ActivationFunctionType as A, BuiltinOperator as B, Padding, TensorType};

/// One file of each test, for the damage test.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("uint8", uint8_network().finish()),
        ("multiplier", depth_multiplier().finish()),
        ("half", half_weights().finish()),
        ("sparse", sparse_weights().finish()),
        ("shapes", shape_chain().finish()),
        ("cuts", cuts().finish()),
        ("misc", miscellany().finish()),
        ("variables", variables().finish()),
    ]
}

pub(super) fn graph(w: &Writer) -> Graph {
    let Imported { graph, source_index } = import(&w.finish()).unwrap_or_else(|e| panic!("{e}"));
    graph.validate().unwrap();
    assert_eq!(source_index.len(), graph.tensors.len());
    graph
}

pub(super) fn refusals(w: &Writer) -> Vec<Refusal> {
    match import(&w.finish()) {
        Err(ImportError::Unsupported(list)) => list,
        other => panic!("{other:?}"),
    }
}

fn names(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

fn tensor<'g>(graph: &'g Graph, name: &str) -> &'g Tensor {
    graph.tensors.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn out_shape(graph: &Graph) -> &[usize] {
    &graph.tensor(graph.outputs[0]).shape
}

/// SAME over 5 x 8 with a 2 x 3 window, stride 2: 1 row and 1 column of padding, behind.
fn uint8_network() -> Writer {
    let mut w = Writer::default();
    let x = w.quantized("x", &[1, 5, 8, 1], TensorType::UINT8, 0.5, 128);
    let weights = w.tensor(TensorSpec {
        name: "w".into(),
        shape: vec![2, 2, 3, 1],
        kind: TensorType::UINT8,
        scales: vec![0.25],
        zero_points: vec![131],
        data: (122..134).collect(),
        ..Default::default()
    });
    let bias = w.tensor(TensorSpec {
        name: "b".into(),
        shape: vec![2],
        kind: TensorType::INT32,
        scales: vec![0.125],
        zero_points: vec![0],
        data: [7i32, -9].iter().flat_map(|x| x.to_le_bytes()).collect(),
        ..Default::default()
    });
    let y = w.quantized("y", &[1, 3, 4, 2], TensorType::UINT8, 1.0, 0);
    let conv = options!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: Padding::SAME,
            stride_w: 2,
            stride_h: 2,
            fused_activation_function: A::RELU6,
        }
    );
    w.node(B::CONV_2D, &[x, weights, bias], &[y], conv);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn uint8_is_shifted_and_padding_is_uneven() {
    let g = graph(&uint8_network());
    assert_eq!(tensor(&g, "x").quant.as_ref().unwrap().uniform(), Some((0.5, 0)));
    assert_eq!(tensor(&g, "y").quant.as_ref().unwrap().uniform(), Some((1.0, -128)));
    let w = tensor(&g, "w");
    assert_eq!((w.dtype, &w.shape[..]), (DType::I8, &[2, 1, 2, 3, 1][..]));
    assert_eq!(w.quant.as_ref().unwrap().uniform(), Some((0.25, 3)));
    assert_eq!(w.data.as_ref().unwrap().as_i8().unwrap(), (-6..6).collect::<Vec<i8>>());
    let Op::Conv { spatial, .. } = &g.nodes[0].op else { panic!() };
    // Rows: 3 outputs cover 6 of 5; columns: 4 outputs cover 9 of 8.
    assert_eq!(spatial.pad, [(0, 0), (0, 1), (0, 1)]);
    assert_eq!(g.nodes[0].activation, Activation::Relu6);
}

fn depth_multiplier() -> Writer {
    let mut w = Writer::default();
    let x = w.tensor(TensorSpec {
        name: "x".into(),
        shape: vec![1, 4, 4, 2],
        signature: vec![-1, 4, 4, 2],
        ..Default::default()
    });
    // Element (row, column, channel) of [1, 2, 1, 6] is 10 * row + channel.
    let numbers: Vec<f32> = (0..12).map(|i| (i / 6 * 10 + i % 6) as f32).collect();
    let weights = w.floats("w", &[1, 2, 1, 6], &numbers);
    let y = w.tensor(TensorSpec {
        name: "y".into(),
        shape: vec![1, 3, 4, 6],
        signature: vec![-1, 3, 4, 6],
        ..Default::default()
    });
    let depthwise = options!(
        DepthwiseConv2DOptions,
        DepthwiseConv2DOptionsArgs {
            padding: Padding::VALID,
            stride_w: 1,
            stride_h: 1,
            depth_multiplier: 3,
            fused_activation_function: A::RELU_N1_TO_1,
        }
    );
    w.node(B::DEPTHWISE_CONV_2D, &[x, weights, -1], &[y], depthwise);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn depthwise_weights_are_laid_out_per_output_channel() {
    let g = graph(&depth_multiplier());
    assert_eq!(
        g.nodes[0].op,
        Op::Conv { spatial: Spatial::over_rows_and_columns([2, 1], [1, 1], [1, 1], [(0, 0); 2]), groups: 2 }
    );
    let w = g.tensor(g.nodes[0].inputs[1]);
    assert_eq!(w.shape, [6, 1, 2, 1, 1]);
    let expected: Vec<f32> = (0..6).flat_map(|c| [c as f32, (10 + c) as f32]).collect();
    assert_eq!(w.data.as_ref().unwrap().as_f32().unwrap(), expected);
    assert_eq!(g.nodes[0].activation, Activation::Clip { min: -1.0, max: 1.0 });
    assert_eq!(g.nodes[0].inputs.len(), 2);
    assert_eq!(out_shape(&g), [1, 3, 4, 6]);
}

/// Half-precision weights and bias behind DEQUANTIZE.
fn half_weights() -> Writer {
    let mut w = Writer::default();
    let half = |w: &mut Writer, name: &str, shape: &[i32], numbers: &[f32]| {
        let data = numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
        let kind = TensorType::FLOAT16;
        w.tensor(TensorSpec { name: name.into(), shape: shape.into(), kind, data, ..Default::default() })
    };
    let x = w.float("x", &[1, 1, 1, 3]);
    let (w16, b16) =
        (half(&mut w, "w16", &[2, 3], &[1., 2., 3., 4., 5., 6.]), half(&mut w, "b16", &[2], &[0.5, 7.]));
    let (weights, bias) = (w.float("w", &[2, 3]), w.float("b", &[2]));
    let y = w.float("y", &[1, 2]);
    w.node(B::DEQUANTIZE, &[w16], &[weights], None);
    w.node(B::DEQUANTIZE, &[b16], &[bias], None);
    let full =
        options!(FullyConnectedOptions, FullyConnectedOptionsArgs { fused_activation_function: A::TANH });
    w.node(B::FULLY_CONNECTED, &[x, weights, bias], &[y], full);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn half_precision_weights_stay_and_other_constants_widen() {
    let g = graph(&half_weights());
    assert_eq!(names(&g), ["reshape", "dense", "tanh"]);
    assert_eq!(g.tensor(g.nodes[1].inputs[1]).dtype, DType::F16);
    assert_eq!(g.tensor(g.nodes[1].inputs[2]).data.as_ref().unwrap().as_f32().unwrap(), [0.5, 7.0]);
    assert_eq!((&g.nodes[1].name[..], &g.nodes[2].name[..]), ("y/linear", "y"));
    assert!(g.tensors.iter().all(|t| t.name != "w16"), "folded constants leave no trace");
}

fn sparse_weights() -> Writer {
    let mut w = Writer::default();
    let x = w.float("x", &[1, 4]);
    let weights = w.tensor(TensorSpec {
        name: "w".into(),
        shape: vec![3, 4],
        data: [1f32, 2., 3., 4.].iter().flat_map(|x| x.to_le_bytes()).collect(),
        csr: Some((vec![0, 1, 1, 4], vec![2, 0, 1, 3])),
        ..Default::default()
    });
    let dense = w.float("dense", &[3, 4]);
    let y = w.float("y", &[1, 3]);
    w.node(B::DENSIFY, &[weights], &[dense], None);
    w.node(
        B::FULLY_CONNECTED,
        &[x, dense],
        &[y],
        options!(FullyConnectedOptions, FullyConnectedOptionsArgs {}),
    );
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn sparse_weights_become_dense() {
    let g = graph(&sparse_weights());
    let w = tensor(&g, "dense");
    assert_eq!(w.data.as_ref().unwrap().as_f32().unwrap(), [0., 0., 1., 0., 0., 0., 0., 0., 2., 3., 0., 4.]);
}

/// `reshape(x, [shape(x)[0], -1])`, and a uint8 constant cast to the index of a gather.
fn shape_chain() -> Writer {
    let mut w = Writer::default();
    let x = w.tensor(TensorSpec {
        name: "x".into(),
        shape: vec![1, 2, 3],
        signature: vec![-1, 2, 3],
        ..Default::default()
    });
    let dims = w.activation("dims", &[3], TensorType::INT32);
    let (zero, one, minus) = (w.ints("zero", &[0]), w.ints("one", &[1]), w.ints("minus", &[-1]));
    let batch = w.activation("batch", &[], TensorType::INT32);
    let sizes = w.activation("sizes", &[2], TensorType::INT32);
    let y = w.tensor(TensorSpec {
        name: "y".into(),
        shape: vec![1, 1],
        signature: vec![-1, -1],
        ..Default::default()
    });
    let minus_scalar = w.activation("minus/scalar", &[], TensorType::INT32);
    w.node(B::SHAPE, &[x], &[dims], None);
    let cut = options!(StridedSliceOptions, StridedSliceOptionsArgs { shrink_axis_mask: 1 });
    w.node(B::STRIDED_SLICE, &[dims, zero, one, one], &[batch], cut);
    w.node(B::SQUEEZE, &[minus], &[minus_scalar], None);
    w.node(
        B::PACK,
        &[batch, minus_scalar],
        &[sizes],
        options!(PackOptions, PackOptionsArgs { values_count: 2 }),
    );
    w.node(B::RESHAPE, &[x, sizes], &[y], None);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn shape_computations_fold_away() {
    let g = graph(&shape_chain());
    assert_eq!(names(&g), ["reshape"]);
    assert_eq!(out_shape(&g), [1, 6]);
    assert_eq!(g.tensors.len(), 2);
}

fn cuts() -> Writer {
    let mut w = Writer::default();
    let x = w.float("x", &[1, 6, 2]);
    let axis = w.ints("axis", &[-2]);
    let (a, b) = (w.float("a", &[1, 3, 2]), w.float("b", &[1, 3, 2]));
    w.node(B::SPLIT, &[axis, x], &[a, b], options!(SplitOptions, SplitOptionsArgs { num_splits: 2 }));
    let (begin, end, stride) = (w.ints("begin", &[0, -3]), w.ints("end", &[0, 9]), w.ints("stride", &[1, 2]));
    let c = w.float("c", &[1, 2, 2]);
    let mask = options!(StridedSliceOptions, StridedSliceOptionsArgs { end_mask: 1 });
    w.node(B::STRIDED_SLICE, &[a, begin, end, stride], &[c], mask);
    let (from, size) = (w.ints("from", &[0, 1, 0]), w.ints("size", &[1, -1, 1]));
    let d = w.float("d", &[1, 2, 1]);
    w.node(B::SLICE, &[b, from, size], &[d], None);
    let parts: Vec<i32> = (0..2).map(|i| w.float(&format!("part{i}"), &[1, 2])).collect();
    w.node(B::UNPACK, &[c], &parts, options!(UnpackOptions, UnpackOptionsArgs { num: 2, axis: 1 }));
    let packed = w.float("packed", &[1, 2, 2]);
    w.node(B::PACK, &parts, &[packed], options!(PackOptions, PackOptionsArgs { values_count: 2, axis: -1 }));
    let joined = w.float("joined", &[1, 2, 3]);
    let last = options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: -1 });
    w.node(B::CONCATENATION, &[packed, d], &[joined], last);
    let pick = w.ints("pick", &[2, 0]);
    let y = w.float("y", &[1, 2, 2]);
    w.node(B::GATHER, &[joined, pick], &[y], options!(GatherOptions, GatherOptionsArgs { axis: 2 }));
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn cutting_and_joining() {
    let g = graph(&cuts());
    let slices: Vec<(&str, &Op)> =
        g.nodes.iter().filter(|n| matches!(n.op, Op::Slice { .. })).map(|n| (&n.name[..], &n.op)).collect();
    let slice =
        |starts: [usize; 3], steps: [usize; 3]| Op::Slice { starts: starts.into(), steps: steps.into() };
    assert_eq!(
        slices,
        [
            ("a", &slice([0, 0, 0], [1, 1, 1])),
            ("b", &slice([0, 3, 0], [1, 1, 1])),
            ("c", &slice([0, 0, 0], [1, 2, 1])),
            ("d", &slice([0, 1, 0], [1, 1, 1])),
            ("part0/slice0", &slice([0, 0, 0], [1, 1, 1])),
            ("part0/slice1", &slice([0, 1, 0], [1, 1, 1])),
        ]
    );
    assert_eq!(g.nodes.last().unwrap().op, Op::Gather { axis: 2 });
    assert_eq!(out_shape(&g), [1, 2, 2]);
}

fn miscellany() -> Writer {
    let mut w = Writer::default();
    let x = w.quantized("x", &[1, 4, 4, 2], TensorType::INT8, 0.5, 3);
    let pads = w.ints("pads", &[0, 0, 1, 0, 0, 1, 0, 0]);
    let padded = w.quantized("padded", &[1, 5, 5, 2], TensorType::INT8, 0.5, 3);
    w.node(B::PAD, &[x, pads], &[padded], None);
    let pooled = w.quantized("pooled", &[1, 2, 2, 2], TensorType::INT8, 0.5, 3);
    let pool = options!(
        Pool2DOptions,
        Pool2DOptionsArgs {
            padding: Padding::VALID,
            stride_w: 2,
            stride_h: 2,
            filter_width: 3,
            filter_height: 3,
        }
    );
    w.node(B::AVERAGE_POOL_2D, &[padded], &[pooled], pool);
    let real = w.float("real", &[1, 2, 2, 2]);
    w.node(B::DEQUANTIZE, &[pooled], &[real], None);
    let slopes = w.floats("slopes", &[1, 1, 2], &[0.1, 0.2]);
    let bent = w.float("bent", &[1, 2, 2, 2]);
    w.node(B::PRELU, &[real, slopes], &[bent], None);
    let swished = w.float("swished", &[1, 2, 2, 2]);
    w.node(B::HARD_SWISH, &[bent], &[swished], None);
    let summed = w.float("summed", &[1, 2, 2, 2]);
    let add = options!(AddOptions, AddOptionsArgs { fused_activation_function: A::RELU });
    w.node(B::ADD, &[swished, real], &[summed], add);
    let size = w.ints("size", &[4, 6]);
    let grown = w.float("grown", &[1, 4, 6, 2]);
    let half =
        options!(ResizeNearestNeighborOptions, ResizeNearestNeighborOptionsArgs { half_pixel_centers: true });
    w.node(B::RESIZE_NEAREST_NEIGHBOR, &[summed, size], &[grown], half);
    let perm = w.ints("perm", &[0, 3, 1, 2]);
    let turned = w.float("turned", &[1, 2, 4, 6]);
    w.node(B::TRANSPOSE, &[grown, perm], &[turned], None);
    let product = w.float("product", &[1, 2, 4, 4]);
    w.node(
        B::BATCH_MATMUL,
        &[turned, turned],
        &[product],
        options!(BatchMatMulOptions, BatchMatMulOptionsArgs { adj_y: true }),
    );
    let axes = w.ints("axes", &[-1, 2]);
    let mean = w.float("mean", &[1, 2]);
    w.node(B::MEAN, &[product, axes], &[mean], None);
    let soft = w.float("soft", &[1, 2]);
    w.node(B::SOFTMAX, &[mean], &[soft], options!(SoftmaxOptions, SoftmaxOptionsArgs { beta: 2.0 }));
    let y = w.quantized("y", &[1, 2], TensorType::INT8, 1.0 / 256.0, -128);
    w.node(B::QUANTIZE, &[soft], &[y], None);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn other_operators() {
    let g = graph(&miscellany());
    assert_eq!(
        names(&g),
        [
            "pad",
            "average_pool",
            "dequantize",
            "prelu",
            "hard_swish",
            "add",
            "resize_nearest",
            "transpose",
            "matmul",
            "mean",
            "softmax",
            "quantize"
        ]
    );
    assert_eq!(g.nodes[0].op, Op::Pad { pads: vec![(0, 0), (1, 0), (0, 1), (0, 0)], value: 0.0 });
    assert!(matches!(g.nodes[1].op, Op::Pool { kind: PoolKind::Average { include_padding: false }, .. }));
    assert_eq!(g.nodes[4].op, Op::Unary(UnaryFn::HardSwish));
    assert_eq!((&g.nodes[5].op, g.nodes[5].activation), (&Op::Binary(BinaryFn::Add), Activation::Relu));
    assert_eq!(g.tensor(g.nodes[8].outputs[0]).shape, [1, 2, 4, 4]);
    assert_eq!(g.nodes[10].op, Op::Softmax { axis: 1, beta: 2.0 });
}

#[test]
fn int8_weights_beside_floats_become_float() {
    let mut w = Writer::default();
    let x = w.float("x", &[2, 2]);
    let weights = w.tensor(TensorSpec {
        name: "w".into(),
        shape: vec![2, 2],
        kind: TensorType::INT8,
        scales: vec![0.5, 2.0],
        zero_points: vec![0, 0],
        data: vec![1, 2, 3, 0xff],
        ..Default::default()
    });
    let y = w.float("y", &[2, 2]);
    let keep = options!(FullyConnectedOptions, FullyConnectedOptionsArgs { keep_num_dims: true });
    w.node(B::FULLY_CONNECTED, &[x, weights, -1], &[y], keep);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    let g = graph(&w);
    assert_eq!(names(&g), ["dense"]);
    let weights = g.tensor(g.nodes[0].inputs[1]);
    assert_eq!(weights.data, Some(Data::F32([0.5, 1.0, 6.0, -2.0].into())));
}

#[test]
fn all_refusals_come_at_once() {
    let mut w = Writer::default();
    let x = w.float("x", &[1, 4, 4, 2]);
    let state = w.tensor(TensorSpec {
        name: "state".into(),
        shape: vec![1, 4, 4, 2],
        variable: true,
        ..Default::default()
    });
    let wide = w.activation("wide", &[1, 4, 4, 2], TensorType::FLOAT64);
    let out: Vec<i32> = (0..6).map(|i| w.float(&format!("y{i}"), &[1, 4, 4, 2])).collect();
    w.custom("CIRCULAR_BUFFER", &[x], &[out[0]]);
    w.node(B::ADD, &[out[0], state], &[out[1]], None);
    w.node(B::RELU, &[out[1]], &[out[2]], None);
    w.node(B::RELU, &[out[2]], &[wide], None);
    w.node(B::LOG_SOFTMAX, &[out[2]], &[out[3]], None);
    w.node(B::RELU, &[77], &[out[4]], None);
    w.node(B::READ_VARIABLE, &[x], &[out[5]], None);
    (w.inputs, w.outputs) = (vec![x], vec![out[4]]);
    let list = refusals(&w);
    let found: Vec<(&str, &str)> = list.iter().map(|r| (&r.node[..], &r.operator[..])).collect();
    assert_eq!(
        found,
        [
            ("y0", "CIRCULAR_BUFFER"),
            ("y1", "ADD"),
            ("wide", "RELU"),
            ("y3", "LOG_SOFTMAX"),
            ("y4", "RELU"),
            ("y5", "READ_VARIABLE"),
        ]
    );
    assert!(list[1].reason.contains("variable") && list[2].reason.contains("float64"), "{list:?}");
    assert!(list[3].instead.is_some() && list[4].reason.contains("77"), "{list:?}");
}

#[test]
fn an_open_axis_is_named() {
    let mut w = Writer::default();
    let x = w.tensor(TensorSpec {
        name: "x".into(),
        shape: vec![1, 1, 3],
        signature: vec![-1, -1, 3],
        ..Default::default()
    });
    let y = w.float("y", &[1, 1, 3]);
    w.node(B::RELU, &[x], &[y], None);
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    assert!(matches!(import(&w.finish()), Err(ImportError::OpenAxis { axis: 1, .. })));
}

#[test]
fn lengths_are_checked() {
    let mut w = half_weights();
    w.tensor(TensorSpec::default());
    let x = w.float("x2", &[1, 3]);
    let short = w.floats("short", &[2, 3], &[1.0; 5]);
    let y = w.float("y2", &[1, 2]);
    w.node(
        B::FULLY_CONNECTED,
        &[x, short],
        &[y],
        options!(FullyConnectedOptions, FullyConnectedOptionsArgs {}),
    );
    let huge = w.float("huge", &[1 << 30, 1 << 30]);
    w.node(B::RELU, &[x], &[huge], None);
    w.inputs.push(x);
    let list = refusals(&w);
    assert_eq!(list.len(), 2, "{list:?}");
    assert!(list[0].reason.contains("20 bytes"), "{list:?}");
    assert!(list[1].reason.contains("too large"), "{list:?}");
}

#[test]
fn depth_moves_to_space_and_back() {
    let mut w = Writer::default();
    let x = w.float("x", &[1, 1, 2, 8]);
    let (space, y) = (w.float("space", &[1, 2, 4, 2]), w.float("y", &[1, 1, 2, 8]));
    w.node(
        B::DEPTH_TO_SPACE,
        &[x],
        &[space],
        options!(DepthToSpaceOptions, DepthToSpaceOptionsArgs { block_size: 2 }),
    );
    w.node(
        B::SPACE_TO_DEPTH,
        &[space],
        &[y],
        options!(SpaceToDepthOptions, SpaceToDepthOptionsArgs { block_size: 2 }),
    );
    (w.inputs, w.outputs) = (vec![x], vec![space, y]);
    let g = graph(&w);
    let numbers: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let results = crate::graph::eval::evaluate(&g, &[Data::F32(numbers.clone().into())]).unwrap();
    assert_eq!(results[0].to_f32(), [0., 1., 2., 3., 8., 9., 10., 11., 4., 5., 6., 7., 12., 13., 14., 15.]);
    assert_eq!(results[1].to_f32(), numbers);
}

/// A buffer of the last two frames, and a frame that is read before and behind its assignment.
fn variables() -> Writer {
    let mut init = Writer::default();
    let codes = |w: &mut Writer, name: &str, shape: &[i32], data: &[i8]| {
        let (name, shape, kind) = (name.into(), shape.into(), TensorType::INT8);
        let (scales, zero_points) = (vec![0.5], vec![-3]);
        let data = data.iter().map(|&code| code as u8).collect();
        w.tensor(TensorSpec { name, shape, kind, scales, zero_points, data, ..Default::default() })
    };
    let (buffer, last) = (init.variable("buffer"), init.variable("last"));
    let first = codes(&mut init, "first", &[2, 3], &[-3, -3, -3, 5, 6, 7]);
    init.node(B::ASSIGN_VARIABLE, &[buffer, first], &[], None);
    let first = codes(&mut init, "first_last", &[1, 3], &[1, 2, 3]);
    init.node(B::ASSIGN_VARIABLE, &[last, first], &[], None);

    let mut w = Writer::default();
    w.init = Some(Box::new(init));
    let frame =
        |w: &mut Writer, name: &str, rows: i32| w.quantized(name, &[rows, 3], TensorType::INT8, 0.5, -3);
    w.node(B::CALL_ONCE, &[], &[], options!(CallOnceOptions, CallOnceOptionsArgs { init_subgraph_index: 1 }));
    let x = frame(&mut w, "x", 1);
    let (buffer, last) = (w.variable("buffer"), w.variable("last"));
    let (old, joined, new) = (frame(&mut w, "old", 2), frame(&mut w, "joined", 3), frame(&mut w, "new", 2));
    w.node(B::READ_VARIABLE, &[buffer], &[old], None);
    w.node(
        B::CONCATENATION,
        &[old, x],
        &[joined],
        options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 0 }),
    );
    let (begin, size) = (w.ints("begin", &[1, 0]), w.ints("size", &[2, 3]));
    w.node(B::SLICE, &[joined, begin, size], &[new], None);
    w.node(B::ASSIGN_VARIABLE, &[buffer, new], &[], None);
    let (before, behind) = (frame(&mut w, "before", 1), frame(&mut w, "behind", 1));
    w.node(B::READ_VARIABLE, &[last], &[before], None);
    w.node(B::ASSIGN_VARIABLE, &[last, x], &[], None);
    w.node(B::READ_VARIABLE, &[last], &[behind], None);
    let y = frame(&mut w, "y", 5);
    w.node(
        B::CONCATENATION,
        &[joined, before, behind],
        &[y],
        options!(ConcatenationOptions, ConcatenationOptionsArgs { axis: 0 }),
    );
    (w.inputs, w.outputs) = (vec![x], vec![y]);
    w
}

#[test]
fn variables_are_states() {
    let graph = graph(&variables());
    assert_eq!((graph.inputs.len(), graph.outputs.len(), graph.states.len()), (3, 3, 2));
    assert_eq!(graph.states[0].initial, Data::I8([-3, -3, -3, 5, 6, 7].into()));
    let converted = crate::convert::compile(graph, &Default::default()).unwrap();
    let mut executor = crate::executor::Executor::new(&converted.plan).unwrap();
    executor
        .with(|engine| {
            let mut frames: Vec<[u8; 3]> = vec![[253, 253, 253], [5, 6, 7]];
            let mut last = [1, 2, 3];
            for t in 0..6u8 {
                let frame = [10 * t, 1, 2 * t];
                engine.step(&frame)?;
                frames.push(frame);
                let shown = [&frames[frames.len() - 3..], &[last], &[frame]].concat().concat();
                assert_eq!(engine.output(0)?.bytes(), shown, "step {t}");
                last = frame;
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn variables_without_a_first_value_are_refused() {
    let mut w = variables();
    w.init = None;
    let list = refusals(&w);
    assert!(list.iter().any(|r| r.operator == "CALL_ONCE" && r.reason.contains("subgraph")), "{list:?}");
    assert!(
        list.iter().any(|r| r.operator == "READ_VARIABLE" && r.reason.contains("first value")),
        "{list:?}"
    );
}
