//! Matrix products.

use crate::graph::{BinaryFn, Op};
use crate::import::onnx::call::{Call, Res, Value, broadcast_shapes, reject};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;

pub(super) fn gemm(cx: &mut Importer, call: &Call) -> Res<Value> {
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let (a, b) = (call.input(0)?, call.input(1)?);
    if cx.shape_of(a)?.len() != 2 || cx.shape_of(b)?.len() != 2 {
        return reject("operands that are not matrices");
    }
    let a = match call.flag("transA", false) {
        true => cx.transpose(&format!("{}_a", call.name), a, &[1, 0])?,
        false => a.clone(),
    };
    let transposed = call.flag("transB", false);
    if let (Value::Const(weights), Value::Tensor(_)) = (b, &a) {
        let weights = Value::Const(weights.clone());
        let weights = if transposed { weights } else { cx.transpose("", &weights, &[1, 0])? };
        let Value::Const(weights) = weights else { return reject("weights that are not constant") };
        let mut bias = None;
        if let Some(Value::Const(c)) = call.optional(2) {
            let columns = weights.shape[0];
            // One bias per column; anything else is added behind.
            if c.data.len() == columns && c.shape.last() == Some(&columns) || c.data.len() == 1 {
                let flat = if c.data.len() == 1 { vec![1] } else { vec![columns] };
                let flat = scaled(c.reshaped(flat), beta);
                bias = Some(if flat.data.len() == columns { flat } else { flat.broadcast(&[columns]) });
            }
        }
        let (has_bias, weights) = (bias.is_some(), scaled((*weights).clone(), alpha));
        let y = dense(cx, &call.name, &a, weights, bias)?;
        return if has_bias { Ok(y) } else { plus(cx, call, y, beta) };
    }
    let (a, b) = (cx.float_operand(&a)?, cx.float_operand(b)?);
    let (rows, inner) = (cx.shape(a)[0], cx.shape(a)[1]);
    let (depth, columns) = match (transposed, cx.shape(b)) {
        (true, &[n, k]) => (k, n),
        (false, &[k, n]) => (k, n),
        _ => return reject("operands that are not matrices"),
    };
    if inner != depth {
        return reject(format!("{inner} columns against {depth} rows"));
    }
    cx.check_shape(&[rows, columns])?;
    let op = Op::MatMul { transpose_a: false, transpose_b: transposed };
    let mut y: Value = cx.node(&call.name, op, vec![a, b], vec![rows, columns]).into();
    if alpha != 1.0 {
        let factor = Literal::scalar(format!("{}_alpha", call.name), alpha).into();
        y = cx.elementwise(&call.name, Op::Binary(BinaryFn::Mul), &y, &factor)?.into();
    }
    plus(cx, call, y, beta)
}

/// `y + beta * C`
fn plus(cx: &mut Importer, call: &Call, y: Value, beta: f32) -> Res<Value> {
    let Some(c) = call.optional(2) else { return Ok(y) };
    let c = match c {
        Value::Const(c) => Value::from(scaled((**c).clone(), beta)),
        c if beta == 1.0 => c.clone(),
        c => {
            let factor = Literal::scalar(format!("{}_beta", call.name), beta).into();
            cx.elementwise(&format!("{}_c", call.name), Op::Binary(BinaryFn::Mul), c, &factor)?.into()
        }
    };
    Ok(cx.elementwise(&format!("{}_sum", call.name), Op::Binary(BinaryFn::Add), &y, &c)?.into())
}

/// `factor * x`; of quantized numbers only the scale changes, unless its sign would.
fn scaled(mut x: Literal, factor: f32) -> Literal {
    if factor == 1.0 {
        return x;
    }
    match &mut x.quant {
        Some(quant) if factor > 0.0 => quant.scales.iter_mut().for_each(|s| *s *= factor),
        _ => {
            let scaled = x.reals().into_iter().map(|v| v * factor).collect();
            x = Literal::floats(x.name, x.shape, scaled);
        }
    }
    x
}

pub(super) fn matmul(cx: &mut Importer, call: &Call) -> Res<Value> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (shape_a, shape_b) = (cx.shape_of(a)?, cx.shape_of(b)?);
    if shape_a.is_empty() || shape_b.is_empty() {
        return reject("a scalar operand");
    }
    // Vectors are matrices of one row or one column, and lose that axis again.
    let rows_a = if shape_a.len() == 1 { vec![1, shape_a[0]] } else { shape_a.clone() };
    let rows_b = if shape_b.len() == 1 { vec![shape_b[0], 1] } else { shape_b.clone() };
    let (lead_a, lead_b) = (&rows_a[..rows_a.len() - 2], &rows_b[..rows_b.len() - 2]);
    let ([m, k], [depth, n]) = (last_two(&rows_a), last_two(&rows_b));
    if k != depth {
        return reject(format!("{k} columns against {depth} rows"));
    }
    let mut shape = broadcast_shapes(lead_a, lead_b)?;
    shape.extend([m, n]);
    let mut result = shape.clone();
    if shape_b.len() == 1 {
        result.pop();
    }
    if shape_a.len() == 1 {
        result.remove(result.len() - if shape_b.len() == 1 { 1 } else { 2 });
    }
    cx.check_shape(&shape)?;
    let a = cx.reshape(&format!("{}_a", call.name), a, &rows_a)?;
    let y = match b {
        Value::Const(weights) if lead_b.iter().all(|&d| d == 1) && lead_b.len() <= lead_a.len() => {
            let weights = weights.reshaped(vec![k, n]).transposed(&[1, 0]);
            dense(cx, &call.name, &a, weights, None)?
        }
        _ => {
            let b = cx.reshape(&format!("{}_b", call.name), b, &rows_b)?;
            let (a, b) = (cx.float_operand(&a)?, cx.float_operand(&b)?);
            let op = Op::MatMul { transpose_a: false, transpose_b: false };
            cx.node(&call.name, op, vec![a, b], shape).into()
        }
    };
    cx.reshape(&format!("{}_y", call.name), &y, &result)
}

fn last_two(shape: &[usize]) -> [usize; 2] {
    [shape[shape.len() - 2], shape[shape.len() - 1]]
}

/// A dense layer; `weights` are `[N, K]` already.
pub(super) fn dense(
    cx: &mut Importer,
    name: &str,
    x: &Value,
    weights: Literal,
    bias: Option<Literal>,
) -> Res<Value> {
    let x = cx.float_operand(x)?;
    let mut shape = cx.shape(x).to_vec();
    if shape.last() != Some(&weights.shape[1]) || !weights.is_float() {
        return reject(format!("weights of shape {:?} on an operand of shape {shape:?}", weights.shape));
    }
    if let Some(last) = shape.last_mut() {
        *last = weights.shape[0];
    }
    cx.check_shape(&shape)?;
    let mut inputs = vec![x, cx.new_constant(weights)?];
    if let Some(bias) = bias {
        inputs.push(cx.new_constant(bias)?);
    }
    Ok(cx.node(name, Op::Dense, inputs, shape).into())
}
