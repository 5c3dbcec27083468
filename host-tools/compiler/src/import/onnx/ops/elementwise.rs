//! Arithmetic and functions of single numbers.

use crate::graph::{BinaryFn, Op, UnaryFn, unary_value};
use crate::import::onnx::call::{Call, Res, Value, reject, reject_for};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;
use crate::import::onnx::numeric;

pub(super) fn arithmetic(cx: &mut Importer, call: &Call) -> Res<Value> {
    let function = match call.op() {
        "Add" | "Sum" | "Mean" => BinaryFn::Add,
        "Sub" => BinaryFn::Sub,
        "Mul" => BinaryFn::Mul,
        "Div" => BinaryFn::Div,
        "Pow" => BinaryFn::Pow,
        "Min" => BinaryFn::Min,
        _ => BinaryFn::Max,
    };
    let variadic = matches!(call.op(), "Sum" | "Mean" | "Min" | "Max");
    let count = call.inputs.len();
    if count == 0 || !variadic && count != 2 || count > 64 {
        return reject(format!("{count} operands"));
    }
    let mut total = call.input(0)?.clone();
    for i in 1..count {
        let other = call.input(i)?;
        let name = if i + 1 == count { call.name.clone() } else { format!("{}_{i}", call.name) };
        if let (BinaryFn::Pow, Value::Const(exponent), Value::Tensor(x)) = (function, other, &total)
            && let Some(shortcut) = power(exponent.single())
            && cx.is_float(&total)
        {
            total = Value::Tensor(cx.unary(&name, shortcut, *x)?);
            continue;
        }
        if !cx.is_float(&total) || !cx.is_float(other) {
            cx.float_operand(&total)?;
            cx.float_operand(other)?;
        }
        total = match (&total, other) {
            // Only reached when several constants stand among the operands of a variadic operator.
            (Value::Const(a), Value::Const(b)) => {
                let (a, b) = (cx.constant(a)?, cx.constant(b)?);
                cx.elementwise(&name, Op::Binary(function), &Value::Tensor(a), &Value::Tensor(b))?.into()
            }
            _ => cx.elementwise(&name, Op::Binary(function), &total, other)?.into(),
        };
    }
    if call.op() == "Mean" {
        let scale = Literal::scalar(format!("{}_count", call.name), 1.0 / count as f32).into();
        return Ok(cx.elementwise(&call.name, Op::Binary(BinaryFn::Mul), &total, &scale)?.into());
    }
    Ok(total)
}

/// Powers that have a function of their own.
fn power(exponent: Option<f32>) -> Option<UnaryFn> {
    match exponent? {
        2.0 => Some(UnaryFn::Square),
        0.5 => Some(UnaryFn::Sqrt),
        -0.5 => Some(UnaryFn::Rsqrt),
        -1.0 => Some(UnaryFn::Reciprocal),
        _ => None,
    }
}

pub(super) fn prelu(cx: &mut Importer, call: &Call) -> Res<Value> {
    let (x, slope) = (call.input(0)?, call.constant(1, "slope")?);
    let shape = cx.shape_of(x)?;
    // The slope broadcasts towards the operand only.
    if slope.shape.len() > shape.len() {
        return reject(format!("a slope of shape {:?}", slope.shape));
    }
    let slope = Value::Const(slope.clone());
    let y = cx.elementwise(&call.name, Op::Prelu, x, &slope)?;
    if cx.shape(y) != shape {
        return reject("a slope with more elements than the operand");
    }
    Ok(y.into())
}

