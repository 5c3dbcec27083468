//! Bounded reading of a TFLite file: tensors with their shapes, types and quantization, and constant data.
//!
//! The flatbuffers verifier has checked that every offset lies in the file. What the numbers mean (indices,
//! shapes, lengths, zero points) is checked here; nothing is allocated before its size has been.

use super::refused::{Refused, refuse};
use super::sparse;
use crate::graph::{DType, Data, Quant, Tensor};
use crate::import::ImportError;
use half::f16;
use std::sync::Arc;
use tract_tflite::tflite as schema;

/// More axes than any real file has.
pub(super) const MAX_RANK: usize = 8;
/// Elements of one tensor: well below anything that could overflow later.
const MAX_ELEMENTS: usize = 1 << 31;
/// Names longer than this are cut; converters join the names of fused layers without end.
const MAX_NAME: usize = 1024;

/// The first subgraph of a model.
pub(super) struct File<'a> {
    pub name: String,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub operators: Vec<schema::Operator<'a>>,
    pub codes: Vec<schema::OperatorCode<'a>>,
    tensors: Vec<schema::Tensor<'a>>,
    buffers: Vec<schema::Buffer<'a>>,
    model: schema::Model<'a>,
}

/// A shape as the file states it.
pub(super) struct Declared {
    /// Open axes have length 1 here.
    pub shape: Vec<usize>,
    /// Axes whose length is only known when the model runs.
    pub open: Vec<usize>,
    /// The file states no shape at all (which is also how it states that of a scalar).
    pub blank: bool,
}

pub(super) fn malformed(reason: impl Into<String>) -> ImportError {
    ImportError::Malformed { format: "TFLite", reason: reason.into() }
}

