//! Constants, shapes, casts and choices.

use crate::graph::{BinaryFn, Data, Op, Tensor};
use crate::import::onnx::call::{Call, Res, Value, broadcast_shapes, elements, reject, reject_for, size_of};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;
use crate::import::onnx::{numeric, reader};

pub(super) fn constant(call: &Call) -> Res<Value> {
    let name = call.proto.output.first().map_or("constant", String::as_str);
    if let Some(tensor) = call.tensor("value") {
        let mut literal = reader::literal(tensor)?;
        literal.name = name.to_string();
        return Ok(literal.into());
    }
    if let Some(float) = call.attribute("value_float") {
        return Ok(Literal::scalar(name, float.f).into());
    }
    if let Some(int) = call.attribute("value_int") {
        return Ok(Literal::new(name, vec![], Data::I64([int.i].into())).into());
    }
    if let Some(floats) = call.floats("value_floats") {
        return Ok(Literal::floats(name, vec![floats.len()], floats.to_vec()).into());
    }
    if let Some(ints) = call.ints("value_ints") {
        return Ok(Literal::from_ints(name, ints.to_vec()).into());
    }
    reject_for("a sparse or textual constant", "a dense tensor")
}

pub(super) fn constant_of_shape(cx: &mut Importer, call: &Call) -> Res<Value> {
    let shape = call.constant_ints(0, "shape")?.into_iter().map(size_of).collect::<Res<Vec<_>>>()?;
    cx.charge(elements(&shape)?)?;
    let mut value = match call.tensor("value") {
        Some(tensor) => reader::literal(tensor)?,
        None => Literal::scalar("", 0.0),
    };
    if value.data.len() != 1 {
        return reject("a value that is not a single number");
    }
    value.name = call.name.clone();
    value.shape = vec![];
    Ok(value.broadcast(&shape).into())
}

pub(super) fn shape(cx: &mut Importer, call: &Call) -> Res<Value> {
    let shape = cx.shape_of(call.input(0)?)?;
    let rank = shape.len() as i64;
    let bound = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    let (start, end) = (bound(call.int("start", 0)), bound(call.int("end", rank)));
    let part = shape.get(start..end.max(start)).unwrap_or(&[]);
    Ok(Literal::from_ints(call.name.clone(), part.iter().map(|&d| d as i64).collect()).into())
}

pub(super) fn size(cx: &mut Importer, call: &Call) -> Res<Value> {
    let n = elements(&cx.shape_of(call.input(0)?)?)?;
    Ok(Literal::new(call.name.clone(), vec![], Data::I64([n as i64].into())).into())
}

pub(super) fn range(cx: &mut Importer, call: &Call) -> Res<Value> {
    let bounds = [call.constant(0, "start")?, call.constant(1, "limit")?, call.constant(2, "delta")?];
    if bounds.iter().any(|b| b.data.len() != 1) {
        return reject("bounds that are not single numbers");
    }
    if bounds[0].is_float() {
        let [start, limit, delta] = bounds.map(|b| b.reals()[0]);
        let count = ((limit - start) / delta).ceil().max(0.0);
        if count.is_nan() || count >= 1e9 {
            return reject(format!("from {start} to {limit} by {delta}"));
        }
        cx.charge(count as usize)?;
        let all: Vec<f32> = (0..count as usize).map(|i| start + i as f32 * delta).collect();
        return Ok(Literal::floats(call.name.clone(), vec![all.len()], all).into());
    }
    let dtype = bounds[0].data.dtype();
    let mut ends = [0i128; 3];
    for (end, bound) in ends.iter_mut().zip(bounds) {
        *end = bound.ints()?[0].into();
    }
    let [start, limit, delta] = ends;
    if delta == 0 {
        return reject("a step of 0");
    }
    let span = (limit - start) * delta.signum();
    let count = if span > 0 { (span + delta.abs() - 1) / delta.abs() } else { 0 };
    let count = size_of(i64::try_from(count).unwrap_or(i64::MAX))?;
    cx.charge(count)?;
    let all: Vec<i64> = (0..count).map(|i| (start + i as i128 * delta) as i64).collect();
    Ok(Literal::new(call.name.clone(), vec![count], numeric::from_ints(all, dtype)).into())
}

