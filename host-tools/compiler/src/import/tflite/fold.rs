//! Evaluation of operators whose operands are all constant, as far as shapes and weights need it.
//!
//! Everything else stays a node and is left to the passes.

use crate::graph::{BinaryFn, DType, Data, Op, Tensor};
use std::sync::Arc;

/// Integer arithmetic is folded for shapes, not for images.
const MAX_ARITHMETIC: usize = 1 << 16;

/// Upper bound of the bytes that [`evaluate`] needs.
pub(super) fn cost(op: &Op, output: &Tensor) -> usize {
    match op {
        Op::Slice { .. } | Op::Transpose { .. } | Op::BroadcastTo | Op::Gather { .. } | Op::Concat { .. } => {
            output.len().saturating_mul(16)
        }
        Op::Cast | Op::Dequantize => output.len().saturating_mul(8),
        _ => 0,
    }
}

/// The value of `op`, or `None` if it is not folded here.
pub(super) fn evaluate(op: &Op, operands: &[&Tensor], output: &Tensor) -> Option<Data> {
    let x = *operands.first()?;
    let data = x.data.as_ref()?;
    let (shape, out) = (&x.shape[..], &output.shape[..]);
    match op {
        Op::Reshape => (data.len() == output.len()).then(|| data.clone()),
        Op::Slice { starts, steps } => {
            let strides = strides(shape);
            let offset = strides.iter().zip(starts).map(|(s, i)| s * i).sum();
            let strides: Vec<usize> = strides.iter().zip(steps).map(|(s, n)| s * n).collect();
            pick(data, &walk(out, &strides, offset))
        }
        Op::Transpose { perm } => {
            let strides = strides(shape);
            let strides: Option<Vec<usize>> = perm.iter().map(|&p| strides.get(p).copied()).collect();
            pick(data, &walk(out, &strides?, 0))
        }
        Op::BroadcastTo => pick(data, &walk(out, &broadcast_strides(shape, out)?, 0)),
        Op::Gather { axis } => {
            let indices = operands.get(1)?.data.as_ref()?.to_i64()?;
            let inner: usize = shape.get(axis + 1..)?.iter().product();
            let outer: usize = shape[..*axis].iter().product();
            let length = shape[*axis];
            let mut places = Vec::with_capacity(output.len());
            for o in 0..outer {
                for &i in &indices {
                    let start = (o * length + usize::try_from(i).ok()?) * inner;
                    places.extend(start..start + inner);
                }
            }
            pick(data, &places)
        }
        Op::Concat { axis } => concat(operands, *axis),
        Op::Cast => cast(data, output.dtype),
        Op::Dequantize => dequantize(x),
        Op::Binary(function) => binary(*function, x, operands.get(1)?, output),
        _ => None,
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Strides of `shape` seen as `out`: 0 where it repeats.
fn broadcast_strides(shape: &[usize], out: &[usize]) -> Option<Vec<usize>> {
    let lead = out.len().checked_sub(shape.len())?;
    let own = strides(shape);
    let mut result = vec![0; lead];
    for ((&length, &target), &stride) in shape.iter().zip(&out[lead..]).zip(&own) {
        match length {
            1 => result.push(0),
            _ if length == target => result.push(stride),
            _ => return None,
        }
    }
    Some(result)
}

/// Positions of an array of `shape` with these strides, row-major.
fn walk(shape: &[usize], strides: &[usize], offset: usize) -> Vec<usize> {
    let mut places = vec![offset];
    for (&length, &stride) in shape.iter().zip(strides) {
        places = places.iter().flat_map(|p| (0..length).map(move |i| p + i * stride)).collect();
    }
    places
}

fn pick(data: &Data, places: &[usize]) -> Option<Data> {
    fn each<T: Copy>(values: &[T], places: &[usize]) -> Option<Arc<[T]>> {
        places.iter().map(|&p| values.get(p).copied()).collect()
    }
    Some(match data {
        Data::F32(v) => Data::F32(each(v, places)?),
        Data::F16(v) => Data::F16(each(v, places)?),
        Data::I8(v) => Data::I8(each(v, places)?),
        Data::U8(v) => Data::U8(each(v, places)?),
        Data::I16(v) => Data::I16(each(v, places)?),
        Data::I32(v) => Data::I32(each(v, places)?),
        Data::I64(v) => Data::I64(each(v, places)?),
        Data::Bool(v) => Data::Bool(each(v, places)?),
    })
}

/// All operands one behind the other, then rows of each in turn.
fn concat(operands: &[&Tensor], axis: usize) -> Option<Data> {
    let dtype = operands.first()?.dtype;
    if operands.iter().any(|t| t.dtype != dtype || t.shape.len() <= axis) {
        return None;
    }
    let outer: usize = operands[0].shape[..axis].iter().product();
    let mut places = Vec::new();
    for o in 0..outer {
        let mut base = 0;
        for tensor in operands {
            let row: usize = tensor.shape[axis..].iter().product();
            places.extend(base + o * row..base + (o + 1) * row);
            base += tensor.len();
        }
    }
    fn join<'d, T: Copy + 'd>(
        parts: impl Iterator<Item = Option<&'d Arc<[T]>>>,
        places: &[usize],
    ) -> Option<Arc<[T]>> {
        let parts: Option<Vec<&Arc<[T]>>> = parts.collect();
        let all: Vec<T> = parts?.iter().flat_map(|part| part.iter().copied()).collect();
        places.iter().map(|&p| all.get(p).copied()).collect()
    }
    macro_rules! join {
        ($($kind:ident)*) => {
            match operands[0].data.as_ref()? {
                $(Data::$kind(_) => Data::$kind(join(
                    operands.iter().map(|t| match &t.data { Some(Data::$kind(v)) => Some(v), _ => None }),
                    &places,
                )?),)*
            }
        };
    }
    Some(join!(F32 F16 I8 U8 I16 I32 I64 Bool))
}

fn cast(data: &Data, to: DType) -> Option<Data> {
    Some(match to {
        DType::F32 => Data::F32(data.to_f32().into()),
        DType::I32 | DType::I64 => {
            // `as` on floats truncates and saturates, as the format's own kernel does.
            let numbers = data.to_i64().unwrap_or_else(|| data.to_f32().iter().map(|&x| x as i64).collect());
            match to {
                DType::I32 => Data::I32(numbers.iter().map(|&x| x as i32).collect()),
                _ => Data::I64(numbers.into()),
            }
        }
        _ => return None,
    })
}

/// Quantized constants (weights kept in int8 only for size) to float.
fn dequantize(x: &Tensor) -> Option<Data> {
    let quant = x.quant.as_ref()?;
    let numbers = x.data.as_ref()?.to_f32();
    let inner: usize = quant.axis.map_or(1, |axis| x.shape[axis + 1..].iter().product());
    let real = |(i, q): (usize, &f32)| {
        let channel = (i / inner.max(1)) % quant.scales.len();
        quant.scales[channel] * (q - quant.zero_points[channel] as f32)
    };
    Some(Data::F32(numbers.iter().enumerate().map(real).collect()))
}

/// Integer arithmetic of shape computations. Overflow is not folded.
fn binary(function: BinaryFn, a: &Tensor, b: &Tensor, output: &Tensor) -> Option<Data> {
    if output.len() > MAX_ARITHMETIC || !matches!(a.dtype, DType::I32 | DType::I64) || a.dtype != b.dtype {
        return None;
    }
    let (x, y) = (a.data.as_ref()?.to_i64()?, b.data.as_ref()?.to_i64()?);
    let left = walk(&output.shape, &broadcast_strides(&a.shape, &output.shape)?, 0);
    let right = walk(&output.shape, &broadcast_strides(&b.shape, &output.shape)?, 0);
    let apply = |(&i, &j): (&usize, &usize)| -> Option<i64> {
        let (x, y) = (*x.get(i)?, *y.get(j)?);
        match function {
            BinaryFn::Add => x.checked_add(y),
            BinaryFn::Sub => x.checked_sub(y),
            BinaryFn::Mul => x.checked_mul(y),
            BinaryFn::Div => x.checked_div(y),
            BinaryFn::Max => Some(x.max(y)),
            BinaryFn::Min => Some(x.min(y)),
            BinaryFn::SquaredDifference | BinaryFn::Pow => None,
        }
    };
    let numbers: Option<Vec<i64>> = left.iter().zip(&right).map(apply).collect();
    cast(&Data::I64(numbers?.into()), a.dtype)
}
