//! Constant folding: each model computes a constant, the evaluator is the importer itself.

use super::model::{Model, int, ints, model, names, single, text};
use crate::graph::Data;
use tract_onnx::pb::tensor_proto::DataType;

fn folded(m: &Model) -> (Vec<usize>, Data) {
    let graph = m.graph();
    let tensor = graph.tensor(graph.outputs[0]);
    assert!(graph.nodes.is_empty(), "{:?}", names(&graph));
    (tensor.shape.clone(), tensor.data.clone().unwrap_or_else(|| panic!("not a constant")))
}

fn folded_ints(m: &Model) -> Vec<i64> {
    folded(m).1.to_i64().unwrap_or_default()
}

fn floats(m: &Model) -> Vec<f32> {
    folded(m).1.to_f32()
}

fn constants(opset: i64) -> Model {
    model(opset).input("x", &[1, 3, 8, 6]).ints("a", &[7, -2, 5]).ints("b", &[2, 3, -4]).ints("one", &[1])
}

#[test]
fn integer_arithmetic() {
    let of = |op: &str| folded_ints(&single(constants(13), op, &["a", "b"], &[]));
    assert_eq!(of("Add"), [9, 1, 1]);
    assert_eq!(of("Sub"), [5, -5, 9]);
    assert_eq!(of("Mul"), [14, -6, -20]);
    assert_eq!(of("Div"), [3, 0, -1]);
    assert_eq!(of("Mod"), [1, 1, -3]);
    assert_eq!(of("Max"), [7, 3, 5]);
    assert_eq!(of("Less"), [0, 1, 0]);
    let clipped = constants(13).ints("low", &[0]);
    assert_eq!(folded_ints(&single(clipped, "Clip", &["a", "low"], &[])), [7, 0, 5]);
    let zero = single(constants(13).ints("z", &[0]), "Div", &["a", "z"], &[]);
    assert!(zero.refusals()[0].reason.contains("zero"));
}

#[test]
fn real_functions() {
    let base = || model(13).floats("f", &[3], &[0.25, 4.0, -1.5]).floats("h", &[], &[0.5]);
    assert_eq!(floats(&single(base(), "Clip", &["f", "h"], &[])), [0.5, 4.0, 0.5]);
    assert_eq!(floats(&single(base(), "Elu", &["f"], &[]))[..2], [0.25, 4.0]);
    assert_eq!(floats(&single(base(), "Floor", &["f"], &[])), [0.0, 4.0, -2.0]);
    assert_eq!(floats(&single(base(), "Sqrt", &["f"], &[]))[..2], [0.5, 2.0]);
    assert_eq!(floats(&single(base(), "Pow", &["f", "h"], &[]))[..2], [0.5, 2.0]);
    assert_eq!(
        folded_ints(&single(base(), "Cast", &["f"], &[int("to", DataType::Int64 as i64)])),
        [0, 4, -1]
    );
}

#[test]
fn shape_chains_vanish() {
    let m = constants(13)
        .ints("zero", &[0])
        .ints("minus", &[-1])
        .node("Shape", &["x"], &["s"], &[])
        .node("Gather", &["s", "zero"], &["n"], &[int("axis", 0)])
        .node("Concat", &["n", "minus"], &["t"], &[int("axis", 0)])
        .node("Reshape", &["x", "t"], &["y"], &[])
        .output("y");
    let graph = m.graph();
    assert_eq!((graph.nodes.len(), &graph.tensor(graph.outputs[0]).shape[..]), (1, &[1, 144][..]));
}

#[test]
fn movement_of_constants() {
    let grid = || model(13).weights("w", &[2, 3]).ints("i", &[1]).ints("big", &[9]).ints("m", &[-1]);
    assert_eq!(floats(&single(grid(), "Transpose", &["w"], &[])), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(floats(&single(grid(), "Gather", &["w", "m"], &[])), [4.0, 5.0, 6.0]);
    assert_eq!(floats(&single(grid(), "Slice", &["w", "i", "big", "i"], &[])), [2.0, 3.0, 5.0, 6.0]);
    let reversed = grid().ints("low", &[-100]);
    let reversed = single(reversed, "Slice", &["w", "m", "low", "i", "m"], &[]);
    assert_eq!(floats(&reversed), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
    let (shape, _) = folded(&single(grid().ints("s", &[2, 1, 3]), "Expand", &["w", "s"], &[]));
    assert_eq!(shape, [2, 2, 3]);
    let (shape, _) = folded(&single(grid().ints("at", &[0, 3]), "Unsqueeze", &["w", "at"], &[]));
    assert_eq!(shape, [1, 2, 3, 1]);
    let old = single(model(11).weights("w", &[2, 1]), "Squeeze", &["w"], &[ints("axes", &[-1])]);
    assert_eq!(folded(&old).0, [2]);
    assert_eq!(floats(&single(grid(), "ReduceSum", &["w", "i"], &[int("keepdims", 0)])), [6.0, 15.0]);
}

#[test]
fn generated_constants() {
    let bound = |m: Model, name: &str, v: i64| m.node("Constant", &[], &[name], &[int("value_int", v)]);
    let m = bound(bound(bound(model(13), "from", 7), "to", 0), "by", -3);
    assert_eq!(folded_ints(&single(m, "Range", &["from", "to", "by"], &[])), [7, 4, 1]);
    let (shape, data) = folded(&single(model(13).ints("s", &[2, 2]), "ConstantOfShape", &["s"], &[]));
    assert_eq!((shape, data.to_f32()), (vec![2, 2], vec![0.0; 4]));
    let m = constants(13).node("Greater", &["a", "b"], &["c"], &[]);
    assert_eq!(folded_ints(&single(m, "Where", &["c", "a", "b"], &[])), [7, 3, 5]);
}

#[test]
fn half_precision_and_packed_integers() {
    let halves = [0x3c00u16, 0xc000].iter().flat_map(|h| h.to_le_bytes()).collect();
    let m = model(13).raw("h", &[2], DataType::Float16, halves);
    assert_eq!(floats(&single(m, "Cast", &["h"], &[int("to", 1)])), [1.0, -2.0]);
    let m = model(21).raw("q", &[3], DataType::Int4, vec![0xf1, 0x08]).floats("s", &[], &[0.5]);
    let m = m.node("DequantizeLinear", &["q", "s"], &["d"], &[]);
    assert_eq!(floats(&single(m, "Add", &["d", "d"], &[])), [1.0, -1.0, -8.0]);
}

#[test]
fn attention_bias_gather_folds() {
    let m = model(13).weights("table", &[2, 4]).raw("i", &[2, 2], DataType::Int64, {
        [3i64, 0, 1, 1].iter().flat_map(|v| v.to_le_bytes()).collect()
    });
    let (shape, data) = folded(&single(m, "Gather", &["table", "i"], &[int("axis", 1)]));
    assert_eq!(shape, [2, 2, 2]);
    assert_eq!(data.to_f32(), [4.0, 1.0, 2.0, 2.0, 8.0, 5.0, 6.0, 6.0]);
    let bad = model(13).weights("w", &[2, 4]).ints("i", &[4]);
    assert!(single(bad, "Gather", &["w", "i"], &[int("axis", 1), text("x", "")]).import().is_err());
}
