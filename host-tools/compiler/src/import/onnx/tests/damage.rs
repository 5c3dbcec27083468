//! Damaged and hostile files: an error or a graph, never a panic, a hang or a huge allocation.

use super::model::{Model, find, int, ints, model, single, tensor, text};
use crate::import::ImportError;
use crate::import::onnx::{OnnxOptions, import};
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

#[test]
fn mutations_and_truncations() {
    let bytes = rich().bytes();
    assert!(find(&rich().graph(), "softmax").inputs.len() == 1);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for i in 0..20_000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() % damaged.len();
            match random() % 4 {
                0 => damaged[at] = random() as u8,
                1 => damaged[at] ^= 1 << (random() % 8),
                2 => damaged[at] = [0, 1, 0x7f, 0x80, 0xff][random() % 5],
                _ => {
                    let end = (at + 1 + random() % 12).min(damaged.len());
                    damaged.drain(at..end);
                }
            }
            if damaged.is_empty() {
                break;
            }
        }
        if i % 4 == 0 {
            damaged.truncate(random() % (damaged.len() + 1));
        }
        let _ = import(&damaged, &OnnxOptions { channels_last_io: i % 2 == 0, ..OnnxOptions::default() });
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
