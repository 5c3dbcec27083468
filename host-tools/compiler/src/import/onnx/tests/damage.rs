//! Damaged and hostile files: an error or a graph, never a panic, a hang or a huge allocation.

use super::model::{Model, int, ints, model, single, tensor, text};
use crate::import::onnx::{OnnxOptions, import};
use crate::import::{ImportError, keep_for_fuzzing};
use tract_onnx::pb::tensor_proto::DataType;

fn rich() -> Model {
    model(13)
        .input("x", &[-1, 4, 8, 8])
        .weights("w", &[8, 4, 3, 3])
        .weights("b", &[8])
        .weights("fc", &[8, 5])
        .ints("minus", &[0, -1])
        .ints("axes", &[1])
        .ints("first", &[0])
        .ints("last", &[4])
        .floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])
        .floats("s", &[], &[0.1])
        .raw("z", &[], DataType::Uint8, vec![128])
        .node("QuantizeLinear", &["x", "s", "z"], &["q"], &[])
        .node("DequantizeLinear", &["q", "s", "z"], &["d"], &[])
        .node("Conv", &["d", "w", "b"], &["c"], &[ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])])
        .node("Relu", &["c"], &["r"], &[])
        .node("Resize", &["r", "", "scales"], &["u"], &[text("mode", "nearest")])
        .node("MaxPool", &["u"], &["p"], &[ints("kernel_shape", &[2, 2]), int("ceil_mode", 1)])
        .node("Split", &["p"], &["p1", "p2"], &[int("axis", 1)])
        .node("Concat", &["p2", "p1"], &["cc"], &[int("axis", 1)])
        .node("Shape", &["cc"], &["shape"], &[])
        .node("Slice", &["shape", "first", "axes"], &["n"], &[])
        .node("Concat", &["n", "minus"], &["wrong"], &[int("axis", 0)])
        .node("GlobalAveragePool", &["cc"], &["g"], &[])
        .node("Reshape", &["g", "minus"], &["f"], &[])
        .node("MatMul", &["f", "fc"], &["m"], &[])
        .node("Slice", &["m", "first", "last", "axes"], &["sl"], &[])
        .node("Softmax", &["sl"], &["y"], &[])
        .output("y")
}

/// Attention, layer norm, gates, broadcasting and what moves elements about.
fn elements() -> Model {
    let image = model(17)
        .input("x", &[1, 4, 6, 6])
        .weights("gamma", &[4])
        .weights("beta", &[4])
        .floats("slope", &[4, 1, 1], &[0.1, 0.2, 0.3, 0.4])
        .ints("tokens", &[1, 36, 4])
        .ints("pads", &[0, 0, 1, 1, 0, 0, 2, 0])
        .ints("order", &[2, 0, 1, 3])
        .ints("spatial", &[2, 3])
        .floats("scales", &[4], &[1.0, 1.0, 1.5, 2.0])
        .floats("low", &[], &[-1.0])
        .floats("high", &[], &[6.0]);
    let gated = image
        .node("ReduceMean", &["x"], &["mean"], &[ints("axes", &[2, 3]), int("keepdims", 1)])
        .node("HardSigmoid", &["mean"], &["gate"], &[])
        .node("Mul", &["x", "gate"], &["gated"], &[])
        .node("PRelu", &["gated", "slope"], &["p"], &[])
        .node("Clip", &["p", "low", "high"], &["clipped"], &[])
        .node("Gather", &["clipped", "order"], &["picked"], &[int("axis", 1)]);
    let attention = gated
        .node("Transpose", &["picked"], &["last"], &[ints("perm", &[0, 2, 3, 1])])
        .node("Reshape", &["last", "tokens"], &["t"], &[])
        .node("LayerNormalization", &["t", "gamma", "beta"], &["n"], &[int("axis", -1)])
        .node("Transpose", &["n"], &["k"], &[ints("perm", &[0, 2, 1])])
        .node("MatMul", &["n", "k"], &["qk"], &[])
        .node("Softmax", &["qk"], &["a"], &[int("axis", -1)])
        .node("MatMul", &["a", "n"], &["av"], &[])
        .node("Add", &["av", "t"], &["sum"], &[])
        .node("Sigmoid", &["sum"], &["s"], &[])
        .node("Mul", &["sum", "s"], &["swish"], &[]);
    attention
        .ints("square", &[1, 6, 6, 4])
        .node("Reshape", &["swish", "square"], &["sq"], &[])
        .node("Transpose", &["sq"], &["first"], &[ints("perm", &[0, 3, 1, 2])])
        .node("Pad", &["first", "pads"], &["padded"], &[])
        .node(
            "AveragePool",
            &["padded"],
            &["pool"],
            &[ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])],
        )
        .node("Resize", &["pool", "", "scales"], &["up"], &[text("mode", "linear")])
        .node("DepthToSpace", &["up"], &["d"], &[int("blocksize", 2)])
        .node("GlobalMaxPool", &["d"], &["y"], &[])
        .output("y")
}

