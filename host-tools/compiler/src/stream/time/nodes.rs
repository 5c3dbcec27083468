//! How each operator works frame by frame.

use super::axes::{Time, reshaped};
use super::rewrite::Rewriter;
use super::rules::Rule;
use crate::graph::shape::{aligned, moves_only_units, permuted};
use crate::graph::{Data, Node, Op, PoolKind, ReduceFn, Spatial, TensorId};

type Refusal = (Rule, String);

/// Writes the node in its form over frames, or notes why there is none.
pub(super) fn rewrite(cx: &mut Rewriter<'_>, node: &Node) {
    let Some(&first) = node.inputs.iter().find(|&&input| cx.time(input).is_some()) else {
        // Constants only; rows of a table belong to whatever they meet.
        return if matches!(node.op, Op::Recycle { .. }) { cx.table(node) } else { cx.keep(node) };
    };
    if let Err((rule, reason)) = node_by_frames(cx, node, first) {
        cx.refuse(node, rule, reason);
    }
}

fn node_by_frames(cx: &mut Rewriter<'_>, node: &Node, first: TensorId) -> Result<(), Refusal> {
    let Some(time) = cx.time(first) else { return Ok(()) };
    let (x, y) = (node.inputs[0], node.outputs[0]);
    let (shape, out_shape) = (cx.shape(first), cx.shape(y));
    let rank = shape.len();
    let may_pad = matches!(node.op, Op::Conv { .. } | Op::Reshape | Op::Transpose { .. });
    if !may_pad && node.inputs.iter().any(|&input| cx.is_padded(input)) {
        return Err((Rule::Padding, "it sees the padding of time before a convolution does".into()));
    }
    match &node.op {
        Op::Unary(_) | Op::Lookup { .. } | Op::Quantize | Op::Dequantize | Op::Requantize | Op::Cast => {
            cx.push(node, node.op.clone(), node.inputs.clone(), time);
            Ok(())
        }
        Op::Conv { spatial, groups } => {
            let spatial_perm = time_first(time, rank)?;
            let mut spatial = over_frames(cx, spatial, spatial_perm)?;
            let (x, before) = cx.without_padding(x);
            spatial.pad[0].0 += before;
            let weights = frame_weights(cx, node.inputs[1], spatial_perm);
            let inputs = [&[x, weights], &node.inputs[2..]].concat();
            cx.push(node, Op::Conv { spatial, groups: *groups }, inputs, time);
            Ok(())
        }
        Op::Pool { kind, spatial } => {
            let spatial = over_frames(cx, spatial, time_first(time, rank)?)?;
            cx.push(node, Op::Pool { kind: *kind, spatial }, vec![x], time);
            Ok(())
        }
        Op::Dense => dense(cx, node, time),
        Op::Reduce { function, axes, keep_dims } => reduce(cx, node, time, *function, axes, *keep_dims),
        Op::Binary(_) => binary(cx, node),
        Op::Prelu => {
            let slope = side(cx, node.inputs[1], time, rank)?;
            cx.push(node, Op::Prelu, vec![x, slope], time);
            Ok(())
        }
        Op::Softmax { axis, beta } => {
            if time == Time::Axis(*axis) {
                return Err((Rule::WholeClip, "a softmax over time outside of attention".into()));
            }
            let axis = index_of(time, *axis, rank)?;
            cx.push(node, Op::Softmax { axis, beta: *beta }, vec![x], time);
            Ok(())
        }
        Op::LayerNorm { axes, .. } => {
            if matches!(time, Time::Axis(axis) if axis + axes >= rank) {
                return Err((Rule::WholeClip, "it normalises over time".into()));
            }
            cx.push(node, node.op.clone(), node.inputs.clone(), time);
            Ok(())
        }
        Op::Concat { axis } => {
            let same = node.inputs.iter().all(|&input| cx.time(input) == Some(time));
            if time == Time::Axis(*axis) {
                return Err((Rule::Crop, "it joins frames along time".into()));
            }
            if !same {
                return Err((Rule::Unsupported, "it joins tensors with and without a time axis".into()));
            }
            let axis = index_of(time, *axis, rank)?;
            cx.push(node, Op::Concat { axis }, node.inputs.clone(), time);
            Ok(())
        }
        Op::Slice { starts, steps } => {
            let (mut to_starts, mut to_steps) = (vec![0; 5], vec![1; 5]);
            for axis in 1..rank {
                let index = index_of(time, axis, rank)?;
                (to_starts[index], to_steps[index]) = (starts[axis], steps[axis]);
            }
            cx.push(node, Op::Slice { starts: to_starts, steps: to_steps }, vec![x], time);
            Ok(())
        }
        Op::Pad { pads, value } => {
            if let Time::Axis(axis) = time
                && pads[axis] != (0, 0)
            {
                let alone = pads.iter().enumerate().all(|(other, &pad)| other == axis || pad == (0, 0));
                if !cx.stream.whole || !alone || *value != 0.0 {
                    return Err((Rule::Padding, format!("it pads time by {:?}", pads[axis])));
                }
                cx.pad(node, x, pads[axis].0, time);
                return Ok(());
            }
            let mut to = vec![(0, 0); 5];
            for axis in 1..rank {
                to[index_of(time, axis, rank)?] = pads[axis];
            }
            cx.push(node, Op::Pad { pads: to, value: *value }, vec![x], time);
            Ok(())
        }
        Op::Transpose { perm } => transpose(cx, node, time, perm),
        Op::Reshape => {
            let to = reshaped(time, shape, out_shape).ok_or_else(|| {
                (
                    Rule::Unsupported,
                    format!("reshape {shape:?} -> {out_shape:?} mixes frames with what is in them"),
                )
            })?;
            cx.push_below_padding(node, Op::Reshape, x, to);
            Ok(())
        }
        Op::Gather { axis } if time == Time::Axis(*axis) => {
            let indices = node.inputs.get(1).and_then(|&id| cx.graph.tensor(id).data.as_ref()?.to_i64());
            let backwards = indices.is_some_and(|list| list.windows(2).all(|pair| pair[1] < pair[0]));
            Err(match backwards {
                true => (Rule::WholeClip, "it runs the clip backwards".into()),
                false => (Rule::Crop, "it picks frames by a list: no constant offset".into()),
            })
        }
        Op::Gather { axis } if cx.time(x).is_some() => {
            let axis = index_of(time, *axis, rank)?;
            cx.push(node, Op::Gather { axis }, node.inputs.clone(), time);
            Ok(())
        }
        Op::Attention(_) => attention(cx, node),
        Op::Gru { .. } | Op::Lstm => {
            if !cx.stream.whole {
                return Err((Rule::Recurrence, "its state starts anew in every window".into()));
            }
            if time != Time::Axis(1) || rank != 3 {
                return Err((Rule::Recurrence, "it does not run along time".into()));
            }
            cx.push(node, node.op.clone(), node.inputs.clone(), time);
            Ok(())
        }
        Op::MatMul { .. } => {
            Err((Rule::Unsupported, "a product of matrices that both depend on time".into()))
        }
        other => Err((Rule::Unsupported, format!("no step-wise form of {}", other.name()))),
    }
}

