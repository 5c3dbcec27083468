//! Tensors in numpy's file format.

use crate::failure::Failure;
use crate::files::{read, write};
use mote_runtime::plan::DType;
use npyz::{NpyFile, WriterBuilder};
use std::path::Path;

/// Numbers of a `.npy` file.
pub enum Numbers {
    /// Integers as a plan stores them.
    I8(Vec<i8>),
    F32(Vec<f32>),
}

impl Numbers {
    pub fn len(&self) -> usize {
        match self {
            Numbers::I8(values) => values.len(),
            Numbers::F32(values) => values.len(),
        }
    }

    /// As real numbers: integers count as what they are, not as codes.
    pub fn into_reals(self) -> Vec<f32> {
        match self {
            Numbers::I8(values) => values.into_iter().map(f32::from).collect(),
            Numbers::F32(values) => values,
        }
    }
}

/// A tensor from a file.
pub struct Tensor {
    pub numbers: Numbers,
    pub shape: Vec<u64>,
}

/// What to do about a file that cannot be read.
const HELP: &str =
    "save it with numpy.save, in C order: float32 (real numbers), or int8 (codes of an int8 plan)";

/// Reads a tensor of int8, uint8 (pixels), float32 or float64.
pub fn load(path: &Path) -> Result<Tensor, Failure> {
    let failure = |reason: String| Failure::input(path, reason, HELP);
    let bytes = read(path)?;
    let file = NpyFile::new(&bytes[..]).map_err(|e| failure(format!("not a .npy file: {e}")))?;
    if file.order() != npyz::Order::C {
        return Err(failure("the tensor is stored in Fortran order".into()));
    }
    let descr = file.dtype().descr();
    let shape = file.shape().to_vec();
    let damaged = |e: std::io::Error| failure(format!("the file is damaged or cut short: {e}"));
    let numbers = match descr.trim_matches('\'') {
        "|i1" => Numbers::I8(file.into_vec().map_err(damaged)?),
        "<f4" => Numbers::F32(file.into_vec().map_err(damaged)?),
        "<f8" => Numbers::F32(file.into_vec::<f64>().map_err(damaged)?.iter().map(|&x| x as f32).collect()),
        "|u1" => Numbers::F32(file.into_vec::<u8>().map_err(damaged)?.iter().map(|&x| x.into()).collect()),
        other => return Err(failure(format!("elements of type {other} are not supported"))),
    };
    Ok(Tensor { numbers, shape })
}

impl Tensor {
    /// Checks that the tensor is a whole number of samples (`per`: what one is called) of the shape `own`, and gives
    /// the number. The tensor may have a leading axis of samples, leave out axes of size 1, or be flat; anything else
    /// of the right size is most likely another order of axes.
    pub fn samples(&self, path: &Path, own: &[u64], per: &str) -> Result<usize, Failure> {
        let length: u64 = own.iter().product();
        let count = self.numbers.len() as u64;
        let wanted = format!("the plan takes {per}s of shape {own:?}");
        if count == 0 || length == 0 || !count.is_multiple_of(length) {
            let reason = format!("shape {:?} is not a whole number of {per}s: {wanted}", self.shape);
            return Err(Failure::input(path, reason, "give one of them, or several with a leading axis"));
        }
        let without_ones =
            |shape: &[u64]| -> Vec<u64> { shape.iter().copied().filter(|&n| n != 1).collect() };
        let (given, own) = (without_ones(&self.shape), without_ones(own));
        let flat = given.len() <= 1 || given[..] == [count / length, length];
        let behind = |shape: &[u64]| given.strip_suffix(shape).is_some_and(|samples| samples.len() <= 1);
        // Several samples may also be one behind the other along the batch axis of the plan.
        let fits = behind(&own) || own.split_first().is_some_and(|(_, rest)| behind(rest));
        if !flat && !fits {
            let reason =
                format!("shape {:?} has the right number of elements in another order: {wanted}", self.shape);
            let help = "pictures are rows, columns, channels in plans: numpy.transpose(x, (0, 2, 3, 1)) turns channels \
                        first into channels last; `mote convert --keep-layout` keeps channels first";
            return Err(Failure::input(path, reason, help));
        }
        Ok((count / length) as usize)
    }
}

/// Writes raw little-endian elements of a plan's type.
pub fn save(path: &Path, dtype: DType, shape: &[u64], bytes: &[u8]) -> Result<(), Failure> {
    let failure = |reason: String| Failure::Output { path: path.into(), reason };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_another_shape_are_refused() {
        let samples = |shape: &[u64], own: &[u64]| {
            let count = shape.iter().product::<u64>() as usize;
            let tensor = Tensor { numbers: Numbers::I8(vec![0; count]), shape: shape.to_vec() };
            tensor.samples(Path::new("x.npy"), own, "sample").ok()
        };
        let picture = [1, 8, 6, 3];
        assert_eq!(samples(&[1, 8, 6, 3], &picture), Some(1));
        assert_eq!(samples(&[5, 8, 6, 3], &picture), Some(5));
        assert_eq!(samples(&[8, 6, 3], &picture), Some(1));
        assert_eq!(samples(&[2, 144], &picture), Some(2));
        assert_eq!(samples(&[288], &picture), Some(2));
        assert_eq!(samples(&[7, 40], &[1, 1, 1, 1, 40]), Some(7));
        assert_eq!(samples(&[9, 1, 8, 6], &[1, 8, 6, 1]), Some(9));
        assert_eq!(samples(&[6, 5, 4], &[2, 5, 4]), Some(3), "batches of two");
        assert_eq!(samples(&[5, 3, 8, 6], &picture), None, "channels first");
        assert_eq!(samples(&[100], &picture), None, "not a whole number");
        assert_eq!(samples(&[0, 8, 6, 3], &picture), None, "no sample at all");
    }
}
