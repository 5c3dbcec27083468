//! Writes small TFLite files.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use tract_tflite::tflite::{self as schema, BuiltinOperator, BuiltinOptions, TensorType};

type Options = Box<dyn Fn(&mut FlatBufferBuilder<'static>) -> (BuiltinOptions, WIPOffset<UnionWIPOffset>)>;

/// A file under construction.
#[derive(Default)]
pub(super) struct Writer {
    tensors: Vec<TensorSpec>,
    operators: Vec<OperatorSpec>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// Subgraph 1: gives variables their first values.
    pub init: Option<Box<Writer>>,
}

#[derive(Default, Clone)]
pub(super) struct TensorSpec {
    pub name: String,
    pub shape: Vec<i32>,
    pub signature: Vec<i32>,
    pub kind: TensorType,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
    pub data: Vec<u8>,
    pub variable: bool,
    /// Segments and indices of the last axis; the axes before it are dense.
    pub csr: Option<(Vec<i32>, Vec<i32>)>,
}

struct OperatorSpec {
    code: BuiltinOperator,
    custom: Option<String>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Option<Options>,
}

impl Writer {
    pub fn tensor(&mut self, spec: TensorSpec) -> i32 {
        self.tensors.push(spec);
        self.tensors.len() as i32 - 1
    }

    pub fn activation(&mut self, name: &str, shape: &[i32], kind: TensorType) -> i32 {
        self.tensor(TensorSpec { name: name.into(), shape: shape.into(), kind, ..Default::default() })
    }

    pub fn float(&mut self, name: &str, shape: &[i32]) -> i32 {
        self.activation(name, shape, TensorType::FLOAT32)
    }

    pub fn quantized(&mut self, name: &str, shape: &[i32], kind: TensorType, scale: f32, zero: i64) -> i32 {
        let (name, shape) = (name.into(), shape.into());
        let (scales, zero_points) = (vec![scale], vec![zero]);
        self.tensor(TensorSpec { name, shape, kind, scales, zero_points, ..Default::default() })
    }

    pub fn floats(&mut self, name: &str, shape: &[i32], data: &[f32]) -> i32 {
        let data = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        let (name, shape) = (name.into(), shape.into());
        self.tensor(TensorSpec { name, shape, data, ..Default::default() })
    }

    pub fn ints(&mut self, name: &str, data: &[i32]) -> i32 {
        let shape = vec![data.len() as i32];
        let data = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        let kind = TensorType::INT32;
        self.tensor(TensorSpec { name: name.into(), shape, data, kind, ..Default::default() })
    }

    pub fn node(&mut self, code: BuiltinOperator, inputs: &[i32], outputs: &[i32], options: Option<Options>) {
        let (inputs, outputs) = (inputs.into(), outputs.into());
        self.operators.push(OperatorSpec { code, custom: None, inputs, outputs, options });
    }

    /// The handle of a variable.
    pub fn variable(&mut self, name: &'static str) -> i32 {
        let handle = self.activation(name, &[], TensorType::RESOURCE);
        let options: Options = Box::new(move |f| {
            let shared_name = Some(f.create_string(name));
            let args = schema::VarHandleOptionsArgs { shared_name, ..Default::default() };
            let table = schema::VarHandleOptions::create(f, &args);
            (BuiltinOptions::VarHandleOptions, table.as_union_value())
        });
        self.node(BuiltinOperator::VAR_HANDLE, &[], &[handle], Some(options));
        handle
    }

    pub fn custom(&mut self, name: &str, inputs: &[i32], outputs: &[i32]) {
        let (inputs, outputs) = (inputs.into(), outputs.into());
        let custom = Some(name.to_string());
        self.operators.push(OperatorSpec {
            code: BuiltinOperator::CUSTOM,
            custom,
            inputs,
            outputs,
            options: None,
        });
    }

    pub fn finish(&self) -> Vec<u8> {
        let mut f = FlatBufferBuilder::new();
        let (mut buffers, mut codes) =
            (vec![schema::Buffer::create(&mut f, &Default::default())], Vec::new());
        let subgraphs: Vec<_> = [Some(self), self.init.as_deref()]
            .into_iter()
            .flatten()
            .map(|graph| graph.subgraph(&mut f, &mut buffers, &mut codes))
            .collect();
        let subgraphs = Some(f.create_vector(&subgraphs));
        let buffers = Some(f.create_vector(&buffers));
        let operator_codes = Some(f.create_vector(&codes));
        let args = schema::ModelArgs { version: 3, operator_codes, subgraphs, buffers, ..Default::default() };
        let model = schema::Model::create(&mut f, &args);
        f.finish(model, Some("TFL3"));
        f.finished_data().to_vec()
    }

    fn subgraph(
        &self,
        f: &mut FlatBufferBuilder<'static>,
        buffers: &mut Vec<WIPOffset<schema::Buffer<'static>>>,
        codes: &mut Vec<WIPOffset<schema::OperatorCode<'static>>>,
    ) -> WIPOffset<schema::SubGraph<'static>> {
        let mut tensors = Vec::new();
        for spec in &self.tensors {
            let mut buffer = 0;
            if !spec.data.is_empty() {
                let data = Some(f.create_vector(&spec.data));
                buffers.push(schema::Buffer::create(f, &schema::BufferArgs { data }));
                buffer = buffers.len() as u32 - 1;
            }
            tensors.push(write_tensor(f, spec, buffer));
        }
        let mut operators = Vec::new();
        for spec in &self.operators {
            let custom_code = spec.custom.as_ref().map(|name| f.create_string(name));
            let args = schema::OperatorCodeArgs {
                deprecated_builtin_code: spec.code.0.min(127) as i8,
                builtin_code: spec.code,
                custom_code,
                version: 1,
            };
            codes.push(schema::OperatorCode::create(f, &args));
            let (kind, options) = match &spec.options {
                Some(write) => write(f),
                None => (BuiltinOptions::NONE, WIPOffset::new(0)),
            };
            let inputs = Some(f.create_vector(&spec.inputs));
            let outputs = Some(f.create_vector(&spec.outputs));
            let args = schema::OperatorArgs {
                opcode_index: codes.len() as u32 - 1,
                inputs,
                outputs,
                builtin_options_type: kind,
                builtin_options: spec.options.as_ref().map(|_| options),
                ..Default::default()
            };
            operators.push(schema::Operator::create(f, &args));
        }
        let tensors = Some(f.create_vector(&tensors));
        let inputs = Some(f.create_vector(&self.inputs));
        let outputs = Some(f.create_vector(&self.outputs));
        let operators = Some(f.create_vector(&operators));
        let args = schema::SubGraphArgs { tensors, inputs, outputs, operators, name: None };
        schema::SubGraph::create(f, &args)
    }
}

