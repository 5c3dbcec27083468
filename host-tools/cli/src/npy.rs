//! Tensors in numpy's file format.

use crate::failure::{Failure, read, write};
use mote_runtime::plan::DType;
use npyz::{NpyFile, WriterBuilder};
use std::path::Path;

/// Numbers of a `.npy` file.
pub enum Numbers {
    /// Integers as a plan stores them.
    I8(Vec<i8>),
    F32(Vec<f32>),
}

/// A tensor from a file.
pub struct Tensor {
    pub numbers: Numbers,
}

/// Reads a tensor of int8, uint8 (pixels), float32 or float64.
pub fn load(path: &Path) -> Result<Tensor, Failure> {
    let failure = |reason: String| Failure::Npy { path: path.into(), reason };
    let bytes = read(path)?;
    let file = NpyFile::new(&bytes[..]).map_err(|e| failure(format!("not a .npy file: {e}")))?;
    if file.order() != npyz::Order::C {
        return Err(failure("the tensor is stored in Fortran order".into()));
    }
    let descr = file.dtype().descr();
    let vector_failure = |e: std::io::Error| failure(e.to_string());
    let numbers = match descr.trim_matches('\'') {
        "|i1" => Numbers::I8(file.into_vec().map_err(vector_failure)?),
        "<f4" => Numbers::F32(file.into_vec().map_err(vector_failure)?),
        "<f8" => {
            Numbers::F32(file.into_vec::<f64>().map_err(vector_failure)?.iter().map(|&x| x as f32).collect())
        }
        "|u1" => {
            Numbers::F32(file.into_vec::<u8>().map_err(vector_failure)?.iter().map(|&x| x.into()).collect())
        }
        other => return Err(failure(format!("elements of type {other} are not supported"))),
    };
    Ok(Tensor { numbers })
}

/// Writes raw little-endian elements of a plan's type.
pub fn save(path: &Path, dtype: DType, shape: &[u64], bytes: &[u8]) -> Result<(), Failure> {
    let failure = |reason: String| Failure::Npy { path: path.into(), reason };
    let mut file = Vec::new();
    macro_rules! write_as {
        ($number:ty) => {{
            let numbers = bytes.chunks_exact(size_of::<$number>());
            let numbers = numbers.filter_map(|c| Some(<$number>::from_le_bytes(c.try_into().ok()?)));
            let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut file);
            let mut writer = options.begin_nd().map_err(|e| failure(e.to_string()))?;
            writer.extend(numbers).and_then(|()| writer.finish()).map_err(|e| failure(e.to_string()))?;
        }};
    }
    match dtype {
        DType::I8 => write_as!(i8),
        DType::U8 => write_as!(u8),
        DType::I16 => write_as!(i16),
        DType::I32 => write_as!(i32),
        DType::F32 => write_as!(f32),
        DType::F16 => {
            let widened: Vec<u8> = bytes
                .chunks_exact(2)
                .flat_map(|c| half::f16::from_le_bytes([c[0], c[1]]).to_f32().to_le_bytes())
                .collect();
            return save(path, DType::F32, shape, &widened);
        }
    }
    write(path, &file)
}