fn index_of(time: Time, axis: usize, rank: usize) -> Result<usize, Refusal> {
    time.index_of(axis, rank).ok_or_else(|| (Rule::Unsupported, format!("axis {axis} is the batch, or lost")))
}

/// Permutation of a window's `[t, h, w]` that brings the time axis to the front.
fn time_first(time: Time, rank: usize) -> Result<[usize; 3], Refusal> {
    let axis = match (time, rank) {
        (Time::Window, _) => 0,
        // `[N, L, C]`, `[N, H, W, C]`, `[N, T, H, W, C]`.
        (Time::Axis(1), 3) => 2,
        (Time::Axis(axis), 4) if axis < 3 => axis,
        (Time::Axis(axis), 5) if axis < 4 => axis - 1,
        _ => return Err((Rule::Window, "its window runs over channels or over flattened frames".into())),
    };
    Ok(match axis {
        0 => [0, 1, 2],
        1 => [1, 0, 2],
        _ => [2, 0, 1],
    })
}

/// The window over `[frames, rows, columns]`.
fn over_frames(cx: &Rewriter<'_>, spatial: &Spatial, perm: [usize; 3]) -> Result<Spatial, Refusal> {
    let pick = |values: [usize; 3]| perm.map(|axis| values[axis]);
    let mut pad = perm.map(|axis| spatial.pad[axis]);
    if pad[0] != (0, 0) {
        if !cx.stream.whole {
            let (before, after) = pad[0];
            return Err((
                Rule::Padding,
                format!("it pads every window by {before} frames before and {after} behind"),
            ));
        }
        pad[0].1 = 0;
    }
    let (size, stride, dilation) = (pick(spatial.size), pick(spatial.stride), pick(spatial.dilation));
    Ok(Spatial { size, stride, dilation, pad })
}

/// `[out, t, h, w, in]` with the window's axes permuted.
fn frame_weights(cx: &mut Rewriter<'_>, weights: TensorId, perm: [usize; 3]) -> TensorId {
    let perm = [0, 1 + perm[0], 1 + perm[1], 1 + perm[2], 4];
    let shape = cx.shape(weights);
    cx.constant(weights, permuted(shape, &perm), |data| data.permuted(shape, &perm))
}