pub(super) fn clip(cx: &mut Importer, call: &Call) -> Res<Value> {
    let mut limits = [call.float("min", f32::NEG_INFINITY), call.float("max", f32::INFINITY)];
    for (i, limit) in limits.iter_mut().enumerate() {
        if let Some(given) = call.optional_constant(i + 1, "limit")? {
            let Some(given) = given.single() else { return reject("a limit that is not a single number") };
            *limit = given;
        }
    }
    let [min, max] = limits;
    if min.is_nan() || max.is_nan() || min > max {
        return reject(format!("limits {min} and {max}"));
    }
    if let Value::Const(x) = call.input(0)? {
        cx.charge(x.data.len())?;
        return Ok(clamped(x, min, max)?.into());
    }
    // The largest finite numbers are how some exporters write "no limit".
    let (min, max) = (
        if min <= f32::MIN { f32::NEG_INFINITY } else { min },
        if max >= f32::MAX { f32::INFINITY } else { max },
    );
    let function = match (min, max) {
        (f32::NEG_INFINITY, f32::INFINITY) => return Ok(call.input(0)?.clone()),
        (0.0, f32::INFINITY) => UnaryFn::Relu,
        (0.0, 6.0) => UnaryFn::Relu6,
        (min, max) => UnaryFn::Clip { min, max },
    };
    let x = cx.float_operand(call.input(0)?)?;
    Ok(cx.unary(&call.name, function, x)?.into())
}

/// `Clip` of a constant, which may hold integers: sizes of padding are computed so.
fn clamped(x: &Literal, min: f32, max: f32) -> Res<Literal> {
    if x.is_float() {
        let all = x.reals().into_iter().map(|v| v.clamp(min, max)).collect();
        return Ok(Literal::floats(x.name.clone(), x.shape.clone(), all));
    }
    let (min, max) = (min.ceil() as i64, max.floor() as i64);
    let all = x.ints()?.into_iter().map(|v| v.max(min).min(max)).collect();
    Ok(Literal::new(x.name.clone(), x.shape.clone(), numeric::from_ints(all, x.data.dtype())))
}

pub(super) fn unary(cx: &mut Importer, call: &Call) -> Res<Value> {
    let Some(function) = function(call.op(), call) else { return reject("this operator is not known") };
    if call.op() == "Gelu" && !matches!(call.string("approximate", "none"), "none" | "tanh") {
        return reject_for(format!("approximate = {}", call.string("approximate", "")), "none or tanh");
    }
    if let Value::Const(x) = call.input(0)?
        && x.is_float()
    {
        cx.charge(x.data.len())?;
        let all = x.reals().into_iter().map(|v| unary_value(function, v.into()) as f32).collect();
        return Ok(Literal::floats(call.name.clone(), x.shape.clone(), all).into());
    }
    let x = cx.float_operand(call.input(0)?)?;
    Ok(cx.unary(&call.name, function, x)?.into())
}

/// The graph's function of the same meaning.
pub(super) fn function(op: &str, call: &Call) -> Option<UnaryFn> {
    Some(match op {
        "Relu" => UnaryFn::Relu,
        "LeakyRelu" => UnaryFn::LeakyRelu { slope: call.float("alpha", 0.01) },
        "Elu" => UnaryFn::Elu { alpha: call.float("alpha", 1.0) },
        "Sigmoid" => UnaryFn::Sigmoid,
        "Tanh" => UnaryFn::Tanh,
        "HardSwish" => UnaryFn::HardSwish,
        "HardSigmoid" => {
            UnaryFn::HardSigmoid { slope: call.float("alpha", 0.2), offset: call.float("beta", 0.5) }
        }
        "Gelu" => UnaryFn::Gelu { approximate: call.string("approximate", "none") == "tanh" },
        "Erf" => UnaryFn::Erf,
        "Exp" => UnaryFn::Exp,
        "Log" => UnaryFn::Log,
        "Sqrt" => UnaryFn::Sqrt,
        "Reciprocal" => UnaryFn::Reciprocal,
        "Abs" => UnaryFn::Abs,
        "Neg" => UnaryFn::Neg,
        "Softplus" => UnaryFn::Softplus,
        "Mish" => UnaryFn::Mish,
        "Floor" => UnaryFn::Floor,
        "Ceil" => UnaryFn::Ceil,
        "Round" => UnaryFn::Round,
        "Sin" => UnaryFn::Sin,
        "Cos" => UnaryFn::Cos,
        _ => return None,
    })
}
