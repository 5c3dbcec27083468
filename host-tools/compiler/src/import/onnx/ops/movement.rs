//! Operators that move elements without computing.

use crate::graph::Op;
use crate::graph::shape::reflected;
use crate::import::onnx::call::{Call, Res, Value, axes_of, axis_of, elements, reject, reject_for, size_of};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;

pub(super) fn concat(cx: &mut Importer, call: &Call) -> Res<Value> {
    let parts = (0..call.inputs.len()).map(|i| call.input(i).cloned()).collect::<Res<Vec<_>>>()?;
    let Some(first) = parts.first() else { return reject("nothing to join") };
    let axis = axis_of(call.int("axis", 0), cx.shape_of(first)?.len())?;
    // Empty constants are how exporters write "nothing" in a shape.
    let nothing = |v: &&Value| !matches!(v, Value::Const(c) if c.data.is_empty() && c.shape.len() == 1);
    let full: Vec<Value> = parts.iter().filter(nothing).cloned().collect();
    cx.concat(&call.name, if full.is_empty() { &parts[..1] } else { &full }, axis)
}

pub(super) fn split(cx: &mut Importer, call: &Call) -> Res<Vec<Value>> {
    let x = call.input(0)?;
    let shape = cx.shape_of(x)?;
    let axis = axis_of(call.int("axis", 0), shape.len())?;
    let count = call.output_count();
    let lengths = match call.attribute_or_input("split", 1)? {
        Some(lengths) => lengths.into_iter().map(size_of).collect::<Res<Vec<_>>>()?,
        None => {
            if count == 0 || call.attribute("num_outputs").is_some_and(|a| a.i != count as i64) {
                return reject("num_outputs differs from the number of outputs");
            }
            let each = shape[axis].div_ceil(count);
            (0..count).map(|i| each.min(shape[axis].saturating_sub(i * each))).collect()
        }
    };
    let total = lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if lengths.len() != count || total != Some(shape[axis]) {
        return reject(format!("lengths {lengths:?} of an axis of {}", shape[axis]));
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for (i, length) in lengths.into_iter().enumerate() {
        parts.push(cx.part(&format!("{}_{i}", call.name), x, axis, start, length)?);
        start += length;
    }
    Ok(parts)
}

pub(super) fn slice(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let mut shape = cx.shape_of(x)?;
    let given = |name: &str, i: usize| call.attribute_or_input(name, i);
    let (Some(from), Some(to)) = (given("starts", 1)?, given("ends", 2)?) else {
        return reject("starts or ends are missing");
    };
    let axes = given("axes", 3)?.unwrap_or_else(|| (0..from.len() as i64).collect());
    let strides = given("steps", 4)?.unwrap_or_else(|| vec![1; from.len()]);
    let axes = axes_of(&axes, shape.len())?;
    if [to.len(), axes.len(), strides.len()] != [from.len(); 3] {
        return reject("starts, ends, axes and steps of different lengths");
    }
    let (mut starts, mut steps) = (vec![0; shape.len()], vec![1; shape.len()]);
    for (i, &axis) in axes.iter().enumerate() {
        let length = shape[axis] as i64;
        let step = strides[i];
        let bound =
            |v: i64, low: i64, high: i64| (if v < 0 { v.saturating_add(length) } else { v }).clamp(low, high);
        let count = if step > 0 {
            let (start, end) = (bound(from[i], 0, length), bound(to[i], 0, length));
            starts[axis] = start as usize;
            (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs())
        } else if step < 0 {
            let (start, end) = (bound(from[i], 0, length - 1), bound(to[i], -1, length - 1));
            starts[axis] = start.max(0) as usize;
            (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs())
        } else {
            return reject("a step of 0");
        };
        shape[axis] = count as usize;
        // One element needs no step, and a huge one must not take part in address arithmetic.
        steps[axis] = if count > 1 { step } else { 1 };
        if count == 0 {
            starts[axis] = 0;
        }
    }
    cx.slice(&call.name, x, &starts, &steps, shape)
}

pub(super) fn pad(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let shape = cx.shape_of(x)?;
    let mode = call.string("mode", "constant");
    if !["constant", "reflect"].contains(&mode) {
        return reject_for(
            format!("mode = {mode}"),
            "padding by constants or by reflection, or padding in the convolution",
        );
    }
    let Some(pads) = call.attribute_or_input("pads", 1)? else { return reject("pads are missing") };
    let value = match call.optional_constant(2, "value")?.filter(|v| !v.data.is_empty()) {
        Some(value) => value.reals()[0],
        None => call.float("value", 0.0),
    };
    let axes = match call.optional_constant(3, "axes")? {
        Some(axes) => axes_of(&axes.ints()?, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return reject(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let (mut grow, mut starts, mut kept) = (vec![(0, 0); shape.len()], vec![0; shape.len()], shape.clone());
    for (i, &axis) in axes.iter().enumerate() {
        // Negative padding cuts off.
        let (before, after) = (pads[i], pads[axes.len() + i]);
        let cut = |p: i64| size_of(p.min(0).saturating_neg());
        let (left, right) = (cut(before)?, cut(after)?);
        let Some(rest) = kept[axis].checked_sub(left + right) else {
            return reject("it cuts off everything");
        };
        (starts[axis], kept[axis]) = (left, rest);
        grow[axis] = (size_of(before.max(0))?, size_of(after.max(0))?);
    }
    if let Value::Tensor(id) = x
        && !cx.is_float(x)
        && cx.graph.tensor(*id).quant.is_none()
    {
        return reject("padding of integers");
    }
    let cut = cx.slice(&format!("{}_cut", call.name), x, &starts, &vec![1; shape.len()], kept.clone())?;
    if mode == "constant" {
        return cx.pad(&call.name, &cut, grow, value);
    }
    let mut y = cut;
    for (axis, &(before, after)) in grow.iter().enumerate().filter(|(_, grow)| **grow != (0, 0)) {
        let Some(picked) = reflected(kept[axis], before, after) else {
            return reject(format!(
                "{before} and {after} reflected places beside {} on axis {axis}",
                kept[axis]
            ));
        };
        let picked = picked.into_iter().map(|i| i as i64).collect();
        let name = format!("{}_{axis}", call.name);
        let indices = Literal::from_ints(format!("{name}_places"), picked);
        y = cx.gather(&name, &y, axis, &indices)?;
    }
    Ok(y)
}

pub(super) fn transpose(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let rank = cx.shape_of(x)?.len();
    let perm = match call.ints("perm") {
        Some(perm) => axes_of(perm, rank)?,
        None => (0..rank).rev().collect(),
    };
    if perm.len() != rank {
        return reject(format!("perm of {} axes for a tensor with {rank}", perm.len()));
    }
    cx.transpose(&call.name, x, &perm)
}

pub(super) fn reshape(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let old = cx.shape_of(x)?;
    let Some(wanted) = call.attribute_or_input("shape", 1)? else { return reject("the shape is missing") };
    let keeps_zero = call.flag("allowzero", false);
    let (mut shape, mut open) = (Vec::new(), None);
    for (i, &d) in wanted.iter().enumerate() {
        shape.push(match d {
            0 if !keeps_zero => match old.get(i) {
                Some(&d) => d,
                None => return reject(format!("shape {wanted:?} for {old:?}")),
            },
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            d => size_of(d)?,
        });
    }
    if let Some(open) = open {
        let (total, rest) = (elements(&old)?, elements(&shape)?);
        match total.checked_rem(rest) {
            Some(0) => shape[open] = total / rest,
            _ => return reject(format!("shape {wanted:?} for {old:?}")),
        }
    }
    cx.reshape(&call.name, x, &shape)
}

pub(super) fn flatten(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let shape = cx.shape_of(x)?;
    let axis = call.int("axis", 1);
    let axis = if axis == shape.len() as i64 { shape.len() } else { axis_of(axis, shape.len())? };
    cx.reshape(&call.name, x, &[elements(&shape[..axis])?, elements(&shape[axis..])?])
}

pub(super) fn squeeze(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let shape = cx.shape_of(x)?;
    let axes = match call.attribute_or_input("axes", 1)? {
        Some(axes) => axes_of(&axes, shape.len())?,
        None => (0..shape.len()).filter(|&i| shape[i] == 1).collect(),
    };
    if axes.iter().any(|&a| shape[a] != 1) {
        return reject(format!("axes {axes:?} of shape {shape:?} are not all of length 1"));
    }
    let kept = shape.iter().enumerate().filter(|(i, _)| !axes.contains(i));
    let kept: Vec<usize> = kept.map(|(_, &d)| d).collect();
    cx.reshape(&call.name, x, &kept)
}

pub(super) fn unsqueeze(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let shape = cx.shape_of(x)?;
    let Some(axes) = call.attribute_or_input("axes", 1)? else { return reject("axes are missing") };
    let rank = shape.len() + axes.len().min(16);
    let axes = axes_of(&axes, rank)?;
    let mut rest = shape.iter().copied();
    let wider: Vec<usize> =
        (0..rank).map(|i| if axes.contains(&i) { 1 } else { rest.next().unwrap_or(1) }).collect();
    cx.reshape(&call.name, x, &wider)
}

pub(super) fn expand(cx: &mut Importer, call: &Call) -> Res<Value> {
    let shape = call.constant_ints(1, "shape")?.into_iter().map(size_of).collect::<Res<Vec<_>>>()?;
    cx.broadcast(&call.name, call.input(0)?, &shape)
}

pub(super) fn tile(cx: &mut Importer, call: &Call) -> Res<Value> {
    let mut x = call.input(0)?.clone();
    let shape = cx.shape_of(&x)?;
    let repeats = call.constant_ints(1, "repeats")?.into_iter().map(size_of).collect::<Res<Vec<_>>>()?;
    if repeats.len() != shape.len() {
        return reject(format!("{} repeats for {} axes", repeats.len(), shape.len()));
    }
    for (axis, &count) in repeats.iter().enumerate() {
        if !(1..=1024).contains(&count) {
            return reject(format!("{count} repeats"));
        }
        let parts = vec![x; count];
        x = cx.concat(&format!("{}_{axis}", call.name), &parts, axis)?;
    }
    Ok(x)
}

pub(super) fn gather(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let axis = axis_of(call.int("axis", 0), cx.shape_of(x)?.len())?;
    let indices = call.constant(1, "indices").map_err(|mut why| {
        why.instead = Some("constant indices; look up embeddings before the run".into());
        why
    })?;
    if let Some(count) = recycled_rows(&cx.shape_of(x)?, axis, indices)
        && matches!(x, Value::Const(literal) if literal.data.dtype().is_float())
    {
        let (table, mut shape) = (cx.operand(x)?, cx.shape_of(x)?);
        shape[0] = count;
        return Ok(Value::Tensor(cx.node(&call.name, Op::Recycle { axis: 0 }, vec![table], shape)));
    }
    cx.gather(&call.name, x, axis, indices)
}

/// How many rows are picked, if they are the first `n` of a table of `2 n - 1`: the positions of a recycling encoding,
/// which frames of a stream take in turn.
fn recycled_rows(table: &[usize], axis: usize, indices: &Literal) -> Option<usize> {
    let (&[rows, _], 0, &[n]) = (table, axis, &indices.shape[..]) else { return None };
    let ints = indices.ints().ok()?;
    let first = ints.iter().enumerate().all(|(i, &index)| index == i as i64);
    (n > 1 && rows == 2 * n - 1 && first).then_some(n)
}

/// `DepthToSpace` (pixel shuffle) and its reverse, as a transpose between two reshapes.
pub(super) fn depth_space(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = call.input(0)?;
    let shape = cx.shape_of(x)?;
    let &[n, c, h, w] = &shape[..] else { return reject(format!("an operand with {} axes", shape.len())) };
    let b = size_of(call.int("blocksize", 0))?;
    let name = |part: &str| format!("{}_{part}", call.name);
    let area = b.checked_mul(b).filter(|&area| area > 0);
    let Some(area) = area else { return reject(format!("blocksize = {b}")) };
    if call.op() == "SpaceToDepth" {
        if !h.is_multiple_of(b) || !w.is_multiple_of(b) {
            return reject(format!("blocks of {b} in {h} x {w} positions"));
        }
        let x = cx.reshape(&name("blocks"), x, &[n, c, h / b, b, w / b, b])?;
        let x = cx.transpose(&name("sorted"), &x, &[0, 3, 5, 1, 2, 4])?;
        return cx.reshape(&call.name, &x, &[n, c * area, h / b, w / b]);
    }
    if !c.is_multiple_of(area) {
        return reject(format!("blocks of {b} x {b} in {c} channels"));
    }
    let columns_first = call.string("mode", "DCR") == "CRD";
    let (split, perm) = match columns_first {
        true => ([n, c / area, b, b, h, w], [0, 1, 4, 2, 5, 3]),
        false => ([n, b, b, c / area, h, w], [0, 3, 4, 1, 5, 2]),
    };
    let x = cx.reshape(&name("blocks"), x, &split)?;
    let x = cx.transpose(&name("sorted"), &x, &perm)?;
    cx.reshape(&call.name, &x, &[n, c / area, h * b, w * b])
}
