//! Arithmetic on constants. Integers are computed in 64 bits and wrap; reals in single precision, as the
//! operators would at run time.

use super::call::{Call, Res, Value, broadcast_shapes, elements, reject};
use super::importer::Importer;
use super::literal::Literal;
use crate::graph::{DType, Data};

impl Importer<'_> {
    /// Evaluates an elementwise operator if all operands are constants and it is one that can be evaluated.
    pub fn fold_elementwise(&mut self, call: &Call) -> Option<Res<Value>> {
        let mut operands = Vec::new();
        for input in &call.inputs {
            let Some(Value::Const(literal)) = input else { return None };
            operands.push(&**literal);
        }
        if !matches!(operands.len(), 1..=64) {
            return None;
        }
        let op = call.op();
        let known = is_unary(op) && operands.len() == 1 || is_binary(op) || op == "Where";
        known.then(|| self.evaluate(op, &call.name, &operands))
    }

    fn evaluate(&mut self, op: &str, name: &str, operands: &[&Literal]) -> Res<Value> {
        let mut shape = Vec::new();
        for operand in operands {
            shape = broadcast_shapes(&shape, &operand.shape)?;
        }
        self.charge(elements(&shape)?.saturating_mul(operands.len()))?;
        let wide = |l: &Literal| if l.shape == shape { l.clone() } else { l.broadcast(&shape) };
        let mut result = match operands {
            [x] if is_unary(op) => unary(op, x)?,
            [c, a, b] if op == "Where" => choose(&wide(c), &wide(a), &wide(b))?,
            [first, rest @ ..] if is_binary(op) => {
                let mut total = wide(first);
                for other in rest {
                    total = binary(op, &total, &wide(other))?;
                }
                total
            }
            _ => return reject(format!("{} operands", operands.len())),
        };
        result.name = name.to_string();
        Ok(result.into())
    }
}

/// To another element type, numbers unscaled; out-of-range reals saturate, integers wrap.
pub(super) fn cast(x: &Literal, to: DType) -> Literal {
    let x = x.dequantized();
    let ints = || match x.data.to_i64() {
        Some(ints) => ints,
        None => x.data.to_f32().into_iter().map(|v| v as i64).collect(),
    };
    let data = if to.is_float() {
        Data::F32(x.data.to_f32().into())
    } else if to == DType::Bool {
        Data::Bool(x.data.to_f32().into_iter().map(|v| v != 0.0).collect())
    } else {
        from_ints(ints(), to)
    };
    Literal::new(x.name.clone(), x.shape.clone(), data)
}

pub(super) fn from_ints(v: Vec<i64>, to: DType) -> Data {
    match to {
        DType::F32 | DType::F16 => Data::F32(v.into_iter().map(|x| x as f32).collect()),
        DType::I8 => Data::I8(v.into_iter().map(|x| x as i8).collect()),
        DType::U8 => Data::U8(v.into_iter().map(|x| x as u8).collect()),
        DType::I16 => Data::I16(v.into_iter().map(|x| x as i16).collect()),
        DType::I32 => Data::I32(v.into_iter().map(|x| x as i32).collect()),
        DType::I64 => Data::I64(v.into()),
        DType::Bool => Data::Bool(v.into_iter().map(|x| x != 0).collect()),
    }
}

fn is_unary(op: &str) -> bool {
    const OPS: &[&str] = &[
        "Neg",
        "Abs",
        "Floor",
        "Ceil",
        "Round",
        "Sqrt",
        "Exp",
        "Log",
        "Reciprocal",
        "Sigmoid",
        "Tanh",
        "Relu",
        "Sin",
        "Cos",
        "Not",
        "Sign",
    ];
    OPS.contains(&op)
}

fn is_binary(op: &str) -> bool {
    const OPS: &[&str] = &[
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Mod",
        "Pow",
        "Min",
        "Max",
        "Sum",
        "Equal",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "And",
        "Or",
        "Xor",
    ];
    OPS.contains(&op)
}

