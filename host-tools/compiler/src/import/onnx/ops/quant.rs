//! `QuantizeLinear` and `DequantizeLinear`: explicit nodes on activations, integers with a [`Quant`] on constants.
//!
//! `uint8` becomes `int8`: codes and zero points minus 128, which changes no real value.

use crate::graph::{DType, Data, Op, Quant, Tensor, TensorId};
use crate::import::onnx::call::{Call, Res, Value, axis_of, reject, reject_for};
use crate::import::onnx::importer::{Importer, quant_of, shift_to_i8};
use crate::import::onnx::literal::Literal;
use crate::import::onnx::reader;

pub(super) fn quantize(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let (quant, codes) = parameters(cx, call, None)?;
    let dtype = if codes == DType::U8 { DType::I8 } else { codes };
    if !matches!(dtype, DType::I8 | DType::I16) {
        return reject_for(format!("quantization to {codes:?}"), "int8, uint8 or int16");
    }
    if let Value::Const(x) = x {
        cx.charge(x.data.len())?;
        return Ok(quantized(x, quant, dtype)?.into());
    }
    if quant.axis.is_some() {
        return reject_for("an activation quantized per axis", "per-tensor quantization of activations");
    }
    let x = cx.float_operand(x)?;
    let mut like = Tensor::activation(call.name.clone(), vec![], dtype);
    like.quant = Some(quant);
    cx.pointwise(&call.name, Op::Quantize, x, like).map(Value::Tensor)
}

pub(super) fn dequantize(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let codes = match x {
        Value::Const(literal) => literal.data.dtype(),
        Value::Tensor(id) => cx.graph.tensor(*id).dtype,
        Value::Unknown => return reject("an operand is unknown"),
    };
    let (mut quant, _) = parameters(cx, call, Some(codes))?;
    match x {
        Value::Const(literal) => {
            if !matches!(codes, DType::I8 | DType::U8 | DType::I16 | DType::I32) || literal.quant.is_some() {
                return reject(format!("a constant of {codes:?}"));
            }
            // `parameters` has shifted the zero points already.
            let data = shift_to_i8(&literal.data, &mut []);
            cx.charge(data.len())?;
            if quant.axis.is_some_and(|axis| literal.shape[axis] == 1) {
                quant.axis = None;
            }
            let (name, shape) = (literal.name.clone(), literal.shape.clone());
            Ok(Literal { name, shape, data, quant: Some(quant) }.into())
        }
        _ => {
            let id = cx.operand(x)?;
            if quant.axis.is_some() {
                return reject_for(
                    "an activation quantized per axis",
                    "per-tensor quantization of activations",
                );
            }
            if cx.graph.tensor(id).quant.is_none() {
                mark_input(cx, id, &quant)?;
            }
            if cx.graph.tensor(id).quant.as_ref() != Some(&quant) {
                return reject("its scale or zero point differs from that of the QuantizeLinear before it");
            }
            let like = Tensor::activation(call.name.clone(), vec![], DType::F32);
            cx.pointwise(&call.name, Op::Dequantize, id, like).map(Value::Tensor)
        }
    }
}