fn write_tensor<'f>(
    f: &mut FlatBufferBuilder<'f>,
    spec: &TensorSpec,
    buffer: u32,
) -> WIPOffset<schema::Tensor<'f>> {
    let name = Some(f.create_string(&spec.name));
    let shape = Some(f.create_vector(&spec.shape));
    let signature = (!spec.signature.is_empty()).then(|| f.create_vector(&spec.signature));
    let quantization = (!spec.scales.is_empty()).then(|| {
        let scale = Some(f.create_vector(&spec.scales));
        let zero_point = Some(f.create_vector(&spec.zero_points));
        let quantized_dimension = spec.axis;
        let args = schema::QuantizationParametersArgs {
            scale,
            zero_point,
            quantized_dimension,
            ..Default::default()
        };
        schema::QuantizationParameters::create(f, &args)
    });
    let sparsity = spec.csr.as_ref().map(|csr| write_csr(f, &spec.shape, csr));
    let args = schema::TensorArgs {
        shape,
        type_: spec.kind,
        buffer,
        name,
        quantization,
        is_variable: spec.variable,
        sparsity,
        shape_signature: signature,
        ..Default::default()
    };
    schema::Tensor::create(f, &args)
}

fn write_csr<'f>(
    f: &mut FlatBufferBuilder<'f>,
    shape: &[i32],
    (segments, indices): &(Vec<i32>, Vec<i32>),
) -> WIPOffset<schema::SparsityParameters<'f>> {
    let mut levels = Vec::new();
    for &dense_size in &shape[..shape.len() - 1] {
        let args = schema::DimensionMetadataArgs { dense_size, ..Default::default() };
        levels.push(schema::DimensionMetadata::create(f, &args));
    }
    let mut int_vector = |numbers: &[i32]| {
        let values = Some(f.create_vector(numbers));
        Some(schema::Int32Vector::create(f, &schema::Int32VectorArgs { values }).as_union_value())
    };
    let args = schema::DimensionMetadataArgs {
        format: schema::DimensionType::SPARSE_CSR,
        array_segments: int_vector(segments),
        array_segments_type: schema::SparseIndexVector::Int32Vector,
        array_indices: int_vector(indices),
        array_indices_type: schema::SparseIndexVector::Int32Vector,
        ..Default::default()
    };
    levels.push(schema::DimensionMetadata::create(f, &args));
    let order: Vec<i32> = (0..shape.len() as i32).collect();
    let traversal_order = Some(f.create_vector(&order));
    let dim_metadata = Some(f.create_vector(&levels));
    let args = schema::SparsityParametersArgs { traversal_order, dim_metadata, ..Default::default() };
    schema::SparsityParameters::create(f, &args)
}

/// Makes [`Options`] of a table and its arguments.
macro_rules! options {
    ($table:ident, $args:ident { $($field:ident: $value:expr),* $(,)? }) => {
        Some(Box::new(move |f: &mut flatbuffers::FlatBufferBuilder<'static>| {
            #[allow(clippy::needless_update)]
            let args = tract_tflite::tflite::$args { $($field: $value,)* ..Default::default() };
            let table = tract_tflite::tflite::$table::create(f, &args);
            (tract_tflite::tflite::BuiltinOptions::$table, table.as_union_value())
        }) as _)
    };
}
pub(super) use options;