fn unary(op: &str, x: &Literal) -> Res<Literal> {
    let like = |data| Ok(Literal::new(x.name.clone(), x.shape.clone(), data));
    if x.is_float() {
        let f: fn(f32) -> f32 = match op {
            "Neg" => |v| -v,
            "Abs" => f32::abs,
            "Floor" => f32::floor,
            "Ceil" => f32::ceil,
            "Round" => f32::round_ties_even,
            "Sqrt" => f32::sqrt,
            "Exp" => f32::exp,
            "Log" => f32::ln,
            "Reciprocal" => f32::recip,
            "Sigmoid" => |v| 1.0 / (1.0 + (-v).exp()),
            "Tanh" => f32::tanh,
            "Relu" => |v| v.max(0.0),
            "Sin" => f32::sin,
            "Cos" => f32::cos,
            "Sign" => |v| if v == 0.0 { 0.0 } else { v.signum() },
            _ => return reject("on reals"),
        };
        return like(Data::F32(x.reals().into_iter().map(f).collect()));
    }
    let f: fn(i64) -> i64 = match op {
        "Neg" => i64::wrapping_neg,
        "Abs" => i64::wrapping_abs,
        "Sign" => i64::signum,
        "Relu" => |v| v.max(0),
        "Not" => |v| i64::from(v == 0),
        _ => return reject("on integers"),
    };
    like(from_ints(x.ints()?.into_iter().map(f).collect(), x.data.dtype()))
}

fn binary(op: &str, a: &Literal, b: &Literal) -> Res<Literal> {
    let compares = matches!(op, "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual");
    let data = if a.is_float() || b.is_float() {
        let f: fn(f32, f32) -> f32 = match op {
            "Add" | "Sum" => |x, y| x + y,
            "Sub" => |x, y| x - y,
            "Mul" => |x, y| x * y,
            "Div" => |x, y| x / y,
            "Mod" => |x, y| x % y,
            "Pow" => f32::powf,
            "Min" => f32::min,
            "Max" => f32::max,
            "Equal" => |x, y| f32::from(x == y),
            "Less" => |x, y| f32::from(x < y),
            "LessOrEqual" => |x, y| f32::from(x <= y),
            "Greater" => |x, y| f32::from(x > y),
            "GreaterOrEqual" => |x, y| f32::from(x >= y),
            _ => return reject("on reals"),
        };
        let reals = a.reals().into_iter().zip(b.reals()).map(|(x, y)| f(x, y));
        if compares { Data::Bool(reals.map(|v| v != 0.0).collect()) } else { Data::F32(reals.collect()) }
    } else {
        let f: fn(i64, i64) -> Option<i64> = match op {
            "Add" | "Sum" => |x, y| Some(x.wrapping_add(y)),
            "Sub" => |x, y| Some(x.wrapping_sub(y)),
            "Mul" => |x, y| Some(x.wrapping_mul(y)),
            "Div" => |x, y| x.checked_div(y),
            "Mod" => |x, y| x.checked_rem_euclid(y).map(|r| if y < 0 && r != 0 { r + y } else { r }),
            "Pow" => |x, y| u32::try_from(y).ok().map(|y| x.wrapping_pow(y)),
            "Min" => |x, y| Some(x.min(y)),
            "Max" => |x, y| Some(x.max(y)),
            "Equal" => |x, y| Some((x == y).into()),
            "Less" => |x, y| Some((x < y).into()),
            "LessOrEqual" => |x, y| Some((x <= y).into()),
            "Greater" => |x, y| Some((x > y).into()),
            "GreaterOrEqual" => |x, y| Some((x >= y).into()),
            "And" => |x, y| Some((x != 0 && y != 0).into()),
            "Or" => |x, y| Some((x != 0 || y != 0).into()),
            "Xor" => |x, y| Some(((x != 0) != (y != 0)).into()),
            _ => return reject("on integers"),
        };
        let ints = a.ints()?.into_iter().zip(b.ints()?).map(|(x, y)| f(x, y)).collect::<Option<Vec<_>>>();
        let Some(ints) = ints else { return reject("an integer division by zero, or a negative exponent") };
        from_ints(ints, if compares { DType::Bool } else { a.data.dtype() })
    };
    Ok(Literal::new(a.name.clone(), a.shape.clone(), data))
}

fn choose(condition: &Literal, a: &Literal, b: &Literal) -> Res<Literal> {
    let Data::Bool(condition) = &condition.data else { return reject("a condition that is not boolean") };
    let data = if a.is_float() || b.is_float() {
        let pairs = a.reals().into_iter().zip(b.reals());
        Data::F32(pairs.zip(condition.iter()).map(|((x, y), &c)| if c { x } else { y }).collect())
    } else {
        let pairs = a.ints()?.into_iter().zip(b.ints()?);
        let chosen = pairs.zip(condition.iter()).map(|((x, y), &c)| if c { x } else { y }).collect();
        from_ints(chosen, a.data.dtype())
    };
    Ok(Literal::new(a.name.clone(), a.shape.clone(), data))
}