/// Scales and zero points (those of `uint8` shifted), and the element type of the codes in the file. Without
/// `codes` the type follows from the zero point, as in `QuantizeLinear`.
fn parameters(cx: &Importer, call: &Call, codes: Option<DType>) -> Res<(Quant, DType)> {
    if call.int("block_size", 0) != 0 {
        return reject_for("blocked quantization", "per-tensor or per-channel quantization");
    }
    let (scales, zero_points) = (call.constant(1, "scale")?, call.optional_constant(2, "zero point")?);
    let dtype = match (codes, zero_points) {
        // Codes that are already shifted: the zero point tells what they were.
        (_, Some(z)) => z.data.dtype(),
        (Some(codes), None) => codes,
        (None, None) if call.int("output_dtype", 0) != 0 => {
            reader::dtype(i32::try_from(call.int("output_dtype", 0)).unwrap_or(0))?
        }
        (None, None) => DType::U8,
    };
    let scales = scales.reals();
    let mut zeros: Vec<i32> = match zero_points {
        Some(z) => z.ints()?.into_iter().map(|z| z.clamp(i32::MIN.into(), i32::MAX.into()) as i32).collect(),
        None => vec![0; scales.len()],
    };
    if zeros.len() == 1 && scales.len() > 1 {
        zeros = vec![zeros[0]; scales.len()];
    }
    if scales.is_empty() || zeros.len() != scales.len() {
        return reject(format!("{} scales and {} zero points", scales.len(), zeros.len()));
    }
    if scales.iter().any(|s| !s.is_finite() || *s < 0.0) {
        return reject("a scale that is negative or not a number");
    }
    if dtype == DType::U8 {
        zeros.iter_mut().for_each(|z| *z -= 128);
    }
    let allowed = match dtype {
        DType::U8 | DType::I8 => -128..=127,
        DType::I16 => -32768..=32767,
        DType::I32 => i32::MIN..=i32::MAX,
        _ => return reject(format!("a zero point of {dtype:?}")),
    };
    if zeros.iter().any(|z| !allowed.contains(z)) {
        return reject("a zero point outside of its element type");
    }
    if scales.len() == 1 {
        return Ok((quant_of(scales, zeros, 0), dtype));
    }
    let shape = cx.shape_of(call.input(0)?)?;
    let axis = axis_of(call.int("axis", 1), shape.len())?;
    if shape[axis] != scales.len() {
        return reject(format!("{} scales for an axis of {}", scales.len(), shape[axis]));
    }
    Ok((quant_of(scales, zeros, axis), dtype))
}

/// `clamp(round_half_even(x / s) + z)`
fn quantized(x: &Literal, quant: Quant, dtype: DType) -> Res<Literal> {
    let inner: usize = quant.axis.map_or(1, |axis| x.shape[axis + 1..].iter().product());
    let channels = quant.scales.len();
    let limits = if dtype == DType::I8 { (-128.0, 127.0) } else { (-32768.0, 32767.0) };
    let code = |(i, v): (usize, f32)| {
        let c = i / inner.max(1) % channels;
        ((v / quant.scales[c]).round_ties_even() + quant.zero_points[c] as f32).clamp(limits.0, limits.1)
    };
    let codes = x.reals().into_iter().enumerate().map(code);
    let data = match dtype {
        DType::I8 => Data::I8(codes.map(|v| v as i8).collect()),
        _ => Data::I16(codes.map(|v| v as i16).collect()),
    };
    // The quantization belongs to the codes; as a bare integer constant it waits for its `DequantizeLinear`.
    Ok(Literal::new(x.name.clone(), x.shape.clone(), data))
}

/// A graph input of integers gets its quantization from the first node that reads it.
fn mark_input(cx: &mut Importer, id: TensorId, quant: &Quant) -> Res<()> {
    let mut chain = vec![id];
    let mut at = id;
    while let Some(index) = cx.graph.producer(at) {
        let node = &cx.graph.nodes[index];
        if !matches!(node.op, Op::Transpose { .. } | Op::Reshape) || chain.len() > 4 {
            return reject("integers that no QuantizeLinear has made");
        }
        at = node.inputs[0];
        chain.push(at);
    }
    chain.extend(chain.clone().into_iter().filter_map(|id| cx.twin(id)));
    if !cx.graph.inputs.contains(&at) {
        return reject("integers that no QuantizeLinear has made");
    }
    for id in chain {
        let tensor = cx.graph.tensor_mut(id);
        if !matches!(tensor.dtype, DType::I8 | DType::U8 | DType::I16) {
            return reject(format!("an input of {:?}", tensor.dtype));
        }
        tensor.quant = Some(quant.clone());
        tensor.dtype = if tensor.dtype == DType::U8 { DType::I8 } else { tensor.dtype };
    }
    Ok(())
}
