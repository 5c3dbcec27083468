//! Operators that only move numbers.

use super::view::thwc;
use super::{Context, Operand, Refused};
use crate::graph::eval::evaluate_node;
use crate::graph::{DType, NearestRounding, Op, ResizeCoordinates, ResizeMode, Tensor, TensorId};
use mote_runtime::kernels::concat::Concat;
use mote_runtime::kernels::copy::CopyRows;
use mote_runtime::kernels::gather::Gather;
use mote_runtime::kernels::pad::Pad;
use mote_runtime::kernels::resize::{Coordinates, NearestRounding as Nearest, ResizeBilinear, ResizeNearest};
use mote_runtime::kernels::strided::{BroadcastTo, Strided, Transpose};
use mote_runtime::plan::OperandRecord;

/// Moves keep codes, so input and output must mean the same by them.
fn same_quant(cx: &Context<'_>, inputs: &[TensorId], output: TensorId) -> Result<(), Refused> {
    if cx.dtype(output) != DType::I8 {
        return Ok(());
    }
    for &input in inputs {
        if cx.quant(input)? != cx.quant(output)? {
            return Err("input and output have different scales; requantize between".into());
        }
    }
    Ok(())
}

/// The output takes over the bytes of the input.
pub(super) fn reshape(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (x, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    if let Some(data) = cx.graph.tensor(x).data.clone() {
        cx.graph.tensor_mut(output).data = Some(data);
        return Ok(());
    }
    cx.out.aliases.insert(output, x);
    Ok(())
}

/// Clip-wise, the rows are a constant.
pub(super) fn recycle(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (table, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[table], output)?;
    let data = evaluate_node(cx.graph, cx.node).ok_or("its table is computed at run time")?;
    cx.graph.tensor_mut(output).data = Some(data);
    cx.out.tables.insert(output, table);
    Ok(())
}

pub(super) fn concat(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Concat { axis } = cx.node.op else { return Err("not a concatenation".into()) };
    let (inputs, output) = (cx.node.inputs.clone(), cx.output()?);
    same_quant(cx, &inputs, output)?;
    if inputs.len() > 64 {
        return Err(format!("{} inputs; at most 64", inputs.len()));
    }
    // Along columns or channels row by row, along outer axes as whole tensors.
    let rank = cx.shape(output).len();
    if axis + 2 >= rank && rank > 2 {
        let packed = Concat { positions: cx.shape(output)[rank - 2..axis].iter().product() }.pack();
        let operands = inputs.iter().map(|&id| cx.spatial(id)).collect();
        let output = cx.spatial(output);
        cx.push(0, packed, operands, output, Vec::new());
        return Ok(());
    }
    let packed = Concat { positions: cx.shape(output)[..axis].iter().product() }.pack();
    let operands = inputs.iter().map(|&id| cx.flat(id)).collect();
    let output = cx.flat(output);
    cx.push(0, packed, operands, output, Vec::new());
    Ok(())
}

pub(super) fn slice(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Slice { starts, steps } = cx.node.op.clone() else { return Err("not a slice".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    let rank = starts.len();
    let row = rank.saturating_sub(2);
    let shape = cx.shape(x).to_vec();
    let element = cx.dtype(x).size();
    // Frames and rows are picked by windows, columns and channels inside of the row.
    let by_rows =
        rank > 3 && (0..row.saturating_sub(2)).all(|axis| cx.shape(x)[axis] == cx.shape(output)[axis]);
    let inner = if by_rows { row } else { 0 };
    let strides: Vec<usize> = crate::graph::shape::strides(&shape[inner..]);
    let offset = strides.iter().zip(&starts[inner..]).map(|(stride, start)| stride * start).sum();
    let strides: Vec<usize> =
        strides.iter().zip(&steps[inner..]).map(|(stride, step)| stride * step).collect();
    let picked = &cx.shape(output)[inner..];
    let packed = if picked == &shape[inner..] && by_rows {
        CopyRows.pack()
    } else {
        Strided { element, offset, shape: picked, strides: &strides }.pack()
    };
    if !by_rows {
        let (input, output) = (cx.flat(x), cx.flat(output));
        cx.push(0, packed, vec![input], output, vec![false]);
        return Ok(());
    }
    let pick = |axis: Option<usize>| match axis {
        Some(axis) => (steps[axis] as u16, -(starts[axis] as i16)),
        None => (1, 0),
    };
    let ((t_step, t_start), (h_step, h_start)) = (pick(row.checked_sub(2)), pick(row.checked_sub(1)));
    let mut input = cx.spatial(x);
    input.view = input.view.with_outer(1, t_step, 1, t_start).with_inner(1, h_step, 1, h_start);
    let output = cx.spatial(output);
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}

pub(super) fn pad(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Pad { pads, value } = cx.node.op.clone() else { return Err("not a padding".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    let fill = match cx.dtype(x) {
        DType::F32 => value.to_le_bytes(),
        DType::I8 => {
            let (scale, zero_point) = cx.quant(x)?;
            let code = (value / scale).round() + zero_point as f32;
            [code.clamp(-128.0, 127.0) as i8 as u8, 0, 0, 0]
        }
        other => return Err(format!("no padding of {other:?}")),
    };
    let element = cx.dtype(x).size();
    // One axis after the other, innermost first.
    let axes: Vec<usize> = (0..pads.len()).rev().filter(|&axis| pads[axis] != (0, 0)).collect();
    let mut from = x;
    for (index, &axis) in axes.iter().enumerate() {
        let mut shape = cx.shape(from).to_vec();
        let block: usize = shape[axis + 1..].iter().product::<usize>() * element;
        let (before, after) = pads[axis];
        let len_bytes = shape[axis] * block;
        shape[axis] += before + after;
        let to = if index + 1 == axes.len() {
            output
        } else {
            let tensor = cx.graph.tensor(x);
            let name = format!("{} (padded axis {axis})", tensor.name);
            let tensor = Tensor { name, shape, data: None, ..tensor.clone() };
            cx.graph.add_tensor(tensor)
        };
        let packed =
            Pad { before_bytes: before * block, len_bytes, after_bytes: after * block, fill, element }.pack();
        let (input, padded) =
            if axis > 1 { (cx.frames(from), cx.frames(to)) } else { (cx.flat(from), cx.flat(to)) };
        cx.push(0, packed, vec![input], padded, vec![false]);
        from = to;
    }
    if axes.is_empty() { reshape(cx) } else { Ok(()) }
}

pub(super) fn transpose(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Transpose { perm } = cx.node.op.clone() else { return Err("not a transposition".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    let element = cx.dtype(x).size();
    if perm.len() > 4 && perm[..2] == [0, 1] {
        let within: Vec<usize> = perm[2..].iter().map(|axis| axis - 2).collect();
        let packed = Transpose { element, shape: &cx.shape(x)[2..], perm: &within }.pack();
        let (input, output) = (cx.frames(x), cx.frames(output));
        cx.push(0, packed, vec![input], output, vec![false]);
        return Ok(());
    }
    let packed = Transpose { element, shape: cx.shape(x), perm: &perm }.pack();
    let (input, output) = (cx.flat(x), cx.flat(output));
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}

pub(super) fn broadcast_to(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (x, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    broadcast_step(cx, x, output)
}

/// Repeats axes of length 1 of `x` up to the shape of `output`.
pub(super) fn broadcast_step(cx: &mut Context<'_>, x: TensorId, output: TensorId) -> Result<(), Refused> {
    let (from, to) = (cx.shape(x), cx.shape(output));
    if from.len() > to.len() {
        return Err(format!("{from:?} cannot be broadcast to {to:?}"));
    }
    let packed = BroadcastTo { element: cx.dtype(x).size(), from, to }.pack();
    let (input, output) = (cx.flat(x), cx.flat(output));
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}

pub(super) fn gather(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Gather { axis } = cx.node.op else { return Err("not a gather".into()) };
    let (x, indices, output) = (cx.input(0)?, cx.input(1)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    let indices = cx.graph.tensor(indices).data.as_ref().and_then(|data| data.to_i64());
    let indices = indices.ok_or("the indices are computed at run time")?;
    let shape = cx.shape(x);
    let (len, block): (usize, usize) = (shape[axis], shape[axis + 1..].iter().product());
    let wrapped = |&i: &i64| if i < 0 { i + len as i64 } else { i };
    let indices: Vec<u32> = indices.iter().map(wrapped).filter_map(|i| u32::try_from(i).ok()).collect();
    if indices.iter().any(|&i| i as usize >= len) {
        return Err(format!("an index lies outside of the {len} entries of axis {axis}"));
    }
    let packed = Gather { block_bytes: block * cx.dtype(x).size(), len, indices: &indices }.pack();
    let (input, output) = (cx.flat(x), cx.flat(output));
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}

pub(super) fn resize(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Resize { mode, coordinates } = cx.node.op else { return Err("not a resize".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    same_quant(cx, &[x], output)?;
    let [slices, in_height, in_width, channels] = thwc(cx.shape(x));
    let [_, out_height, out_width, _] = thwc(cx.shape(output));
    if slices != 1 {
        return Err("a resize works on one picture at a time".into());
    }
    let coordinates = match coordinates {
        ResizeCoordinates::HalfPixel { pytorch } => Coordinates::HalfPixel { pytorch },
        ResizeCoordinates::AlignCorners => Coordinates::AlignCorners,
        ResizeCoordinates::Asymmetric => Coordinates::Asymmetric,
    };
    let (packed, sources) = match (mode, cx.dtype(x)) {
        (ResizeMode::Nearest { rounding }, dtype) => {
            let rounding = match rounding {
                NearestRounding::Floor => Nearest::Floor,
                NearestRounding::Ceil => Nearest::Ceil,
                NearestRounding::HalfDown => Nearest::HalfDown,
                NearestRounding::HalfUp => Nearest::HalfUp,
            };
            let pixel_bytes = channels * dtype.size();
            let resize = ResizeNearest {
                in_height,
                in_width,
                out_height,
                out_width,
                pixel_bytes,
                coordinates,
                rounding,
            };
            (resize.pack(), resize.source_rows())
        }
        (ResizeMode::Bilinear, dtype @ (DType::F32 | DType::I8)) => {
            let resize = ResizeBilinear { in_height, in_width, out_height, out_width, channels, coordinates };
            let codes = dtype == DType::I8;
            let packed = if codes { resize.pack_s8() } else { resize.pack_f32() };
            (packed, resize.source_rows(codes))
        }
        (_, other) => return Err(format!("no bilinear resize of {other:?}")),
    };
    let (input, output) = (cx.spatial(x), cx.spatial(output));
    let Some((view, stretch)) = row_window(input.view, &sources, in_height, out_height) else {
        cx.push(0, packed, vec![input.repeated()], output, vec![false]);
        return Ok(());
    };
    cx.push(0, packed, vec![Operand { view, ..input }], output, vec![false]).stretch = stretch;
    Ok(())
}

/// The window over rows in which all output rows find their source rows, and how many of them share it; `None` if the
/// heights are no multiples of each other, so that no window moves evenly.
fn row_window(
    view: OperandRecord,
    sources: &[(usize, usize)],
    in_height: usize,
    out_height: usize,
) -> Option<(OperandRecord, usize)> {
    let (stride, stretch) = match (in_height, out_height) {
        (0, _) | (_, 0) => return None,
        (n_in, n_out) if n_out.is_multiple_of(n_in) => (1, n_out / n_in),
        (n_in, n_out) if n_in.is_multiple_of(n_out) => (n_in / n_out, 1),
        _ => return None,
    };
    let base = |row: usize| (row / stretch * stride) as i64;
    let first = sources.iter().enumerate().map(|(row, source)| source.0 as i64 - base(row)).min()?;
    let last = sources.iter().enumerate().map(|(row, source)| source.1 as i64 - base(row)).max()?;
    let count = u16::try_from(last - first + 1).ok()?;
    Some((view.with_inner(count, stride as u16, 1, i16::try_from(-first).ok()?), stretch))
}
