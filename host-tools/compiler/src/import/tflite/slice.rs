//! Operators that cut tensors apart and join them.

use super::build::{Builder, FileNode, Step, V, nearly_equal};
use super::read::elements;
use super::refused::{Refused, refuse};
use super::shape::axis_of;
use crate::graph::{DType, Data, Op, Tensor};
use tract_tflite::tflite::{ActivationFunctionType as A, BuiltinOperator as B};

pub(super) fn concatenation(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let Some(o) = node.op.builtin_options_as_concatenation_options() else {
        return refuse("its options are missing");
    };
    if o.fused_activation_function() != A::NONE {
        return Err(
            Refused::new("it has a fused activation").instead("the activation as an operator of its own")
        );
    }
    let mut parts = Vec::with_capacity(node.inputs.len());
    for slot in 0..node.inputs.len() {
        parts.push(b.input(node, slot)?);
    }
    join(b, node, parts, o.axis().into())
}

pub(super) fn pack(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let axis = node.op.builtin_options_as_pack_options().map_or(0, |o| o.axis());
    let first = b.input(node, 0)?;
    let rank = b.shape(first).len();
    let axis = axis_of(axis.into(), rank + 1)?;
    let mut parts = Vec::with_capacity(node.inputs.len());
    for slot in 0..node.inputs.len() {
        let x = b.input(node, slot)?;
        let mut shape = b.shape(x).to_vec();
        if shape.len() != rank {
            return refuse("its operands have different numbers of axes");
        }
        shape.insert(axis, 1);
        let target = b.between(node, &format!("part{slot}"), &shape, x);
        parts.push(b.emit(Step::new(Op::Reshape, [x]), target)?);
    }
    join(b, node, parts, axis as i64)
}

fn join(b: &mut Builder<'_>, node: &FileNode<'_>, mut parts: Vec<V>, axis: i64) -> Result<(), Refused> {
    let Some(&first) = parts.first() else { return refuse("it has no operands") };
    let mut shape = b.shape(first).to_vec();
    let axis = axis_of(axis, shape.len())?;
    let mut total = 0usize;
    for &part in &parts {
        let mut own = b.shape(part).to_vec();
        if own.len() != shape.len() {
            return refuse("its operands have different numbers of axes");
        }
        total = total.saturating_add(std::mem::replace(&mut own[axis], shape[axis]));
        if own != shape {
            return refuse(format!("{:?} does not fit beside {shape:?} along axis {axis}", b.shape(part)));
        }
    }
    shape[axis] = total;
    elements(&shape)?;
    let target = b.output(node, 0, &shape)?;
    let constant = parts.iter().all(|&part| b.is_constant(part));
    if !constant {
        for (slot, part) in parts.iter_mut().enumerate() {
            // Only the old uint8 kernel brings operands to a common scale; the importer does it for all.
            if b.tensor(*part).dtype == DType::I8
                && target.tensor.dtype == DType::I8
                && !nearly_equal(b.tensor(*part), &target.tensor)
            {
                b.arithmetic(&[*part], &target.tensor)?;
                let own = b.shape(*part).to_vec();
                let mut scaled = b.between(node, &format!("scaled{slot}"), &own, *part);
                scaled.tensor.quant = target.tensor.quant.clone();
                *part = b.emit(Step::new(Op::Requantize, [*part]), scaled)?;
            }
        }
    }
    b.same_quant(&parts, &target.tensor)?;
    b.emit(Step::new(Op::Concat { axis }, parts), target).map(|_| ())
}

