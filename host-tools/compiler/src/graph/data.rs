//! Element types and constant data.

use half::f16;
use std::sync::Arc;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    F16,
    I8,
    U8,
    I16,
    I32,
    I64,
    Bool,
}

impl DType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::F16 | DType::I16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16)
    }
}

/// Elements of a constant, row-major, shared between the graphs that passes make from each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    F32(Arc<[f32]>),
    F16(Arc<[f16]>),
    I8(Arc<[i8]>),
    U8(Arc<[u8]>),
    I16(Arc<[i16]>),
    I32(Arc<[i32]>),
    I64(Arc<[i64]>),
    Bool(Arc<[bool]>),
}

impl Data {
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::F16(_) => DType::F16,
            Data::I8(_) => DType::I8,
            Data::U8(_) => DType::U8,
            Data::I16(_) => DType::I16,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::Bool(_) => DType::Bool,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::F16(v) => v.len(),
            Data::I8(v) => v.len(),
            Data::U8(v) => v.len(),
            Data::I16(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::I64(v) => v.len(),
            Data::Bool(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn as_f32(&self) -> Option<&[f32]> {
        if let Data::F32(v) = self { Some(v) } else { None }
    }

    pub fn as_i8(&self) -> Option<&[i8]> {
        if let Data::I8(v) = self { Some(v) } else { None }
    }

    pub fn as_i32(&self) -> Option<&[i32]> {
        if let Data::I32(v) = self { Some(v) } else { None }
    }

    /// The numbers as `f32`, whatever the element type (integers unscaled).
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Data::F32(v) => v.to_vec(),
            Data::F16(v) => v.iter().map(|x| x.to_f32()).collect(),
            Data::I8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::U8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I16(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I32(v) => v.iter().map(|&x| x as f32).collect(),
            Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
            Data::Bool(v) => v.iter().map(|&x| if x { 1.0 } else { 0.0 }).collect(),
        }
    }

    /// The numbers as `i64`, if the elements are integers or booleans.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        Some(match self {
            Data::I8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::U8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I16(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I64(v) => v.to_vec(),
            Data::Bool(v) => v.iter().map(|&x| x.into()).collect(),
            Data::F32(_) | Data::F16(_) => return None,
        })
    }

    /// Row-major elements of the shape `shape` with its axes permuted: `y[i0, ..] = x[perm..]` as in
    /// [`Op::Transpose`](super::Op::Transpose).
    pub fn permuted(&self, shape: &[usize], perm: &[usize]) -> Self {
        let steps = super::shape::permuted(&super::shape::strides(shape), perm);
        let lengths = super::shape::permuted(shape, perm);
        let source = |mut index: usize| {
            let mut at = 0;
            for (&len, step) in lengths.iter().zip(&steps).rev() {
                at += index % len * step;
                index /= len;
            }
            at
        };
        macro_rules! picked {
            ($($variant:ident),*) => {
                match self {
                    $(Data::$variant(v) => Data::$variant((0..v.len()).map(|i| v[source(i)]).collect()),)*
                }
            };
        }
        picked!(F32, F16, I8, U8, I16, I32, I64, Bool)
    }

    /// Little-endian bytes, as a plan stores them.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Data::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::F16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::I8(v) => v.iter().map(|&x| x as u8).collect(),
            Data::U8(v) => v.to_vec(),
            Data::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::Bool(v) => v.iter().map(|&x| x as u8).collect(),
        }
    }
}
