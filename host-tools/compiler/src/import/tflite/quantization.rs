//! Changes of element type and quantization.

use super::build::{Builder, FileNode, Step, nearly_equal};
use super::refused::{Refused, refuse};
use crate::graph::{DType, Op};

pub(super) fn quantize(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.input(node, 0)?;
    let shape = b.shape(x).to_vec();
    let target = b.output(node, 0, &shape)?;
    let op = match b.arithmetic(&[x], &target.tensor) {
        Ok(super::build::Arithmetic::Int8) => {
            // uint8 to int8 with the same scale: after the shift, both sides are the same.
            if nearly_equal(b.tensor(x), &target.tensor) { Op::Reshape } else { Op::Requantize }
        }
        Ok(super::build::Arithmetic::Float) => return refuse("its output is not quantized"),
        Err(_) if b.tensor(x).dtype == DType::F32 => {
            super::build::tensor_arithmetic(&target.tensor)?;
            Op::Quantize
        }
        Err(refused) => return Err(refused),
    };
    b.emit(Step::new(op, [x]), target).map(|_| ())
}

pub(super) fn dequantize(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let shape = b.shape(x).to_vec();
    let target = b.output(node, 0, &shape)?;
    if target.tensor.dtype != DType::F32 {
        return refuse("its output is not float32");
    }
    let op = match (b.tensor(x).dtype, b.is_constant(x)) {
        // Half-precision constants stay so: the operator behind decides whether it can use them.
        (DType::F16, true) => Op::Reshape,
        (DType::F16, false) => Op::Cast,
        (DType::I8, true) if b.tensor(x).quant.is_some() => Op::Dequantize,
        (DType::I8, false) => {
            super::build::tensor_arithmetic(b.tensor(x))?;
            Op::Dequantize
        }
        (other, _) => return refuse(format!("its input has {other:?} elements without a usable scale")),
    };
    b.emit(Step::new(op, [x]), target).map(|_| ())
}

/// A constant that was stored sparse has been made dense when it was read.
pub(super) fn densify(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    if !b.is_constant(x) {
        return refuse("its input is not constant");
    }
    let shape = b.shape(x).to_vec();
    let target = b.output(node, 0, &shape)?;
    b.emit(Step::new(Op::Reshape, [x]), target).map(|_| ())
}

pub(super) fn cast(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let shape = b.shape(x).to_vec();
    let target = b.output(node, 0, &shape)?;
    let constant = b.is_constant(x);
    let (from, to) = (b.tensor(x).dtype, target.tensor.dtype);
    // Quantized uint8 has been shifted, so its stored numbers are not those that the file would cast.
    let shifted = |index: Option<usize>| {
        index
            .and_then(|i| b.file.tensor(i).ok())
            .is_some_and(|t| t.type_() == tract_tflite::tflite::TensorType::UINT8)
    };
    let quantized_u8 = (from == DType::I8 && shifted(node.inputs.first().copied().flatten()))
        || (to == DType::I8 && shifted(node.outputs.first().copied()));
    let op = match (from, to) {
        _ if quantized_u8 => match b.tensor(x).quant.as_ref().and_then(|q| q.uniform()) {
            Some((1.0, -128)) if to == DType::F32 => Op::Dequantize,
            _ => {
                return Err(Refused::new("it casts quantized uint8 numbers")
                    .instead("QUANTIZE, DEQUANTIZE, or an input without scale"));
            }
        },
        _ if constant => Op::Cast,
        (a, b) if a == b => Op::Reshape,
        (DType::F32 | DType::F16 | DType::U8 | DType::I8, DType::F32 | DType::U8 | DType::I8) => Op::Cast,
        _ => {
            return Err(Refused::new(format!("a cast of {from:?} to {to:?} while the model runs"))
                .instead("float32, int8 or uint8 tensors"));
        }
    };
    b.emit(Step::new(op, [x]), target).map(|_| ())
}
