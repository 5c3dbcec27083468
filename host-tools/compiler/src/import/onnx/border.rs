//! Inputs and outputs of the graph, names of the file, and removal of what nobody reads.

use super::OnnxOptions;
use super::call::{Value, size_of};
use super::importer::{Importer, to_last};
use super::reader::{self, malformed};
use crate::graph::{DType, Data, Graph, State, Tensor, TensorId};
use crate::import::{ImportError, Refusal};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dim;
use tract_onnx::pb::{GraphProto, NodeProto, TypeProto, ValueInfoProto, type_proto};

/// Who defines each name of the file.
pub(super) struct Names<'m> {
    producers: HashMap<&'m str, usize>,
    given: HashSet<&'m str>,
}

impl<'m> Names<'m> {
    pub fn new(file: &'m GraphProto) -> Result<Self, ImportError> {
        let constants = file.initializer.iter().map(|t| t.name.as_str());
        let sparse =
            file.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|t| t.name.as_str());
        let inputs = file.input.iter().map(|i| i.name.as_str());
        let given: HashSet<&str> = constants.chain(sparse).chain(inputs).collect();
        let mut producers = HashMap::new();
        for (i, node) in file.node.iter().enumerate() {
            for name in node.output.iter().filter(|n| !n.is_empty()) {
                if given.contains(name.as_str()) || producers.insert(name.as_str(), i).is_some() {
                    return Err(malformed(format!("`{name}` is defined twice")));
                }
            }
        }
        Ok(Self { producers, given })
    }

    pub fn producer(&self, name: &str) -> Option<usize> {
        self.producers.get(name).copied()
    }

    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }
}

/// Adds the inputs that are not constants.
pub(super) fn inputs<'m>(
    cx: &mut Importer<'m>,
    file: &'m GraphProto,
    options: &OnnxOptions,
) -> Result<(), ImportError> {
    let constants: HashSet<&str> = file.initializer.iter().map(|t| t.name.as_str()).collect();
    let states = states(file, options);
    for info in &file.input {
        let name = info.name.as_str();
        if constants.contains(name) || cx.values.contains_key(name) {
            continue;
        }
        let refuse = |reason: String| Refusal {
            node: info.name.clone(),
            operator: "input".into(),
            reason,
            instead: None,
        };
        let shape = input_shape(info, options)?;
        let dtype = match tensor_type(info).map(|t| reader::dtype(t.elem_type)) {
            Some(Ok(dtype)) => dtype,
            Some(Err(why)) => {
                cx.refusals.push(refuse(why.reason));
                cx.values.insert(&info.name, Value::Unknown);
                continue;
            }
            None => return Err(malformed(format!("input `{}` is not a tensor", info.name))),
        };
        if let Err(why) = cx.check_shape(&shape) {
            cx.refusals.push(refuse(why.reason));
            cx.values.insert(&info.name, Value::Unknown);
            continue;
        }
        let is_state = states.iter().any(|(input, _)| *input == name);
        let flips = options.channels_last_io && !is_state && reaches_spatial(file, &info.name);
        let id = match to_last(shape.len()) {
            Ok(perm) if flips => {
                let last: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
                let id = cx.graph.add_tensor(Tensor::activation(info.name.clone(), last, dtype));
                cx.graph.inputs.push(id);
                let row = [shape[0], 1, shape.last().copied().unwrap_or(1), shape[1]];
                let twin = if shape.len() == 3 {
                    cx.reshape_node(id, &row, &format!("{}_rows", info.name))
                } else {
                    id
                };
                cx.file_order(twin, shape.len()).map_err(|why| malformed(why.reason))?
            }
            _ => {
                let id = cx.graph.add_tensor(Tensor::activation(info.name.clone(), shape, dtype));
                cx.graph.inputs.push(id);
                id
            }
        };
        cx.values.insert(&info.name, Value::Tensor(id));
    }
    Ok(())
}