/// Frame by frame, or over all frames of a window at once: a convolution as long as the window.
fn dense(cx: &mut Rewriter<'_>, node: &Node, time: Time) -> Result<(), Refusal> {
    let rank = cx.shape(node.inputs[0]).len();
    match time {
        Time::Axis(axis) if axis + 1 == rank => {
            Err((Rule::Window, "a dense layer along the time axis".into()))
        }
        Time::Axis(_) | Time::Window => {
            cx.push(node, Op::Dense, node.inputs.clone(), time);
            Ok(())
        }
        Time::Flat { outer, frames, inner } => {
            let weights = node.inputs[1];
            let outputs = cx.shape(weights)[0];
            let by_frame = |data: &Data| data.permuted(&[outputs, outer, frames, inner], &[0, 2, 1, 3]);
            let weights = cx.constant(weights, vec![outputs, frames, 1, outer, inner], by_frame);
            let spatial =
                Spatial { size: [frames, 1, outer], stride: [1; 3], dilation: [1; 3], pad: [(0, 0); 3] };
            let inputs = [&[node.inputs[0], weights], &node.inputs[2..]].concat();
            cx.push(node, Op::Conv { spatial, groups: 1 }, inputs, Time::Window);
            Ok(())
        }
    }
}

fn reduce(
    cx: &mut Rewriter<'_>,
    node: &Node,
    time: Time,
    function: ReduceFn,
    axes: &[usize],
    keep_dims: bool,
) -> Result<(), Refusal> {
    let rank = cx.shape(node.inputs[0]).len();
    if let Time::Flat { .. } = time {
        return Err((Rule::Window, "it reduces flattened frames".into()));
    }
    let over_time = matches!(time, Time::Axis(axis) if axes.contains(&axis));
    let to = match time {
        Time::Axis(_) if over_time && !keep_dims => Time::Window,
        Time::Axis(axis) if !keep_dims => Time::Axis(axis - axes.iter().filter(|&&a| a < axis).count()),
        other => other,
    };
    let mut indices: Vec<usize> =
        axes.iter().map(|&axis| index_of(time, axis, rank)).collect::<Result<_, _>>()?;
    indices.sort_unstable();
    if over_time && function == ReduceFn::Max && !indices.contains(&4) {
        // A maximum of codes needs no other scale: a pool.
        let [_, frames, rows, columns, _] = cx.canonical(node.inputs[0])[..] else { return Ok(()) };
        let size = |index: usize, len| if indices.contains(&index) { len } else { 1 };
        let size = [frames, size(2, rows), size(3, columns)];
        let spatial = Spatial { size, stride: [1; 3], dilation: [1; 3], pad: [(0, 0); 3] };
        cx.push(node, Op::Pool { kind: PoolKind::Max, spatial }, vec![node.inputs[0]], to);
        return Ok(());
    }
    cx.push(node, Op::Reduce { function, axes: indices, keep_dims: true }, vec![node.inputs[0]], to);
    Ok(())
}

/// A query is a frame, which sees a window of keys and values. Where several frames ask, each window has an answer for
/// each of them.
fn attention(cx: &mut Rewriter<'_>, node: &Node) -> Result<(), Refusal> {
    let by_vector = |cx: &Rewriter<'_>, id: TensorId| match cx.time(id) {
        Some(Time::Axis(axis)) => {
            cx.shape(id).iter().enumerate().all(|(i, &n)| i == axis || i + 1 == cx.shape(id).len() || n == 1)
        }
        Some(Time::Window) => true,
        _ => false,
    };
    if !node.inputs[..3].iter().all(|&id| by_vector(cx, id)) {
        return Err((Rule::Window, "queries, keys and values are not one vector for each frame".into()));
    }
    let several =
        matches!(cx.time(node.inputs[0]), Some(Time::Axis(axis)) if cx.shape(node.inputs[0])[axis] > 1);
    let time = if several { Time::Window } else { cx.time(node.inputs[0]).unwrap_or(Time::Window) };
    cx.push(node, node.op.clone(), node.inputs.clone(), time);
    Ok(())
}

