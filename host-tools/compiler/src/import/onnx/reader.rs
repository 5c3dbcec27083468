//! Bytes of an ONNX file to its protocol buffer, and tensors of the file to constants.

use super::call::{Res, elements, reject, reject_for, size_of};
use super::literal::Literal;
use crate::graph::{DType, Data};
use crate::import::ImportError;
use half::{bf16, f16};
use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

/// Opsets whose operators the translations know.
pub(super) const OPSETS: std::ops::RangeInclusive<i64> = 7..=21;

pub(super) fn malformed(reason: impl Into<String>) -> ImportError {
    ImportError::Malformed { format: "ONNX", reason: reason.into() }
}

/// Reads the file; answers its graph and the opset of the standard operators.
pub(super) fn read(bytes: &[u8]) -> Result<(ModelProto, i64), ImportError> {
    let model = ModelProto::decode(bytes).map_err(|e| malformed(e.to_string()))?;
    if model.graph.as_ref().is_none_or(|g| g.output.is_empty()) {
        return Err(malformed("it holds no graph with an output"));
    }
    let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let opset = model.opset_import.iter().find(|o| standard(&o.domain)).map(|o| o.version);
    let opset = opset.ok_or_else(|| malformed("it names no opset of the standard operators"))?;
    if !OPSETS.contains(&opset) {
        let reason = format!("opset {opset} is not known; export with an opset from 11 to 21");
        return Err(malformed(reason));
    }
    Ok((model, opset))
}

pub(super) fn graph(model: &ModelProto) -> Result<&GraphProto, ImportError> {
    model.graph.as_ref().ok_or_else(|| malformed("it holds no graph"))
}

/// Element type of the graph for one of the file. Half and double precision are computed in single precision.
pub(super) fn dtype(code: i32) -> Res<DType> {
    Ok(match DataType::try_from(code) {
        Ok(DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double) => DType::F32,
        Ok(DataType::Int8) => DType::I8,
        Ok(DataType::Uint8) => DType::U8,
        Ok(DataType::Int16) => DType::I16,
        Ok(DataType::Int32) => DType::I32,
        Ok(DataType::Int64) => DType::I64,
        Ok(DataType::Bool) => DType::Bool,
        Ok(other) => return reject(format!("element type {}", other.as_str_name())),
        Err(_) => return reject(format!("element type number {code}")),
    })
}

/// A tensor of the file. 4-bit integers are unpacked to 8-bit ones; half, bfloat and double become `f32`.
pub(super) fn literal(proto: &TensorProto) -> Res<Literal> {
    if proto.data_location == Some(DataLocation::External as i32) || !proto.external_data.is_empty() {
        return reject_for(
            format!("tensor `{}` lies in another file (external data)", proto.name),
            "save the model in one file: onnx.save(model, path, save_as_external_data=False)",
        );
    }
    if proto.segment.is_some() {
        return reject(format!("tensor `{}` is stored in segments", proto.name));
    }
    let shape = proto.dims.iter().map(|&d| size_of(d)).collect::<Res<Vec<_>>>()?;
    let n = elements(&shape)?;
    let data = data(proto, n)?;
    if data.len() != n {
        let len = data.len();
        return reject(format!("tensor `{}` of shape {shape:?} holds {len} elements", proto.name));
    }
    Ok(Literal::new(proto.name.clone(), shape, data))
}

fn data(proto: &TensorProto, n: usize) -> Res<Data> {
    let raw = &proto.raw_data[..];
    let words = &proto.int32_data;
    let has_raw = !raw.is_empty();
    let kind = DataType::try_from(proto.data_type).unwrap_or(DataType::Undefined);
    Ok(match kind {
        DataType::Float if has_raw => Data::F32(numbers(raw, f32::from_le_bytes).collect()),
        DataType::Float => Data::F32(proto.float_data[..].into()),
        DataType::Float16 if has_raw => Data::F32(numbers(raw, |b| f16::from_le_bytes(b).to_f32()).collect()),
        DataType::Float16 => Data::F32(words.iter().map(|&w| f16::from_bits(w as u16).to_f32()).collect()),
        DataType::Bfloat16 if has_raw => {
            Data::F32(numbers(raw, |b| bf16::from_le_bytes(b).to_f32()).collect())
        }
        DataType::Bfloat16 => Data::F32(words.iter().map(|&w| bf16::from_bits(w as u16).to_f32()).collect()),
        DataType::Double if has_raw => Data::F32(numbers(raw, |b| f64::from_le_bytes(b) as f32).collect()),
        DataType::Double => Data::F32(proto.double_data.iter().map(|&v| v as f32).collect()),
        DataType::Int64 if has_raw => Data::I64(numbers(raw, i64::from_le_bytes).collect()),
        DataType::Int64 => Data::I64(proto.int64_data[..].into()),
        DataType::Int32 if has_raw => Data::I32(numbers(raw, i32::from_le_bytes).collect()),
        DataType::Int32 => Data::I32(words[..].into()),
        DataType::Int16 if has_raw => Data::I16(numbers(raw, i16::from_le_bytes).collect()),
        DataType::Int16 => Data::I16(words.iter().map(|&w| w as i16).collect()),
        DataType::Int8 if has_raw => Data::I8(raw.iter().map(|&b| b as i8).collect()),
        DataType::Int8 => Data::I8(words.iter().map(|&w| w as i8).collect()),
        DataType::Uint8 if has_raw => Data::U8(raw.into()),
        DataType::Uint8 => Data::U8(words.iter().map(|&w| w as u8).collect()),
        DataType::Bool if has_raw => Data::Bool(raw.iter().map(|&b| b != 0).collect()),
        DataType::Bool => Data::Bool(words.iter().map(|&w| w != 0).collect()),
        DataType::Int4 => Data::I8(nibbles(raw, words, n).map(|b| ((b << 4) as i8) >> 4).collect()),
        DataType::Uint4 => Data::U8(nibbles(raw, words, n).collect()),
        other => return reject(format!("tensor `{}` has element type {}", proto.name, other.as_str_name())),
    })
}

fn numbers<'a, const N: usize, T>(
    raw: &'a [u8],
    read: impl Fn([u8; N]) -> T + 'a,
) -> impl Iterator<Item = T> + 'a {
    raw.as_chunks::<N>().0.iter().map(move |&bytes| read(bytes))
}

/// Two elements in each byte, the lower half first.
fn nibbles<'a>(raw: &'a [u8], words: &'a [i32], n: usize) -> impl Iterator<Item = u8> + 'a {
    let bytes = raw.iter().copied().chain(words.iter().filter(|_| raw.is_empty()).map(|&w| w as u8));
    bytes.flat_map(|b| [b & 15, b >> 4]).take(n)
}