pub(super) fn split(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let (x_slot, axis_slot) = if node.code == B::SPLIT { (1, 0) } else { (0, 2) };
    let x = b.any_input(node, x_slot)?;
    let dims = b.shape(x).to_vec();
    let &[axis] = &b.ints(node, axis_slot, "the axis")?[..] else {
        return refuse("it names more than one axis");
    };
    let axis = axis_of(axis, dims.len())?;
    let count = node.outputs.len();
    let lengths = if node.code == B::SPLIT {
        if count == 0 || !dims[axis].is_multiple_of(count) {
            return refuse(format!("{} does not divide into {count} parts", dims[axis]));
        }
        vec![dims[axis] / count; count]
    } else {
        let sizes = b.ints(node, 1, "the list of sizes")?;
        let known: usize =
            sizes.iter().filter_map(|&s| usize::try_from(s).ok()).fold(0, |sum, s| sum.saturating_add(s));
        let open = sizes.iter().filter(|&&s| s == -1).count();
        let rest = dims[axis].checked_sub(known);
        let negative = sizes.iter().any(|&s| s < -1);
        match rest {
            Some(rest) if !negative && sizes.len() == count && (open == 1 || (open == 0 && rest == 0)) => {
                sizes.iter().map(|&s| usize::try_from(s).unwrap_or(rest)).collect()
            }
            _ => return refuse(format!("sizes {sizes:?} do not divide {} into {count} parts", dims[axis])),
        }
    };
    let mut start = 0;
    for (slot, length) in lengths.into_iter().enumerate() {
        let mut starts = vec![0; dims.len()];
        let mut shape = dims.clone();
        (starts[axis], shape[axis]) = (start, length);
        start += length;
        let target = b.output(node, slot, &shape)?;
        b.same_quant(&[x], &target.tensor)?;
        b.emit(Step::new(Op::Slice { starts, steps: vec![1; dims.len()] }, [x]), target)?;
    }
    Ok(())
}

pub(super) fn unpack(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let axis = node.op.builtin_options_as_unpack_options().map_or(0, |o| o.axis());
    let x = b.any_input(node, 0)?;
    let dims = b.shape(x).to_vec();
    let axis = axis_of(axis.into(), dims.len())?;
    if dims[axis] != node.outputs.len() {
        return refuse(format!("{} outputs for {} slices", node.outputs.len(), dims[axis]));
    }
    for slot in 0..node.outputs.len() {
        let mut starts = vec![0; dims.len()];
        let mut shape = dims.clone();
        (starts[axis], shape[axis]) = (slot, 1);
        let cut = b.between(node, &format!("slice{slot}"), &shape, x);
        shape.remove(axis);
        let target = b.output(node, slot, &shape)?;
        b.same_quant(&[x], &target.tensor)?;
        let slice = b.emit(Step::new(Op::Slice { starts, steps: vec![1; dims.len()] }, [x]), cut)?;
        b.emit(Step::new(Op::Reshape, [slice]), target)?;
    }
    Ok(())
}

pub(super) fn slice(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let dims = b.shape(x).to_vec();
    let (begin, size) = (b.ints(node, 1, "the start")?, b.ints(node, 2, "the size")?);
    if begin.len() != dims.len() || size.len() != dims.len() {
        return refuse("its start and size do not have one number per axis");
    }
    let (mut starts, mut shape) = (Vec::new(), Vec::new());
    for ((&length, &begin), &size) in dims.iter().zip(&begin).zip(&size) {
        let cut = usize::try_from(begin).ok().and_then(|start| {
            let room = length.checked_sub(start)?;
            let size = if size == -1 { room } else { usize::try_from(size).ok()? };
            (size <= room).then_some((start, size))
        });
        let Some((start, size)) = cut else {
            return refuse(format!("{size} elements from {begin} are not inside of {length}"));
        };
        starts.push(start);
        shape.push(size);
    }
    let target = b.output(node, 0, &shape)?;
    b.same_quant(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Slice { starts, steps: vec![1; dims.len()] }, [x]), target).map(|_| ())
}

