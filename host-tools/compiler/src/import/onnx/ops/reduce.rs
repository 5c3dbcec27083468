//! Reductions over axes.

use crate::graph::{Op, ReduceFn, TensorId, UnaryFn};
use crate::import::onnx::call::{Call, Res, Value, axes_of, elements, reject, reject_for};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;
use crate::import::onnx::numeric;

pub(super) fn reduce(cx: &mut Importer, call: &Call) -> Res<Value> {
    let value = call.input(0)?;
    let shape = cx.shape_of(value)?;
    let given = call.attribute_or_input("axes", 1)?.unwrap_or_default();
    let mut axes = axes_of(&given, shape.len())?;
    if axes.is_empty() {
        if call.flag("noop_with_empty_axes", false) {
            return Ok(value.clone());
        }
        axes = (0..shape.len()).collect();
    }
    axes.sort_unstable();
    let keep_dims = call.flag("keepdims", true);
    if let Value::Const(x) = value {
        return constant(cx, call, x, &axes, keep_dims);
    }
    let x = cx.float_operand(value)?;
    let (before, function, behind) = match call.op() {
        "ReduceMean" => (None, ReduceFn::Mean, None),
        "ReduceSum" => (None, ReduceFn::Sum, None),
        "ReduceMax" => (None, ReduceFn::Max, None),
        "ReduceMin" => (Some(UnaryFn::Neg), ReduceFn::Max, Some(UnaryFn::Neg)),
        "ReduceSumSquare" => (Some(UnaryFn::Square), ReduceFn::Sum, None),
        "ReduceL2" => (Some(UnaryFn::Square), ReduceFn::Sum, Some(UnaryFn::Sqrt)),
        _ => return reject_for("it has no kernel", "ReduceSum, ReduceMean or ReduceMax"),
    };
    let step = |cx: &mut Importer, f: Option<UnaryFn>, x: TensorId, part: &str| match f {
        Some(f) => cx.unary(&format!("{}_{part}", call.name), f, x),
        None => Ok(x),
    };
    let x = step(cx, before, x, "before")?;
    let shape = reduced(&shape, &axes, keep_dims);
    let y = cx.node(&call.name, Op::Reduce { function, axes, keep_dims }, vec![x], shape);
    step(cx, behind, y, "behind").map(Value::Tensor)
}

fn reduced(shape: &[usize], axes: &[usize], keep_dims: bool) -> Vec<usize> {
    let length = |(i, &d): (usize, &usize)| match (axes.contains(&i), keep_dims) {
        (false, _) => Some(d),
        (true, true) => Some(1),
        (true, false) => None,
    };
    shape.iter().enumerate().filter_map(length).collect()
}

fn constant(cx: &mut Importer, call: &Call, x: &Literal, axes: &[usize], keep_dims: bool) -> Res<Value> {
    let n = elements(&x.shape)?;
    cx.charge(n)?;
    if n == 0 {
        return reject("a reduction of nothing");
    }
    // The reduced axes go last, so that each result reads one run.
    let kept = (0..x.shape.len()).filter(|i| !axes.contains(i));
    let perm: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let run: usize = axes.iter().map(|&a| x.shape[a]).product();
    let shape = reduced(&x.shape, axes, keep_dims);
    let moved = x.transposed(&perm);
    let name = call.name.clone();
    if x.is_float() {
        let total = |v: &[f32]| -> Option<f32> {
            Some(match call.op() {
                "ReduceMean" => v.iter().sum::<f32>() / run as f32,
                "ReduceSum" => v.iter().sum(),
                "ReduceMax" => v.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                "ReduceMin" => v.iter().copied().fold(f32::INFINITY, f32::min),
                "ReduceProd" => v.iter().product(),
                "ReduceSumSquare" => v.iter().map(|x| x * x).sum(),
                "ReduceL2" => v.iter().map(|x| x * x).sum::<f32>().sqrt(),
                _ => return None,
            })
        };
        let Some(all) = moved.reals().chunks(run).map(total).collect::<Option<Vec<_>>>() else {
            return reject("on constants");
        };
        return Ok(Literal::floats(name, shape, all).into());
    }
    let total = |v: &[i64]| -> Option<i64> {
        let sum = |v: &[i64]| v.iter().fold(0i64, |a, &b| a.wrapping_add(b));
        match call.op() {
            "ReduceMean" => Some(sum(v) / run as i64),
            "ReduceSum" => Some(sum(v)),
            "ReduceMax" => v.iter().copied().max(),
            "ReduceMin" => v.iter().copied().min(),
            "ReduceProd" => Some(v.iter().fold(1i64, |a, &b| a.wrapping_mul(b))),
            _ => None,
        }
    };
    let Some(all) = moved.ints()?.chunks(run).map(total).collect::<Option<Vec<_>>>() else {
        return reject("on constant integers");
    };
    Ok(Literal::new(name, shape, numeric::from_ints(all, x.data.dtype())).into())
}