/// Binds the outputs: channels last where they were computed so and the options allow it.
pub(super) fn outputs(
    cx: &mut Importer,
    file: &GraphProto,
    options: &OnnxOptions,
) -> Result<(), ImportError> {
    let states = states(file, options);
    for info in &file.output {
        let is_state = states.iter().any(|(_, output)| *output == info.name);
        let Some(value) = cx.values.get(info.name.as_str()).cloned() else {
            return Err(malformed(format!("nothing computes `{}`", info.name)));
        };
        let mut id = cx.operand(&value).map_err(|why| malformed(why.reason))?;
        if options.channels_last_io
            && !is_state
            && let Some(twin) = cx.twin(id)
        {
            let rank = cx.shape(id).len();
            id = twin;
            if rank == 3
                && let [n, 1, l, c] = cx.shape(twin)[..]
            {
                id = cx.reshape_node(twin, &[n, l, c], &info.name);
            }
        }
        if !cx.graph.inputs.contains(&id) && !cx.graph.outputs.contains(&id) {
            cx.graph.tensor_mut(id).name = info.name.clone();
        }
        cx.graph.outputs.push(id);
    }
    for (input, output) in states {
        tie(cx, file, input, output)?;
    }
    Ok(())
}

/// Pairs of an input and the output that is this input of the next step.
fn states<'m>(file: &'m GraphProto, options: &'m OnnxOptions) -> Vec<(&'m str, &'m str)> {
    let number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let named = file.input.iter().filter_map(|input| {
        let index = input.name.strip_prefix('s').filter(|index| number(index))?;
        let output = file.output.iter().find(|o| o.name.strip_prefix("ns") == Some(index))?;
        Some((input.name.as_str(), output.name.as_str()))
    });
    let given = options.states.iter().map(|(input, output)| (input.as_str(), output.as_str()));
    let mut all: Vec<_> = given.collect();
    all.extend(named.filter(|(input, _)| !options.states.iter().any(|(given, _)| given == input)));
    all
}

/// Notes a state; it starts with zeros.
fn tie(cx: &mut Importer, file: &GraphProto, input: &str, output: &str) -> Result<(), ImportError> {
    let place = |names: &[ValueInfoProto], name: &str, what| {
        let place = names.iter().position(|info| info.name == name);
        place.ok_or_else(|| malformed(format!("the state's {what} `{name}` does not exist")))
    };
    let output = place(&file.output, output, "output")?;
    place(&file.input, input, "input")?;
    let graph = &mut cx.graph;
    let made = graph.tensor(graph.outputs[output]).clone();
    let read = match cx.values.get(input) {
        Some(&Value::Tensor(id)) => graph.inputs.iter().position(|&given| given == id),
        _ => None,
    };
    let Some(read) = read else { return Err(malformed(format!("the state `{input}` is a constant"))) };
    let tensor = graph.tensor(graph.inputs[read]);
    if tensor.shape != made.shape || tensor.dtype != made.dtype {
        return Err(malformed(format!(
            "the state `{input}` is {:?}, what is kept of it, `{}`, is {:?}",
            tensor.shape, made.name, made.shape
        )));
    }
    if tensor.dtype != DType::F32 {
        return Err(malformed(format!("the state `{input}` does not hold float32 numbers")));
    }
    let initial = Data::F32(vec![0.0; tensor.len()].into());
    graph.states.push(State { input: read, output, initial });
    Ok(())
}

fn tensor_type(info: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    match &info.r#type {
        Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) => Some(tensor),
        _ => None,
    }
}

/// The shape that the file notes for a tensor, if it has no open axis.
pub(super) fn noted_shape(info: &ValueInfoProto) -> Option<(Vec<usize>, DType)> {
    let tensor = tensor_type(info)?;
    let dims = &tensor.shape.as_ref()?.dim;
    let shape = dims.iter().map(|d| match d.value {
        Some(Dim::DimValue(v)) => size_of(v).ok(),
        _ => None,
    });
    Some((shape.collect::<Option<_>>()?, reader::dtype(tensor.elem_type).ok()?))
}

