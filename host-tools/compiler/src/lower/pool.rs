//! Pools and reductions.

use super::global::{Finish, running};
use super::quantized::{activation_codes, requant_of};
use super::view::thwc;
use super::{Context, Operand, Refused};
use crate::graph::{DType, Op, PoolKind, ReduceFn, Spatial, TensorId};
use mote_runtime::kernels::pool_f32::{AveragePoolF32, MaxPoolF32};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::reduce_f32::{ReduceF32, ReduceFunction};
use mote_runtime::kernels::reduce_s8::{MeanS8, ReduceS8};
use mote_runtime::kernels::running_sum::{AverageOfSumsS8, MeanOfSumsS8};
use mote_runtime::plan::OperandRecord;

pub(super) fn pool(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Pool { kind, spatial } = cx.node.op.clone() else { return Err("not a pool".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let [_, _, _, channels] = thwc(cx.shape(x));
    let Spatial { size, stride, dilation, pad } = &spatial;
    let [slices, rows, width, _] = thwc(cx.shape(x));
    let average = matches!(kind, PoolKind::Average { .. });
    let all = *size == [1, rows, width] && *pad == [(0, 0); 3] && *dilation == [1; 3];
    if cx.choices.running_sums && average && all && slices == 1 && rows > 1 {
        return global_average(cx, x, output, channels, rows * width);
    }
    let (kernel_width, stride, dilation, pad_left) = (size[2], stride[2], dilation[2], pad[2].0 as isize);
    let packed = match cx.dtype(x) {
        DType::F32 => {
            let (min, max) = cx.node.activation.limits();
            match kind {
                PoolKind::Max => {
                    MaxPoolF32 { channels, kernel_width, stride, dilation, pad_left, min, max }.pack()
                }
                PoolKind::Average { include_padding } => AveragePoolF32 {
                    channels,
                    kernel_width,
                    stride,
                    dilation,
                    pad_left,
                    include_padding,
                    min,
                    max,
                }
                .pack(),
            }
        }
        DType::I8 => {
            let (_, zero_point) = cx.quant(x)?;
            keeps_quantization(cx, x, output)?;
            let (min, max) = activation_codes(cx, output)?;
            let kernel_rows = size[0] * size[1];
            let include_padding = matches!(kind, PoolKind::Average { include_padding: true });
            let pool = PoolS8 {
                channels,
                kernel_rows,
                kernel_width,
                stride,
                dilation,
                pad_left,
                include_padding,
                zero_point,
                min,
                max,
            };
            if kind == PoolKind::Max {
                cx.choices.packer.max_pool_s8(&pool)
            } else {
                cx.choices.packer.average_pool_s8(&pool)
            }
        }
        other => return Err(format!("no pool on {other:?}")),
    };
    let (input, output) = (cx.spatial(x).windowed(&spatial), cx.spatial(output));
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}

/// The average over all rows and columns.
fn global_average(
    cx: &mut Context<'_>,
    x: TensorId,
    output: TensorId,
    channels: usize,
    count: usize,
) -> Result<(), Refused> {
    let finish = match cx.dtype(x) {
        DType::F32 => {
            let (min, max) = cx.node.activation.limits();
            Finish::Reals { factor: 1.0 / count as f32, min, max }
        }
        DType::I8 => {
            keeps_quantization(cx, x, output)?;
            let (min, max) = activation_codes(cx, output)?;
            Finish::Codes(AverageOfSumsS8 { count, min, max }.pack())
        }
        other => return Err(format!("no pool on {other:?}")),
    };
    running(cx, x, output, channels, finish);
    Ok(())
}

fn keeps_quantization(cx: &Context<'_>, x: TensorId, output: TensorId) -> Result<(), Refused> {
    if cx.quant(x)? != cx.quant(output)? {
        return Err("an int8 pool keeps its quantization; requantize behind it".into());
    }
    Ok(())
}

/// How a reduction sees its tensors: each window of the input gives one row of `inner` sums, and each of its rows is
/// `[len, inner]`.
struct Reduction {
    input: Operand,
    output: Operand,
    len: usize,
    inner: usize,
    /// Elements that become one.
    count: usize,
    /// All rows of a picture become one.
    global: bool,
}

/// Over rows (and columns, and time) with the rows in the window; any other as one row of `[outer, len, inner]`.
fn reduction(cx: &Context<'_>, x: TensorId, output: TensorId, axes: &[usize]) -> Result<Reduction, Refused> {
    let shape = cx.shape(x);
    let reduced = |axis: usize| axes.contains(&axis) || shape[axis] == 1;
    if let [outer @ .., h, w, c] = &(0..shape.len()).collect::<Vec<_>>()[..]
        && !outer.is_empty()
        && !axes.contains(c)
    {
        let time = outer.iter().all(|&axis| reduced(axis));
        if time || outer.iter().all(|axis| !axes.contains(axis)) {
            let [slices, rows, width, channels] = thwc(shape);
            let (len, inner) = if reduced(*w) { (width, channels) } else { (1, width * channels) };
            let (made_slices, made_rows) =
                (if time { 1 } else { slices }, if reduced(*h) { 1 } else { rows });
            let bytes = (inner * cx.dtype(output).size()) as u32;
            let mut view = OperandRecord::rows(0, made_rows as u32, bytes);
            (view.slots, view.slices) = (made_slices as u32, made_slices as u32);
            let mut input = cx.spatial(x);
            if reduced(*h) {
                input = input.all_rows();
            }
            if time {
                input = input.all_slices();
            }
            let count = len * (rows / made_rows) * (slices / made_slices);
            let output = Operand { tensor: output, view };
            let global = cx.choices.running_sums && slices == 1 && rows > 1 && made_rows == 1;
            return Ok(Reduction { input, output, len, inner, count, global });
        }
    }
    // [outer kept][reduced][inner kept]; unit axes are both.
    let kept_behind =
        shape.iter().enumerate().rev().take_while(|&(axis, &n)| !axes.contains(&axis) || n == 1).count();
    let inner: usize = shape[shape.len() - kept_behind..].iter().product();
    let middle_axes = (0..shape.len() - kept_behind).rev().take_while(|&axis| reduced(axis)).count();
    let middle = shape.len() - kept_behind - middle_axes;
    let len: usize = shape[middle..shape.len() - kept_behind].iter().product();
    if (0..middle).any(|axis| axes.contains(&axis) && shape[axis] > 1) {
        return Err(format!("reduction over the separate axes {axes:?} of {shape:?}"));
    }
    let (input, output) = (cx.rows_of(x, len * inner), cx.rows_of(output, inner));
    Ok(Reduction { input, output, len, inner, count: len, global: false })
}

pub(super) fn reduce(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Reduce { function, axes, .. } = cx.node.op.clone() else { return Err("not a reduction".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let Reduction { input, output: to, len, inner, count, global } = reduction(cx, x, output, &axes)?;
    let packed = match cx.dtype(x) {
        DType::F32 => {
            let function = match function {
                ReduceFn::Mean => ReduceFunction::Mean,
                ReduceFn::Sum => ReduceFunction::Sum,
                ReduceFn::Max => ReduceFunction::Max,
            };
            if global && function != ReduceFunction::Max {
                let factor = if function == ReduceFunction::Mean { 1.0 / count as f32 } else { 1.0 };
                let (min, max) = (f32::NEG_INFINITY, f32::INFINITY);
                running(cx, x, output, inner, Finish::Reals { factor, min, max });
                return Ok(());
            }
            ReduceF32 { function, outer: 1, len, inner }.pack()
        }
        DType::I8 => {
            let ((s_in, input_zero_point), (s_out, _)) = (cx.quant(x)?, cx.quant(output)?);
            let requant = requant_of(cx, vec![f64::from(s_in) / f64::from(s_out)], output)?;
            let vectors = inner == 1 && count == len;
            if global && function != ReduceFn::Max {
                let mean = MeanOfSumsS8(MeanS8 { channels: inner, count, input_zero_point, requant });
                let packed = if function == ReduceFn::Mean { mean.pack() } else { mean.pack_sum() };
                running(cx, x, output, inner, Finish::Codes(packed));
                return Ok(());
            }
            match function {
                ReduceFn::Max if cx.quant(x)? != cx.quant(output)? => {
                    return Err("an int8 maximum keeps its quantization".into());
                }
                ReduceFn::Max if vectors => ReduceS8 { depth: len, input_zero_point, requant }.pack_max(),
                ReduceFn::Max => return Err("int8 maximum over rows and columns; use a pool".into()),
                ReduceFn::Mean if vectors => ReduceS8 { depth: len, input_zero_point, requant }.pack_mean(),
                ReduceFn::Sum if vectors => ReduceS8 { depth: len, input_zero_point, requant }.pack_sum(),
                ReduceFn::Mean => {
                    cx.choices.packer.mean_s8(&MeanS8 { channels: inner, count, input_zero_point, requant })
                }
                ReduceFn::Sum => MeanS8 { channels: inner, count, input_zero_point, requant }.pack_sum(),
            }
        }
        other => return Err(format!("no reduction on {other:?}")),
    };
    cx.push(0, packed, vec![input], to, vec![false]);
    Ok(())
}
