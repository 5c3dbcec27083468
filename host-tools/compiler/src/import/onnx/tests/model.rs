//! A builder of small ONNX models.

use crate::graph::{Graph, Op};
use crate::import::onnx::{OnnxOptions, import};
use crate::import::{ImportError, Refusal};
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

pub struct Model {
    pub opset: i64,
    pub graph: GraphProto,
    pub options: OnnxOptions,
}

pub fn model(opset: i64) -> Model {
    let graph = GraphProto { name: "test".into(), ..GraphProto::default() };
    Model { opset, graph, options: OnnxOptions { channels_last_io: false, ..OnnxOptions::default() } }
}

fn info(name: &str, dims: &[i64], kind: DataType) -> ValueInfoProto {
    let dim = |&d: &i64| {
        let value = match d {
            d if d >= 0 => dimension::Value::DimValue(d),
            d => dimension::Value::DimParam(format!("axis{}", -d)),
        };
        Dimension { value: Some(value), ..Dimension::default() }
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value, ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}

impl Model {
    /// An input; negative dimensions are open and called `axis1`, `axis2`, ..
    pub fn input(self, name: &str, dims: &[i64]) -> Self {
        self.typed_input(name, dims, DataType::Float)
    }

    pub fn typed_input(mut self, name: &str, dims: &[i64], kind: DataType) -> Self {
        self.graph.input.push(info(name, dims, kind));
        self
    }

    pub fn output(mut self, name: &str) -> Self {
        self.graph.output.push(ValueInfoProto { name: name.into(), ..ValueInfoProto::default() });
        self
    }

    pub fn noted(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph.value_info.push(info(name, dims, DataType::Float));
        self
    }

    /// Float weights: 1, 2, 3, ..
    pub fn weights(self, name: &str, dims: &[i64]) -> Self {
        let n = dims.iter().product::<i64>();
        self.floats(name, dims, &(0..n).map(|i| i as f32 + 1.0).collect::<Vec<_>>())
    }

    pub fn floats(self, name: &str, dims: &[i64], data: &[f32]) -> Self {
        let raw = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, dims, DataType::Float, raw)
    }

    pub fn ints(self, name: &str, data: &[i64]) -> Self {
        let raw = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, &[data.len() as i64], DataType::Int64, raw)
    }

    pub fn raw(mut self, name: &str, dims: &[i64], kind: DataType, raw_data: Vec<u8>) -> Self {
        let (name, dims, data_type) = (name.into(), dims.to_vec(), kind as i32);
        self.graph.initializer.push(TensorProto {
            name,
            dims,
            data_type,
            raw_data,
            ..TensorProto::default()
        });
        self
    }

    pub fn node(
        mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[AttributeProto],
    ) -> Self {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: outputs.iter().map(|s| s.to_string()).collect(),
            op_type: op.into(),
            attribute: attributes.to_vec(),
            ..NodeProto::default()
        });
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let opset = OperatorSetIdProto { version: self.opset, ..OperatorSetIdProto::default() };
        let (opset_import, graph) = (vec![opset], Some(self.graph.clone()));
        ModelProto { ir_version: 8, opset_import, graph, ..ModelProto::default() }.encode_to_vec()
    }

    pub fn import(&self) -> Result<Graph, ImportError> {
        import(&self.bytes(), &self.options).map(|imported| imported.graph)
    }

    pub fn graph(&self) -> Graph {
        self.import().unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn refusals(&self) -> Vec<Refusal> {
        match self.import() {
            Err(ImportError::Unsupported(list)) => list,
            other => panic!("expected refusals, got {other:?}"),
        }
    }
}

/// `model` with one node `op` from input `x` (and initializers already added) to output `y`.
pub fn single(model: Model, op: &str, inputs: &[&str], attributes: &[AttributeProto]) -> Model {
    model.node(op, inputs, &["y"], attributes).output("y")
}

fn attribute(name: &str) -> AttributeProto {
    AttributeProto { name: name.into(), ..AttributeProto::default() }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, ..attribute(name) }
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { ints: ints.to_vec(), ..attribute(name) }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f, ..attribute(name) }
}

pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { s: s.as_bytes().to_vec(), ..attribute(name) }
}

pub fn tensor(name: &str, dims: &[i64], data: &[f32]) -> AttributeProto {
    let t = TensorProto {
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: data.to_vec(),
        ..TensorProto::default()
    };
    AttributeProto { t: Some(t), ..attribute(name) }
}

/// Names of the graph's operators, transposes and reshapes left out.
pub fn names(graph: &Graph) -> Vec<&'static str> {
    let computes = |op: &&Op| !matches!(op, Op::Transpose { .. } | Op::Reshape);
    graph.nodes.iter().map(|n| &n.op).filter(computes).map(Op::name).collect()
}

pub fn find<'g>(graph: &'g Graph, name: &str) -> &'g crate::graph::Node {
    match graph.nodes.iter().find(|n| n.op.name() == name) {
        Some(node) => node,
        None => panic!("no {name} in {:?}", names(graph)),
    }
}

pub fn output_shape(graph: &Graph) -> &[usize] {
    &graph.tensor(graph.outputs[0]).shape
}