pub(super) fn strided_slice(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let Some(o) = node.op.builtin_options_as_strided_slice_options() else {
        return refuse("its options are missing");
    };
    if o.ellipsis_mask() != 0 || o.new_axis_mask() != 0 {
        return Err(
            Refused::new("it has an ellipsis or adds axes").instead("all axes written out, and EXPAND_DIMS")
        );
    }
    let x = b.any_input(node, 0)?;
    let dims = b.shape(x).to_vec();
    let begin = b.ints(node, 1, "the start")?;
    let end = b.ints(node, 2, "the end")?;
    let strides = b.ints(node, 3, "the stride")?;
    if begin.len() > dims.len() || end.len() != begin.len() || strides.len() != begin.len() {
        return refuse("its start, end and stride do not fit its input");
    }
    let (mut starts, mut steps) = (vec![0; dims.len()], vec![1; dims.len()]);
    let mut full = dims.clone();
    let mut shrunk = Vec::new();
    for (axis, &length) in dims.iter().enumerate().take(begin.len()) {
        let bit = |mask: i32| mask & (1 << axis) != 0;
        let length = length as i64;
        let wrap = |i: i64| if i < 0 { i.saturating_add(length) } else { i };
        if bit(o.shrink_axis_mask()) {
            let start = if bit(o.begin_mask()) { 0 } else { wrap(begin[axis]) };
            if start < 0 || start >= length {
                return refuse(format!("index {} is outside of axis {axis} of {dims:?}", begin[axis]));
            }
            (starts[axis], full[axis]) = (start as usize, 1);
            shrunk.push(axis);
            continue;
        }
        let Ok(step @ 1..) = usize::try_from(strides[axis]) else {
            return Err(Refused::new(format!("stride {} is not positive", strides[axis]))
                .instead("a positive stride, or GATHER with constant indices"));
        };
        let start = if bit(o.begin_mask()) { 0 } else { wrap(begin[axis]).clamp(0, length) };
        let stop = if bit(o.end_mask()) { length } else { wrap(end[axis]).clamp(0, length) };
        (starts[axis], steps[axis]) = (start as usize, step);
        full[axis] = ((stop - start).max(0) as usize).div_ceil(step);
    }
    let shape: Vec<usize> = (0..dims.len()).filter(|a| !shrunk.contains(a)).map(|a| full[a]).collect();
    let target = b.output(node, 0, &shape)?;
    b.same_quant(&[x], &target.tensor)?;
    let cut = Step::new(Op::Slice { starts, steps }, [x]);
    if shrunk.is_empty() {
        return b.emit(cut, target).map(|_| ());
    }
    let between = b.between(node, "slice", &full, x);
    let slice = b.emit(cut, between)?;
    b.emit(Step::new(Op::Reshape, [slice]), target).map(|_| ())
}

pub(super) fn gather(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let (axis, batch) =
        node.op.builtin_options_as_gather_options().map_or((0, 0), |o| (o.axis(), o.batch_dims()));
    if batch != 0 {
        return Err(Refused::new(format!("batch_dims = {batch}")).instead("batch_dims = 0"));
    }
    let (x, indices) = (b.any_input(node, 0)?, b.any_input(node, 1)?);
    let dims = b.shape(x).to_vec();
    let axis = axis_of(axis.into(), dims.len())?;
    let numbers = b.ints_of(indices, "the list of indices")?;
    if let Some(wrong) = numbers.iter().find(|&&i| usize::try_from(i).map_or(true, |i| i >= dims[axis])) {
        return refuse(format!("index {wrong} is outside of axis {axis} of {dims:?}"));
    }
    let indices = b.derive(indices, "i32", |t| {
        Ok(Tensor {
            data: Some(Data::I32(numbers.iter().map(|&i| i as i32).collect())),
            quant: None,
            ..t.clone()
        })
    })?;
    let shape = [&dims[..axis], b.shape(indices), &dims[axis + 1..]].concat();
    if shape.len() > super::read::MAX_RANK {
        return refuse(format!("a shape of {} axes is too deep", shape.len()));
    }
    elements(&shape)?;
    let target = b.output(node, 0, &shape)?;
    b.same_quant(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Gather { axis }, [x, indices]), target).map(|_| ())
}
