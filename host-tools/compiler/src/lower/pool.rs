//! Pools and reductions.

use super::quantized::{activation_codes, rounding};
use super::view::thwc;
use super::{Context, Refused};
use crate::graph::{DType, Op, PoolKind, ReduceFn, Spatial};
use mote_runtime::kernels::pack::Requant;
use mote_runtime::kernels::pool_f32::{AveragePoolF32, MaxPoolF32};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::reduce_f32::{ReduceF32, ReduceFunction};
use mote_runtime::kernels::reduce_s8::{MeanS8, ReduceS8};

pub(super) fn pool(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Pool { kind, spatial } = cx.node.op.clone() else { return Err("not a pool".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let [_, _, _, channels] = thwc(cx.shape(x));
    let Spatial { size, stride, dilation, pad } = &spatial;
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
            if cx.quant(x)? != cx.quant(output)? {
                return Err("an int8 pool keeps its quantization; requantize behind it".into());
            }
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
                cx.packer.max_pool_s8(&pool)
            } else {
                cx.packer.average_pool_s8(&pool)
            }
        }
        other => return Err(format!("no pool on {other:?}")),
    };
    let (input, output) = (cx.spatial(x).windowed(&spatial), cx.spatial(output));
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}

pub(super) fn reduce(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Reduce { function, axes, .. } = cx.node.op.clone() else { return Err("not a reduction".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let shape = cx.shape(x).to_vec();
    let reduced = |axis: usize| axes.contains(&axis) || shape[axis] == 1;
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
    let packed = match cx.dtype(x) {
        DType::F32 => {
            let function = match function {
                ReduceFn::Mean => ReduceFunction::Mean,
                ReduceFn::Sum => ReduceFunction::Sum,
                ReduceFn::Max => ReduceFunction::Max,
            };
            // Each row holds one group.
            ReduceF32 { function, outer: 1, len, inner }.pack()
        }
        DType::I8 => {
            let ((s_in, input_zero_point), (s_out, zero_point)) = (cx.quant(x)?, cx.quant(output)?);
            let (min, max) = activation_codes(cx, output)?;
            let factors = vec![f64::from(s_in) / f64::from(s_out)];
            let requant = Requant { factors, zero_point, min, max, rounding: rounding(cx.node.rounding) };
            if function == ReduceFn::Max && cx.quant(x)? != cx.quant(output)? {
                return Err("an int8 maximum keeps its quantization".into());
            }
            match (function, inner) {
                (ReduceFn::Mean, 1) => ReduceS8 { depth: len, input_zero_point, requant }.pack_mean(),
                (ReduceFn::Sum, 1) => ReduceS8 { depth: len, input_zero_point, requant }.pack_sum(),
                (ReduceFn::Max, 1) => ReduceS8 { depth: len, input_zero_point, requant }.pack_max(),
                (ReduceFn::Mean, _) => {
                    cx.packer.mean_s8(&MeanS8 { channels: inner, count: len, input_zero_point, requant })
                }
                (ReduceFn::Sum, _) => {
                    MeanS8 { channels: inner, count: len, input_zero_point, requant }.pack_sum()
                }
                (ReduceFn::Max, _) => return Err("int8 maximum over rows and columns; use a pool".into()),
            }
        }
        other => return Err(format!("no reduction on {other:?}")),
    };
    let (input, output) = (cx.rows_of(x, len * inner), cx.rows_of(output, inner));
    cx.push(0, packed, vec![input], output, vec![false]);
    Ok(())
}