impl<'a> File<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        // A sound file shares little, so the sum of all that it points to can't be much more than itself.
        // The limit stops files in which a million tables share one long vector.
        let options = flatbuffers::VerifierOptions {
            max_apparent_size: bytes.len().saturating_mul(4).saturating_add(1 << 20),
            ..Default::default()
        };
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err(malformed("the label `TFL3` is missing"));
        }
        let model =
            schema::root_as_model_with_opts(&options, bytes).map_err(|e| malformed(first_line(&e)))?;
        Self::of(model, 0).ok_or_else(|| malformed("it holds no graph"))
    }

    /// Another subgraph of the same model.
    pub fn subgraph(&self, index: usize) -> Option<Self> {
        Self::of(self.model, index)
    }

    fn of(model: schema::Model<'a>, index: usize) -> Option<Self> {
        let subgraphs = model.subgraphs()?;
        let subgraph = (index < subgraphs.len()).then(|| subgraphs.get(index))?;
        Some(Self {
            name: cut(subgraph.name().unwrap_or_default()),
            inputs: subgraph.inputs().map(|v| v.iter().collect()).unwrap_or_default(),
            outputs: subgraph.outputs().map(|v| v.iter().collect()).unwrap_or_default(),
            operators: subgraph.operators().map(|v| v.iter().collect()).unwrap_or_default(),
            codes: model.operator_codes().map(|v| v.iter().collect()).unwrap_or_default(),
            tensors: subgraph.tensors().map(|v| v.iter().collect()).unwrap_or_default(),
            buffers: model.buffers().map(|v| v.iter().collect()).unwrap_or_default(),
            model,
        })
    }

    /// The operator's code; old files write it in the byte-wide field, new ones in both.
    pub fn builtin(&self, op: &schema::Operator<'a>) -> Option<schema::BuiltinOperator> {
        let code = self.codes.get(usize::try_from(op.opcode_index()).ok()?)?;
        Some(schema::BuiltinOperator(code.builtin_code().0.max(code.deprecated_builtin_code().into())))
    }

    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    pub fn tensor(&self, index: usize) -> Result<schema::Tensor<'a>, Refused> {
        match self.tensors.get(index) {
            Some(&tensor) => Ok(tensor),
            None => refuse(format!("tensor {index} does not exist")),
        }
    }

    /// Name of a tensor; `tensor 7` for a nameless or missing one.
    pub fn tensor_name(&self, index: usize) -> String {
        let name = self.tensors.get(index).and_then(|t| t.name()).unwrap_or_default();
        if name.is_empty() { format!("tensor {index}") } else { cut(name) }
    }

    pub fn declared(&self, index: usize) -> Result<Declared, Refused> {
        let tensor = self.tensor(index)?;
        let dims: Vec<i32> =
            tensor.shape().map(|v| v.iter().take(MAX_RANK + 1).collect()).unwrap_or_default();
        let signature: Vec<i32> =
            tensor.shape_signature().map(|v| v.iter().take(MAX_RANK + 1).collect()).unwrap_or_default();
        if dims.len() > MAX_RANK {
            return refuse(format!("`{}` has more than {MAX_RANK} axes", self.tensor_name(index)));
        }
        let is_open = |axis: usize| {
            dims[axis] < 0 || (signature.len() == dims.len() && signature.get(axis).is_some_and(|&d| d < 0))
        };
        let open: Vec<usize> = (0..dims.len()).filter(|&axis| is_open(axis)).collect();
        let mut shape: Vec<usize> = dims.iter().map(|&d| usize::try_from(d).unwrap_or(1)).collect();
        open.iter().for_each(|&axis| shape[axis] = 1);
        let blank = shape.is_empty();
        elements(&shape).map_err(|e| e.about(&self.tensor_name(index)))?;
        Ok(Declared { shape, open, blank })
    }

    /// Element type in the graph and quantization. Quantized `uint8` becomes `int8`.
    pub fn element_type(&self, index: usize, shape: &[usize]) -> Result<(DType, Option<Quant>), Refused> {
        let tensor = self.tensor(index)?;
        let name = || self.tensor_name(index);
        let dtype = match tensor.type_() {
            schema::TensorType::FLOAT32 => DType::F32,
            schema::TensorType::FLOAT16 => DType::F16,
            schema::TensorType::INT8 | schema::TensorType::INT4 => DType::I8,
            schema::TensorType::UINT8 => DType::U8,
            schema::TensorType::INT16 => DType::I16,
            schema::TensorType::INT32 => DType::I32,
            schema::TensorType::INT64 => DType::I64,
            schema::TensorType::BOOL => DType::Bool,
            other => {
                let known =
                    other.variant_name().map_or_else(|| format!("type {}", other.0), str::to_lowercase);
                return refuse(format!("`{}` has elements of {known}", name()));
            }
        };
        if matches!(dtype, DType::F32 | DType::F16 | DType::I64 | DType::Bool) {
            return Ok((dtype, None));
        }
        let mut quant = self.quant(tensor, dtype, shape).map_err(|e| e.about(&name()))?;
        if let (DType::U8, Some(quant)) = (dtype, &mut quant) {
            quant.zero_points.iter_mut().for_each(|z| *z -= 128);
            return Ok((DType::I8, Some(quant.clone())));
        }
        Ok((dtype, quant))
    }

    fn quant(
        &self,
        tensor: schema::Tensor<'a>,
        dtype: DType,
        shape: &[usize],
    ) -> Result<Option<Quant>, Refused> {
        let Some(parameters) = tensor.quantization() else { return Ok(None) };
        let Some(scales) = parameters.scale().filter(|s| !s.is_empty()) else { return Ok(None) };
        if parameters.details_type() != schema::QuantizationDetails::NONE {
            return refuse("it has a quantization of its own kind");
        }
        let axis = match scales.len() {
            1 => None,
            count => {
                let axis = usize::try_from(parameters.quantized_dimension()).ok();
                match axis.and_then(|axis| shape.get(axis)) {
                    Some(&length) if length == count => axis,
                    _ => return refuse(format!("its {count} scales belong to no axis of {shape:?}")),
                }
            }
        };
        let scales: Vec<f32> = scales.iter().collect();
        if scales.iter().any(|s| !s.is_finite() || *s < 0.0) {
            return refuse("it has a scale that is negative or not a number");
        }
        let zero_points: Vec<i64> = parameters.zero_point().map(|v| v.iter().collect()).unwrap_or_default();
        let range = match dtype {
            DType::U8 => 0..=255,
            DType::I8 => -128..=127,
            DType::I16 => -32768..=32767,
            _ => 0..=0,
        };
        if zero_points.iter().any(|z| !range.contains(z)) {
            return refuse("it has a zero point outside of its type");
        }
        let zero_points = match zero_points[..] {
            [] => vec![0; scales.len()],
            [one] => vec![one as i32; scales.len()],
            _ if zero_points.len() == scales.len() => zero_points.iter().map(|&z| z as i32).collect(),
            _ => {
                return refuse(format!(
                    "it has {} zero points for {} scales",
                    zero_points.len(),
                    scales.len()
                ));
            }
        };
        Ok(Some(Quant { scales, zero_points, axis }))
    }

    /// Whether the file holds data for this tensor.
    pub fn has_data(&self, index: usize) -> bool {
        self.tensors.get(index).is_some_and(|&tensor| self.bytes(tensor).is_some())
    }

    fn bytes(&self, tensor: schema::Tensor<'a>) -> Option<&'a [u8]> {
        let buffer = self.buffers.get(usize::try_from(tensor.buffer()).ok()?)?;
        buffer.data().map(|data| data.bytes()).filter(|bytes| !bytes.is_empty())
    }

    /// A tensor with its data, sparse ones made dense. `charge` is asked before anything large is allocated.
    pub fn constant(
        &self,
        index: usize,
        charge: &mut dyn FnMut(usize) -> Result<(), Refused>,
    ) -> Result<Tensor, Refused> {
        let tensor = self.tensor(index)?;
        let name = self.tensor_name(index);
        let shape = self.declared(index)?.shape;
        let (dtype, quant) = self.element_type(index, &shape)?;
        let count = elements(&shape)?;
        let bytes = self.bytes(tensor).unwrap_or_default();
        let packed = tensor.type_() == schema::TensorType::INT4;
        let shifted = tensor.type_() == schema::TensorType::UINT8 && dtype == DType::I8;

        let needed = if packed { count.div_ceil(2) } else { count.saturating_mul(dtype.size()) };
        let data = match tensor.sparsity() {
            Some(_) if packed => return refuse(format!("`{name}` is sparse and has 4-bit elements")),
            Some(sparsity) => {
                let values = bytes.len() / dtype.size();
                charge(count.saturating_mul(dtype.size() + 16).saturating_add(values.saturating_mul(8)))?;
                let places = sparse::positions(sparsity, &shape, values).map_err(|e| e.about(&name))?;
                let stored = decode(bytes, values, dtype, shifted);
                sparse::scatter(&stored, &places, count, if shifted { -128 } else { 0 })
            }
            None if bytes.len() != needed => {
                return refuse(format!("`{name}` holds {} bytes, its shape needs {needed}", bytes.len()));
            }
            None => {
                charge(count.saturating_mul(dtype.size()))?;
                if packed { nibbles(bytes, count) } else { decode(bytes, count, dtype, shifted) }
            }
        };
        Ok(Tensor { name, shape, dtype, quant, data: Some(data) })
    }
}

