//! Softmax and normalizations.

use crate::graph::{BinaryFn, Op, ReduceFn, UnaryFn};
use crate::import::onnx::call::{Call, Res, Value, axis_of, reject, reject_for, size_of};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;
use std::rc::Rc;

/// Before opset 13 everything from `axis` on was one axis.
pub(super) fn softmax(cx: &mut Importer, call: &Call) -> Res<Value> {
    let value = call.input(0)?;
    let x = cx.float_operand(value)?;
    let shape = cx.shape(x).to_vec();
    let old = call.opset < 13;
    let axis = axis_of(call.int("axis", if old { 1 } else { -1 }), shape.len())?;
    let op = |axis| Op::Softmax { axis, beta: 1.0 };
    if !old || axis + 1 == shape.len() {
        return Ok(cx.node(&call.name, op(axis), vec![x], shape).into());
    }
    let flat = [shape[..axis].iter().product(), shape[axis..].iter().product()];
    let x = cx.reshape_node(x, &flat, &format!("{}_flat", call.name));
    let y = cx.node(&format!("{}_softmax", call.name), op(1), vec![x], flat.to_vec());
    Ok(cx.reshape_node(y, &shape, &call.name).into())
}

pub(super) fn layer_norm(cx: &mut Importer, call: &Call) -> Res<Value> {
    call.only_first_output("mean or deviation")?;
    let x = cx.float_operand(call.input(0)?)?;
    let shape = cx.shape(x).to_vec();
    let axis = axis_of(call.int("axis", -1), shape.len())?;
    let normalized = &shape[axis..];
    let parameter = |literal: &Rc<Literal>| -> Res<Literal> {
        if literal.data.len() != normalized.iter().product::<usize>() || !literal.is_float() {
            return reject(format!("parameters of shape {:?} for axes {normalized:?}", literal.shape));
        }
        Ok(literal.reshaped(normalized.to_vec()))
    };
    let gamma = parameter(call.constant(1, "scale")?)?;
    let beta = match call.optional_constant(2, "bias")? {
        Some(beta) => parameter(beta)?,
        None => {
            Literal::floats(format!("{}_beta", call.name), gamma.shape.clone(), vec![0.0; gamma.data.len()])
        }
    };
    let inputs = vec![x, cx.new_constant(gamma)?, cx.new_constant(beta)?];
    let op = Op::LayerNorm { axes: shape.len() - axis, epsilon: call.float("epsilon", 1e-5) };
    Ok(cx.node(&call.name, op, inputs, shape).into())
}

pub(super) fn batch_norm(cx: &mut Importer, call: &Call) -> Res<Value> {
    if call.flag("training_mode", false) {
        return reject_for("batch normalization in training mode", "export the model in evaluation mode");
    }
    call.only_first_output("running statistics")?;
    let x = cx.float_operand(call.input(0)?)?;
    let rank = cx.shape(x).len();
    if rank < 2 {
        return reject(format!("an operand with {rank} axes"));
    }
    let channels = cx.shape(x)[1];
    let last = if rank == 2 { x } else { cx.channels_last(x)? };
    let mut inputs = vec![last];
    for (i, what) in ["scale", "bias", "mean", "variance"].into_iter().enumerate() {
        let parameter = call.constant(i + 1, what)?;
        if parameter.data.len() != channels || !parameter.is_float() {
            return reject(format!("a {what} of shape {:?} for {channels} channels", parameter.shape));
        }
        inputs.push(cx.constant(parameter)?);
    }
    let shape = cx.shape(last).to_vec();
    let y = cx.node(&call.name, Op::BatchNorm { epsilon: call.float("epsilon", 1e-5) }, inputs, shape);
    if rank == 2 { Ok(y.into()) } else { cx.file_order(y, rank).map(Value::Tensor) }
}

/// Instance and group normalization, spelled out: mean and variance of each group of channels.
pub(super) fn group_norm(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = cx.float_operand(call.input(0)?)?;
    let shape = cx.shape(x).to_vec();
    if shape.len() < 3 {
        return reject(format!("an operand with {} axes", shape.len()));
    }
    let (batch, channels) = (shape[0], shape[1]);
    let groups = match call.op() {
        "GroupNormalization" => size_of(call.int("num_groups", 0))?,
        _ => channels,
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return reject(format!("{groups} groups of {channels} channels"));
    }
    let mut parameters = Vec::new();
    for (i, what) in [(1, "scale"), (2, "bias")] {
        let given = call.constant(i, what)?;
        let reals = given.reals();
        // Opset 18 had one per group, 21 one per channel.
        let each = match reals.len() {
            n if n == channels => reals,
            n if n == groups => reals.iter().flat_map(|&v| vec![v; channels / groups]).collect(),
            n => return reject(format!("a {what} of {n} elements for {channels} channels")),
        };
        let mut axes = vec![1; shape.len() - 1];
        axes[0] = channels;
        parameters.push(Value::from(Literal::floats(format!("{}_{what}", call.name), axes, each)));
    }
    let name = |part: &str| format!("{}_{part}", call.name);
    let rest: usize = shape[1..].iter().product::<usize>() / groups;
    let (full, one) = (vec![batch, groups, rest], vec![batch, groups, 1]);
    let mean = Op::Reduce { function: ReduceFn::Mean, axes: vec![2], keep_dims: true };
    let binary = |f| Op::Binary(f);
    let x = cx.reshape_node(x, &full, &name("groups"));
    let average = cx.node(&name("mean"), mean.clone(), vec![x], one.clone());
    let centred = cx.node(&name("centred"), binary(BinaryFn::Sub), vec![x, average], full.clone());
    let squares = cx.node(&name("squares"), Op::Unary(UnaryFn::Square), vec![centred], full.clone());
    let variance = cx.node(&name("variance"), mean, vec![squares], one);
    let epsilon = Literal::scalar(name("epsilon"), call.float("epsilon", 1e-5)).into();
    let padded = cx.elementwise(&name("padded"), binary(BinaryFn::Add), &variance.into(), &epsilon)?;
    let inverse = cx.unary(&name("inverse"), UnaryFn::Rsqrt, padded)?;
    let y = cx.node(&name("normal"), binary(BinaryFn::Mul), vec![centred, inverse], full);
    let y = cx.reshape_node(y, &shape, &name("channels"));
    let y = cx.elementwise(&name("scaled"), binary(BinaryFn::Mul), &y.into(), &parameters[0])?;
    Ok(cx.elementwise(&call.name, binary(BinaryFn::Add), &y.into(), &parameters[1])?.into())
}
