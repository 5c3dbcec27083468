//! What is refused, all at once, and why.

use super::model::{int, ints, model, single, text};
use crate::import::ImportError;
use tract_onnx::pb::StringStringEntryProto;
use tract_onnx::pb::tensor_proto::DataLocation;

#[test]
fn every_offending_node_is_listed_with_a_way_out() {
    let m = model(17)
        .input("x", &[1, 2, 8, 8])
        .weights("w", &[2, 2, 3, 3])
        .weights("s", &[4])
        .node("ConvTranspose", &["x", "w"], &["a"], &[])
        .node("Resize", &["a", "", "s"], &["b"], &[text("mode", "cubic")])
        .node("RNN", &["b"], &["c"], &[])
        .node("QLinearConv", &["x"], &["d"], &[])
        .node("Pad", &["x", "pads"], &["e"], &[text("mode", "wrap")])
        .node("If", &["x"], &["f"], &[])
        .ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1])
        .node("Concat", &["c", "d", "e", "f"], &["y"], &[int("axis", 1)])
        .output("y");
    let found = m.refusals();
    let operators: Vec<&str> = found.iter().map(|r| r.operator.as_str()).collect();
    assert_eq!(operators, ["ConvTranspose", "RNN", "QLinearConv", "Pad", "If"]);
    assert!(found.iter().all(|r| r.instead.is_some()));
    assert!(found[2].instead.as_deref().is_some_and(|i| i.contains("QDQ")));
    // With a noted shape the walk sees attributes behind a refused node too.
    let noted = m.noted("a", &[1, 2, 10, 10]).floats("s4", &[4], &[1.0, 1.0, 2.0, 2.0]);
    assert!(noted.refusals().len() >= operators.len());
}

#[test]
fn dead_nodes_are_not_refused() {
    let m = model(13).input("x", &[1, 2]).node("RNN", &["x"], &["unused"], &[]);
    assert_eq!(single(m, "Relu", &["x"], &[]).graph().nodes.len(), 1);
}

#[test]
fn foreign_domains_external_data_and_opsets() {
    let mut m = single(model(13).input("x", &[1, 2]), "FusedThing", &["x"], &[]);
    m.graph.node[0].domain = "com.example".into();
    assert!(m.refusals()[0].reason.contains("com.example"));
    let mut m = single(model(13).input("x", &[1, 2]).weights("w", &[2]), "Add", &["x", "w"], &[]);
    m.graph.initializer[0].data_location = Some(DataLocation::External as i32);
    m.graph.initializer[0].external_data.push(StringStringEntryProto::default());
    assert!(m.refusals()[0].reason.contains("external data"));
    let m = single(model(99).input("x", &[1, 2]), "Relu", &["x"], &[]);
    assert!(m.import().map(|_| ()).unwrap_err().to_string().contains("opset 99"));
}

#[test]
fn open_axes_are_asked_for() {
    let mut m = single(model(13).input("x", &[-1, 3, -2, -2]), "Relu", &["x"], &[]);
    match m.import() {
        Err(ImportError::OpenAxis { input, axis: 2, symbol }) => {
            assert_eq!((&input[..], &symbol[..]), ("x", "axis2"));
        }
        other => panic!("{other:?}"),
    }
    m.options.symbols.insert("axis2".into(), 5);
    let graph = m.graph();
    assert_eq!(graph.tensor(graph.inputs[0]).shape, [1, 3, 5, 5]);
    m.options.inputs.insert("x".into(), vec![1, 3, 7, 6]);
    let graph = m.graph();
    assert_eq!(graph.tensor(graph.inputs[0]).shape, [1, 3, 7, 6]);
}

#[test]
fn attributes_that_would_change_results_are_refused() {
    let image = || model(19).input("x", &[1, 2, 5, 5]);
    let window = ints("kernel_shape", &[2, 2]);
    let pool = [window.clone(), ints("pads", &[1, 1, 0, 0]), ints("strides", &[3, 3]), int("ceil_mode", 1)];
    let mut counted = pool.to_vec();
    counted.push(int("count_include_pad", 1));
    let even = || model(19).input("x", &[1, 2, 6, 6]);
    assert!(single(even(), "AveragePool", &["x"], &counted).import().is_err());
    assert!(single(even(), "AveragePool", &["x"], &pool).import().is_ok());
    // No window starts in the padding, so rounding up adds nothing here.
    assert!(single(image(), "AveragePool", &["x"], &counted).import().is_ok());
    let scales = image().floats("s", &[4], &[1.0, 1.0, 1.3, 1.3]);
    assert!(single(scales, "Resize", &["x", "", "s"], &[]).import().is_err());
    let second = image().node("MaxPool", &["x"], &["y", "indices"], &[window]);
    let both = second.node("Cast", &["indices"], &["i"], &[int("to", 1)]).output("i");
    assert!(both.import().is_err());
    let dynamic = image().typed_input("i", &[1], tract_onnx::pb::tensor_proto::DataType::Int64);
    assert!(single(dynamic, "Gather", &["x", "i"], &[]).refusals()[0].instead.is_some());
    let condition = image().typed_input("c", &[1], tract_onnx::pb::tensor_proto::DataType::Bool);
    assert!(single(condition, "Where", &["c", "x", "x"], &[]).import().is_err());
    assert!(single(image(), "BatchNormalization", &["x"], &[int("training_mode", 1)]).import().is_err());
}