pub(super) fn cast(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let to = match (call.op(), call.optional(1)) {
        ("CastLike", Some(Value::Const(like))) if like.is_float() => crate::graph::DType::F32,
        ("CastLike", Some(Value::Const(like))) => like.data.dtype(),
        ("CastLike", Some(Value::Tensor(like))) => cx.graph.tensor(*like).dtype,
        _ => reader::dtype(i32::try_from(call.int("to", 0)).unwrap_or(0))?,
    };
    if let Value::Const(literal) = x {
        cx.charge(literal.data.len())?;
        return Ok(numeric::cast(literal, to).into());
    }
    let id = cx.operand(x)?;
    if cx.graph.tensor(id).dtype == to {
        return Ok(x.clone());
    }
    if cx.graph.tensor(id).quant.is_some() {
        return reject_for("a cast of quantized integers", "DequantizeLinear");
    }
    cx.pointwise(&call.name, Op::Cast, id, Tensor::activation(call.name.clone(), vec![], to))
        .map(Value::Tensor)
}

/// `Where` with a constant condition: the mask becomes arithmetic. Constant operands are masked at import, so
/// that infinities among them stay where they belong.
pub(super) fn choose(cx: &mut Importer, call: &Call) -> Res<Value> {
    let condition = call.constant(0, "condition").map_err(|mut why| {
        why.instead = Some("Max, Min, Clip or a multiplication by a mask".into());
        why
    })?;
    let Data::Bool(mask) = &condition.data else { return reject("a condition that is not boolean") };
    let (a, b) = (call.input(1)?, call.input(2)?);
    let both = broadcast_shapes(&cx.shape_of(a)?, &cx.shape_of(b)?)?;
    let shape = broadcast_shapes(&condition.shape, &both)?;
    if mask.iter().all(|&m| m) {
        return cx.broadcast(&call.name, a, &shape);
    }
    if mask.iter().all(|&m| !m) {
        return cx.broadcast(&call.name, b, &shape);
    }
    cx.charge(elements(&shape)?.saturating_mul(2))?;
    let reals = |v: bool| mask.iter().map(|&m| f32::from(m == v)).collect();
    let mut masked = |x: &Value, kept: bool, part: &str| -> Res<Value> {
        let name = format!("{}_{part}", call.name);
        match x {
            Value::Const(literal) => {
                let wide = broadcast_shapes(&literal.shape, &condition.shape)?;
                let (all, keep) = (literal.broadcast(&wide).reals(), condition.broadcast(&wide));
                let Data::Bool(keep) = &keep.data else { return reject("a condition that is not boolean") };
                let kept = all.iter().zip(keep.iter()).map(|(&v, &k)| if k == kept { v } else { 0.0 });
                Ok(Literal::floats(name, wide, kept.collect()).into())
            }
            _ => {
                let factor = Literal::floats(format!("{name}_mask"), condition.shape.clone(), reals(kept));
                let op = Op::Binary(BinaryFn::Mul);
                cx.elementwise(&name, op, x, &factor.into()).map(Value::Tensor)
            }
        }
    };
    let (a, b) = (masked(a, true, "where")?, masked(b, false, "where_not")?);
    cx.elementwise(&call.name, Op::Binary(BinaryFn::Add), &a, &b).map(Value::Tensor)
}

pub(super) fn identity(call: &Call) -> Res<Value> {
    if call.op() == "Dropout" {
        call.only_first_output("the mask")?;
        let training = call.optional_constant(2, "training_mode")?;
        if training.is_some_and(|t| t.reals().iter().any(|&v| v != 0.0)) {
            return reject_for("dropout in training mode", "export the model in evaluation mode");
        }
    }
    call.input(0).cloned()
}