/// `tests/fuzz` damages these in every way.
#[test]
fn the_fuzz_corpus_is_these_models() {
    for (name, model) in [("rich", rich()), ("elements", elements()), ("qdq", super::quantized::residual())] {
        keep_for_fuzzing(&format!("{name}.onnx"), &model.bytes());
        model.graph();
    }
}

#[test]
fn no_constant_grows_beyond_what_the_file_justifies() {
    let huge = 1 << 30;
    let refused = |m: Model| assert!(m.import().is_err());
    refused(single(model(13).ints("s", &[huge, huge]), "ConstantOfShape", &["s"], &[]));
    refused(single(model(13).ints("s", &[huge]), "ConstantOfShape", &["s"], &[]));
    refused(single(model(13).ints("s", &[huge]).floats("v", &[1], &[1.0]), "Expand", &["v", "s"], &[]));
    let wide = model(13).input("x", &[1, 3, i64::MAX, i64::MAX]);
    refused(single(wide, "Relu", &["x"], &[]));
    let padded = model(13).input("x", &[1, 3, 8, 8]).ints("p", &[0, 0, huge, huge, 0, 0, huge, huge]);
    refused(single(padded, "Pad", &["x", "p"], &[]));
    let mut doubling = model(13).weights("t0", &[1024]);
    for i in 0..40 {
        let (from, to) = (format!("t{i}"), format!("t{}", i + 1));
        doubling = doubling.node("Concat", &[&from, &from], &[&to], &[int("axis", 0)]);
    }
    refused(doubling.output("t40"));
    let range = model(13).node("Constant", &[], &["a"], &[int("value_int", 0)]);
    let range = range.node("Constant", &[], &["b"], &[int("value_int", i64::MAX)]);
    let range = range.node("Constant", &[], &["c"], &[int("value_int", 1)]);
    refused(single(range, "Range", &["a", "b", "c"], &[]));
    let stride = model(13).input("x", &[1, 1, 8, 8]).weights("w", &[1, 1, 3, 3]);
    refused(single(stride, "Conv", &["x", "w"], &[ints("strides", &[0, 0])]));
    let short = model(13).node("Constant", &[], &["c"], &[tensor("value", &[1 << 20, 1 << 20], &[1.0])]);
    refused(single(short, "Relu", &["c"], &[]));
}

#[test]
fn broken_wiring_is_named() {
    let circle = model(13).node("Relu", &["b"], &["a"], &[]).node("Relu", &["a"], &["b"], &[]).output("b");
    let message = circle.import().map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("circle"), "{message}");
    let dangling = single(model(13), "Relu", &["nowhere"], &[]);
    assert!(matches!(dangling.import(), Err(ImportError::Malformed { .. })));
    let twice = model(13).input("x", &[1, 2]).node("Relu", &["x"], &["y"], &[]);
    assert!(single(twice, "Relu", &["x"], &[]).import().is_err());
    assert!(import(b"", &OnnxOptions::default()).is_err());
    assert!(import(b"\x00\x01\x02 no model", &OnnxOptions::default()).is_err());
}