fn binary(cx: &mut Rewriter<'_>, node: &Node) -> Result<(), Refusal> {
    let rank = cx.shape(node.outputs[0]).len();
    let node = &with_collected_frames(cx, node);
    let moving: Vec<(TensorId, Time)> =
        node.inputs.iter().filter_map(|&id| Some((id, cx.time(id)?))).collect();
    // Axes are counted from the end where ranks differ.
    let from_end = |&(id, time): &(TensorId, Time)| match time {
        Time::Axis(axis) => Some(cx.shape(id).len() - axis),
        _ => None,
    };
    let aligned = moving.windows(2).all(|pair| match (pair[0].1, pair[1].1) {
        (Time::Axis(_), Time::Axis(_)) => from_end(&pair[0]) == from_end(&pair[1]),
        (a, b) => a == b,
    });
    let frames: Vec<usize> = moving.iter().map(|&(id, time)| time.frames(cx.shape(id))).collect();
    if !aligned || frames.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err((Rule::WholeClip, "one operand is of a frame, the other of the whole clip".into()));
    }
    let time =
        moving.iter().max_by_key(|(id, _)| cx.shape(*id).len()).map_or(Time::Window, |&(_, time)| time);
    let mut inputs = Vec::new();
    for &id in &node.inputs {
        inputs.push(if cx.time(id).is_some() {
            id
        } else if let Some(table) = cx.table_of(id) {
            rows_by_frame(cx, table, id, time, rank)?
        } else {
            side(cx, id, time, rank)?
        });
    }
    cx.push(node, node.op.clone(), inputs, time);
    Ok(())
}

/// Where one operand has an answer for each frame of a window and the other has frames, these are collected.
fn with_collected_frames(cx: &mut Rewriter<'_>, node: &Node) -> Node {
    let mut node = node.clone();
    let &[a, b] = &node.inputs[..] else { return node };
    for (k, frames, window) in [(0, a, b), (1, b, a)] {
        let several = cx.shape(frames).len() > 2 && cx.shape(frames)[1] > 1;
        if (cx.time(frames), cx.time(window)) == (Some(Time::Axis(1)), Some(Time::Window))
            && several
            && cx.shape(frames) == cx.shape(window)
        {
            node.inputs[k] = cx.collected(&node, frames);
        }
    }
    node
}

/// Rows of a table, one for each frame.
fn rows_by_frame(
    cx: &mut Rewriter<'_>,
    table: Node,
    id: TensorId,
    time: Time,
    rank: usize,
) -> Result<TensorId, Refusal> {
    let axis = matches!(table.op, Op::Recycle { axis: 0 }).then(|| rank - cx.shape(id).len());
    match time {
        Time::Axis(own) if Some(own) == axis => {
            cx.push(&table, Op::Recycle { axis: 1 }, table.inputs.clone(), Time::Axis(0));
            Ok(id)
        }
        _ => Err((Rule::Positions, "rows of a table that are not one for each frame".into())),
    }
}

/// A constant operand beside tensors of this time axis and rank.
fn side(cx: &mut Rewriter<'_>, id: TensorId, time: Time, rank: usize) -> Result<TensorId, Refusal> {
    let shape = aligned(cx.shape(id), rank);
    if let Time::Axis(axis) = time
        && shape[axis] != 1
    {
        return Err((Rule::Positions, "a constant that differs from frame to frame of the window".into()));
    }
    if let Time::Flat { .. } = time {
        if shape.iter().any(|&n| n != 1) {
            return Err((
                Rule::Positions,
                "a constant that differs from frame to frame of the window".into(),
            ));
        }
        return Ok(cx.constant(id, vec![1; 5], Data::clone));
    }
    let canonical = time.canonical(&shape).unwrap_or(shape);
    Ok(cx.constant(id, canonical, Data::clone))
}

fn transpose(cx: &mut Rewriter<'_>, node: &Node, time: Time, perm: &[usize]) -> Result<(), Refusal> {
    let x = node.inputs[0];
    let rank = perm.len();
    let to = match time {
        _ if perm[0] != 0 => return Err((Rule::Unsupported, "it moves the batch".into())),
        Time::Axis(axis) => Time::Axis(perm.iter().position(|&from| from == axis).unwrap_or(axis)),
        Time::Window => Time::Window,
        Time::Flat { .. } => return Err((Rule::Window, "it moves flattened frames".into())),
    };
    // The order of the frame's axes; missing ones stand in front.
    let mut canonical: Vec<usize> = (0..5).collect();
    for (axis, &from) in perm.iter().enumerate().skip(1) {
        if to != Time::Axis(axis) {
            canonical[index_of(to, axis, rank)?] = index_of(time, from, rank)?;
        }
    }
    if moves_only_units(&canonical, &cx.canonical(x)) {
        cx.push_below_padding(node, Op::Reshape, x, to);
    } else {
        cx.push_below_padding(node, Op::Transpose { perm: canonical }, x, to);
    }
    Ok(())
}
