//! The walk over the nodes of the file: order, dead nodes, binding of names, collection of refusals.

use super::border::{self, Names};
use super::call::{Call, Value, elements};
use super::importer::Importer;
use super::reader::malformed;
use super::{OnnxOptions, ops, reader};
use crate::graph::{DType, Graph, Tensor};
use crate::import::{ImportError, Refusal};
use std::collections::{HashMap, HashSet, VecDeque};
use tract_onnx::pb::{GraphProto, NodeProto, ValueInfoProto};

/// Translates the file's graph.
pub(super) fn translate(
    file: &GraphProto,
    opset: i64,
    file_bytes: usize,
    options: &OnnxOptions,
) -> Result<Graph, ImportError> {
    let names = Names::new(file)?;
    let order = sorted(file, &names)?;
    let mut cx = Importer::new(file.name.clone(), file_bytes);
    let read: HashSet<&str> = order.iter().flat_map(|n| &n.input).map(String::as_str).collect();
    let outputs: HashSet<&str> = file.output.iter().map(|o| o.name.as_str()).collect();
    let wanted = |name: &str| read.contains(name) || outputs.contains(name);
    for tensor in file.initializer.iter().filter(|t| wanted(&t.name)) {
        let value = match reader::literal(tensor) {
            Ok(literal) => literal.into(),
            Err(why) => {
                cx.refusals.push(Refusal {
                    node: tensor.name.clone(),
                    operator: "initializer".into(),
                    reason: why.reason,
                    instead: why.instead,
                });
                Value::Unknown
            }
        };
        cx.values.insert(&tensor.name, value);
    }
    for sparse in file.sparse_initializer.iter().filter_map(|s| s.values.as_ref()) {
        cx.refusals.push(Refusal {
            node: sparse.name.clone(),
            operator: "initializer".into(),
            reason: "a sparse tensor".into(),
            instead: Some("a dense tensor; the compiler finds zeros itself".into()),
        });
        cx.values.insert(&sparse.name, Value::Unknown);
    }
    border::inputs(&mut cx, file, options)?;
    let hints: HashMap<&str, &ValueInfoProto> =
        file.value_info.iter().chain(&file.output).map(|v| (v.name.as_str(), v)).collect();
    for node in order {
        translate_node(&mut cx, node, opset, &hints);
    }
    if !cx.refusals.is_empty() {
        return Err(ImportError::Unsupported(cx.refusals));
    }
    border::outputs(&mut cx, file, options)?;
    Ok(border::without_dead_nodes(cx.graph))
}

fn translate_node<'m>(
    cx: &mut Importer<'m>,
    node: &'m NodeProto,
    opset: i64,
    hints: &HashMap<&str, &'m ValueInfoProto>,
) {
    let output = |i: usize| node.output.get(i).filter(|name| !name.is_empty());
    let name = match (node.name.is_empty(), output(0)) {
        (true, Some(first)) => first.clone(),
        _ => node.name.clone(),
    };
    let value = |name: &String| (!name.is_empty()).then(|| cx.values.get(name.as_str()).cloned());
    // A name that nothing defines was reported while sorting.
    let inputs: Vec<Option<Value>> =
        node.input.iter().map(|n| value(n).map(|v| v.unwrap_or(Value::Unknown))).collect();
    let unknown = inputs.iter().any(|v| matches!(v, Some(Value::Unknown)));
    let call = Call { proto: node, name, inputs, opset };
    let before = cx.graph.tensors.len();
    let result = match foreign(node) {
        Some(why) => Err(why),
        None if unknown && ops::is_known(call.op()) => {
            bind_unknown(cx, node, hints);
            return;
        }
        None if unknown => ops::refusal(call.op()),
        None => ops::translate(cx, &call),
    };
    match result {
        Ok(values) => {
            for (name, value) in node.output.iter().zip(values) {
                if let Value::Tensor(id) = value
                    && id.0 >= before
                {
                    match cx.twin(id).filter(|twin| twin.0 >= before) {
                        Some(twin) => {
                            cx.graph.tensor_mut(twin).name = name.clone();
                            cx.graph.tensor_mut(id).name = format!("{name}_channels_first");
                        }
                        None => cx.graph.tensor_mut(id).name = name.clone(),
                    }
                }
                cx.values.insert(name, value);
            }
        }
        Err(why) => {
            cx.refuse(&call, why);
            bind_unknown(cx, node, hints);
        }
    }
}

/// After a refusal the walk goes on, to find the other refusals: with the shapes that the file itself notes.
fn bind_unknown<'m>(cx: &mut Importer<'m>, node: &'m NodeProto, hints: &HashMap<&str, &'m ValueInfoProto>) {
    for name in node.output.iter().filter(|name| !name.is_empty()) {
        let hint = hints.get(name.as_str()).and_then(|info| border::noted_shape(info));
        let value = match hint {
            Some((shape, DType::F32)) if elements(&shape).is_ok_and(|n| n > 0) => {
                Value::Tensor(cx.graph.add_tensor(Tensor::activation(name.clone(), shape, DType::F32)))
            }
            _ => Value::Unknown,
        };
        cx.values.insert(name, value);
    }
}

/// Operators of other domains, except those that mean the same as a standard one.
fn foreign(node: &NodeProto) -> Option<super::call::Reject> {
    let standard = matches!(&node.domain[..], "" | "ai.onnx");
    let alike = node.domain == "com.microsoft"
        && matches!(&node.op_type[..], "QuantizeLinear" | "DequantizeLinear" | "Gelu");
    (!standard && !alike).then(|| super::call::Reject {
        reason: format!("an operator of the domain `{}`", node.domain),
        instead: Some(
            "standard operators: export again, or inline the model's functions (onnx.inliner)".into(),
        ),
    })
}

/// The nodes that the outputs need, each after those that it reads.
fn sorted<'m>(file: &'m GraphProto, names: &Names<'m>) -> Result<Vec<&'m NodeProto>, ImportError> {
    let mut needed = vec![false; file.node.len()];
    let mut queue: VecDeque<&str> = file.output.iter().map(|o| o.name.as_str()).collect();
    while let Some(name) = queue.pop_front() {
        match names.producer(name) {
            Some(i) if !needed[i] => {
                needed[i] = true;
                queue.extend(file.node[i].input.iter().filter(|n| !n.is_empty()).map(String::as_str));
            }
            Some(_) => {}
            None if names.is_given(name) => {}
            None => return Err(malformed(format!("nothing computes `{name}`"))),
        }
    }
    let mut waits = vec![0usize; file.node.len()];
    let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in (0..file.node.len()).filter(|&i| needed[i]) {
        for producer in file.node[i].input.iter().filter_map(|name| names.producer(name)) {
            waits[i] += 1;
            readers.entry(producer).or_default().push(i);
        }
    }
    // Smallest index first keeps the file's order wherever it is valid.
    let ready = (0..file.node.len()).filter(|&i| needed[i] && waits[i] == 0);
    let mut ready: std::collections::BTreeSet<usize> = ready.collect();
    let mut order = Vec::new();
    while let Some(i) = ready.pop_first() {
        order.push(&file.node[i]);
        for &reader in readers.get(&i).into_iter().flatten() {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if order.len() != needed.iter().filter(|&&n| n).count() {
        return Err(malformed("its nodes depend on each other in a circle"));
    }
    Ok(order)
}