/// Number of elements of a shape.
pub(super) fn elements(shape: &[usize]) -> Result<usize, Refused> {
    let product = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match product.filter(|&n| n <= MAX_ELEMENTS) {
        Some(n) => Ok(n),
        None => refuse(format!("the shape {shape:?} is too large")),
    }
}

fn decode(bytes: &[u8], count: usize, dtype: DType, shifted: bool) -> Data {
    fn each<const N: usize, T>(bytes: &[u8], count: usize, f: impl Fn([u8; N]) -> T) -> Arc<[T]> {
        bytes.as_chunks::<N>().0.iter().take(count).map(|&b| f(b)).collect()
    }
    match dtype {
        DType::F32 => Data::F32(each(bytes, count, f32::from_le_bytes)),
        DType::F16 => Data::F16(each(bytes, count, f16::from_le_bytes)),
        DType::I8 if shifted => Data::I8(each(bytes, count, |[b]: [u8; 1]| (b ^ 0x80) as i8)),
        DType::I8 => Data::I8(each(bytes, count, |[b]: [u8; 1]| b as i8)),
        DType::U8 => Data::U8(each(bytes, count, |[b]: [u8; 1]| b)),
        DType::I16 => Data::I16(each(bytes, count, i16::from_le_bytes)),
        DType::I32 => Data::I32(each(bytes, count, i32::from_le_bytes)),
        DType::I64 => Data::I64(each(bytes, count, i64::from_le_bytes)),
        DType::Bool => Data::Bool(each(bytes, count, |[b]: [u8; 1]| b != 0)),
    }
}

/// Two signed elements per byte, the low half first.
fn nibbles(bytes: &[u8], count: usize) -> Data {
    let both = bytes.iter().flat_map(|&b| [((b << 4) as i8) >> 4, (b as i8) >> 4]);
    Data::I8(both.take(count).collect())
}

fn cut(name: &str) -> String {
    let end = (0..=name.len().min(MAX_NAME)).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    name[..end].to_string()
}

fn first_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    cut(text.lines().next().unwrap_or_default().trim_end_matches('.'))
}