fn input_shape(info: &ValueInfoProto, options: &OnnxOptions) -> Result<Vec<usize>, ImportError> {
    let noted = tensor_type(info).and_then(|t| t.shape.as_ref());
    if let Some(given) = options.inputs.get(&info.name) {
        if noted.is_some_and(|n| n.dim.len() != given.len()) {
            return Err(malformed(format!("input `{}` does not have {} axes", info.name, given.len())));
        }
        return Ok(given.clone());
    }
    let Some(noted) = noted else {
        return Err(ImportError::OpenAxis { input: info.name.clone(), axis: 0, symbol: "no shape".into() });
    };
    let size = |(axis, dim): (usize, &tract_onnx::pb::tensor_shape_proto::Dimension)| {
        let symbol = match &dim.value {
            Some(Dim::DimValue(v)) if *v > 0 => {
                return size_of(*v)
                    .map_err(|why| malformed(format!("input `{}`: {}", info.name, why.reason)));
            }
            Some(Dim::DimParam(symbol)) => symbol.clone(),
            _ => "?".to_string(),
        };
        // Axes without a symbol have the input's name and their place: `x[2]`.
        let place = format!("{}[{axis}]", info.name);
        match options.symbols.get(&symbol).or_else(|| options.symbols.get(&place)) {
            Some(&size) => Ok(size),
            None if axis == 0 => Ok(1),
            None => Err(ImportError::OpenAxis { input: info.name.clone(), axis, symbol }),
        }
    };
    noted.dim.iter().enumerate().map(size).collect()
}

/// Whether an input comes to an operator that has channels in the second axis, through nodes that keep the axes.
/// (Models whose exporter put a `Transpose` behind the input are channels last already.)
fn reaches_spatial(file: &GraphProto, input: &str) -> bool {
    let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in &file.node {
        for name in &node.input {
            readers.entry(name).or_default().push(node);
        }
    }
    let (mut seen, mut queue) = (HashSet::from([input]), vec![input]);
    while let Some(name) = queue.pop() {
        for node in readers.get(name).into_iter().flatten() {
            match &node.op_type[..] {
                "Conv"
                | "MaxPool"
                | "AveragePool"
                | "GlobalAveragePool"
                | "GlobalMaxPool"
                | "Resize"
                | "Upsample"
                | "BatchNormalization"
                | "InstanceNormalization"
                | "GroupNormalization"
                | "ConvTranspose"
                | "DepthToSpace"
                | "SpaceToDepth" => return true,
                "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Cast" | "Identity" | "Clip"
                | "Relu" | "Pad" | "QuantizeLinear" | "DequantizeLinear" | "Sigmoid" | "Tanh" | "Concat"
                | "Neg" | "PRelu" | "LeakyRelu" | "HardSwish" => {
                    queue.extend(node.output.iter().map(String::as_str).filter(|n| seen.insert(n)));
                }
                _ => {}
            }
        }
    }
    false
}

/// Removes nodes that no output needs, and tensors that nothing names.
pub(super) fn without_dead_nodes(mut graph: Graph) -> Graph {
    let mut live = vec![false; graph.tensors.len()];
    graph.outputs.iter().for_each(|id| live[id.0] = true);
    let mut kept = Vec::new();
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if node.outputs.iter().any(|id| live[id.0]) {
            node.inputs.iter().chain(&node.outputs).for_each(|id| live[id.0] = true);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.inputs.iter().for_each(|id| live[id.0] = true);
    let mut moved = vec![TensorId(usize::MAX); graph.tensors.len()];
    let mut tensors = Vec::new();
    for (i, tensor) in graph.tensors.into_iter().enumerate() {
        if live[i] {
            moved[i] = TensorId(tensors.len());
            tensors.push(tensor);
        }
    }
    let ids = kept.iter_mut().flat_map(|n| n.inputs.iter_mut().chain(&mut n.outputs));
    ids.chain(&mut graph.inputs).chain(&mut graph.outputs).for_each(|id| *id = moved[id.0]);
    Graph { tensors, nodes: kept, ..graph }
}
