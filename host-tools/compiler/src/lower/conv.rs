//! Convolutions, dense layers and matrix products.

use super::quantized::{requant, requant_of};
use super::view::thwc;
use super::{Context, Operand, Refused};
use crate::graph::{DType, Op, Spatial, TensorId};
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_f32::DepthwiseF32;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::fully_connected_f32::FullyConnectedF32;
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::matmul_f32::MatMulF32;
use mote_runtime::kernels::matmul_s8::MatmulS8;
use mote_runtime::kernels::pack::Geometry;
use mote_runtime::plan::OperandRecord;

/// A layer with constant weights.
struct Layer {
    x: TensorId,
    weights: TensorId,
    bias: Option<TensorId>,
    output: TensorId,
}

impl Context<'_> {
    fn layer(&self) -> Result<Layer, Refused> {
        let (x, weights, bias) = (self.input(0)?, self.input(1)?, self.node.inputs.get(2).copied());
        for id in [Some(weights), bias].into_iter().flatten() {
            let tensor = self.graph.tensor(id);
            if !tensor.is_constant() {
                return Err(format!("weights or bias `{}` are computed at run time", tensor.name));
            }
        }
        Ok(Layer { x, weights, bias, output: self.output()? })
    }

    fn reals(&self, id: TensorId) -> Vec<f32> {
        self.graph.tensor(id).data.as_ref().map(|data| data.to_f32()).unwrap_or_default()
    }

    fn codes(&self, id: TensorId) -> Result<Vec<i8>, Refused> {
        let tensor = self.graph.tensor(id);
        let zero_points = tensor.quant.as_ref().map(|q| q.zero_points.as_slice()).unwrap_or(&[]);
        if zero_points.iter().any(|&z| z != 0) {
            return Err(format!("weights `{}` are quantized with a zero point other than 0", tensor.name));
        }
        let codes = tensor.data.as_ref().and_then(|data| data.as_i8());
        codes.map(<[i8]>::to_vec).ok_or_else(|| format!("weights `{}` are not int8", tensor.name))
    }

    fn integer_bias(&self, layer: &Layer) -> Result<Vec<i32>, Refused> {
        let Some(id) = layer.bias else { return Ok(Vec::new()) };
        let tensor = self.graph.tensor(id);
        let codes = tensor.data.as_ref().and_then(|data| data.as_i32());
        codes.map(<[i32]>::to_vec).ok_or_else(|| format!("bias `{}` is not int32", tensor.name))
    }
}

pub(super) fn convolution(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Conv { spatial, groups } = cx.node.op.clone() else { return Err("not a convolution".into()) };
    let layer = cx.layer()?;
    let [out_channels, kt, kh, kw, group_channels] = cx.shape(layer.weights)[..] else {
        return Err("the weights are not [out, time, rows, columns, in]".into());
    };
    let [_, _, width, in_channels] = thwc(cx.shape(layer.x));
    let [_, _, out_width, _] = thwc(cx.shape(layer.output));
    if groups == 0 || group_channels * groups != in_channels || !out_channels.is_multiple_of(groups) {
        return Err(format!("{in_channels} channels do not fit {groups} groups of {group_channels}"));
    }
    if spatial.size != [kt, kh, kw] {
        return Err("the window and the weights have different sizes".into());
    }
    let (stride, dilation, pad_left) = (spatial.stride[2], spatial.dilation[2], spatial.pad[2].0 as isize);
    let (kernel_rows, kernel_width) = (kt * kh, kw);
    let macs = (cx.graph.tensor(layer.output).len() * kt * kh * kw * group_channels) as u64;
    let depthwise = group_channels == 1 && groups > 1;
    let multiplier = out_channels / groups;

    let positions = cx.graph.tensor(layer.output).len() / out_channels.max(1);
    let (packed, choice) = match cx.dtype(layer.x) {
        DType::F32 => {
            let (weights, half) = (cx.reals(layer.weights), cx.choices.half_weights);
            let bias = layer.bias.map(|id| cx.reals(id)).unwrap_or_default();
            let (weights, bias) = (&weights[..], &bias[..]);
            let (min, max) = cx.node.activation.limits();

            if depthwise {
                let layer = DepthwiseF32 {
                    weights,
                    half,
                    bias,
                    in_channels,
                    multiplier,
                    kernel_rows,
                    kernel_width,
                    stride,
                    dilation,
                    pad_left,
                    min,
                    max,
                };
                (cx.choices.packer.depthwise_f32(&layer), None)
            } else {
                let layer = ConvF32 {
                    weights,
                    half,
                    bias,
                    in_channels,
                    out_channels,
                    kernel_rows,
                    kernel_width,
                    stride,
                    dilation,
                    pad_left,
                    groups,
                    min,
                    max,
                };
                cx.dense_or_sparse_f32(&layer, positions)
            }
        }
        DType::I8 => {
            let (weights, bias) = (&cx.codes(layer.weights)?[..], &cx.integer_bias(&layer)?[..]);
            let requant = requant(cx, layer.x, layer.weights, layer.output, true)?;
            let (_, input_zero_point) = cx.quant(layer.x)?;

            let geometry = Geometry { width, columns: out_width };

            if depthwise {
                let layer = DepthwiseS8 {
                    weights,
                    bias,
                    in_channels,
                    multiplier,
                    kernel_rows,
                    kernel_width,
                    stride,
                    dilation,
                    pad_left,
                    input_zero_point,
                    requant,
                };
                (cx.choices.packer.depthwise_s8(&layer, geometry), None)
            } else {
                let layer = ConvS8 {
                    weights,
                    bias,
                    in_channels,
                    out_channels,
                    kernel_rows,
                    kernel_width,
                    stride,
                    dilation,
                    pad_left,
                    groups,
                    input_zero_point,
                    requant,
                };
                let dense = cx.choices.packer.conv_s8(&layer, geometry);
                cx.dense_or_sparse_s8(&layer, dense, positions)
            }
        }
        other => return Err(format!("no convolution on {other:?}")),
    };
    let (input, output) = (cx.spatial(layer.x).windowed(&spatial), cx.spatial(layer.output));
    let pointwise = spatial == Spatial::over_rows_and_columns([1, 1], [1, 1], [1, 1], [(0, 0), (0, 0)])
        && width == out_width;
    let step = cx.push(macs, packed, vec![input], output, vec![false]);
    (step.joinable, step.choice) = (pointwise, choice);
    Ok(())
}

pub(super) fn dense(cx: &mut Context<'_>) -> Result<(), Refused> {
    let layer = cx.layer()?;
    let [outputs, inputs] = cx.shape(layer.weights)[..] else {
        return Err("the weights are not a matrix".into());
    };
    let vectors = cx.graph.tensor(layer.output).len() / outputs.max(1);
    if cx.graph.tensor(layer.x).len() != vectors * inputs {
        return Err(format!("the input is not {vectors} vectors of {inputs}"));
    }
    let macs = (vectors * outputs * inputs) as u64;
    let (packed, choice) = match cx.dtype(layer.x) {
        DType::F32 => {
            let (weights, half) = (&cx.reals(layer.weights)[..], cx.choices.half_weights);
            let bias = &layer.bias.map(|id| cx.reals(id)).unwrap_or_default()[..];
            let (min, max) = cx.node.activation.limits();
            if vectors == 1 {
                let layer = FullyConnectedF32 { weights, half, bias, inputs, outputs, min, max };
                (cx.choices.packer.fully_connected_f32(&layer), None)
            } else {
                let layer = pointwise_f32(weights, half, bias, inputs, outputs, (min, max));
                cx.dense_or_sparse_f32(&layer, vectors)
            }
        }
        DType::I8 => {
            let (weights, bias) = (&cx.codes(layer.weights)?[..], &cx.integer_bias(&layer)?[..]);
            let requant = requant(cx, layer.x, layer.weights, layer.output, false)?;
            let (_, input_zero_point) = cx.quant(layer.x)?;
            if vectors == 1 {
                let layer = FullyConnectedS8 { weights, bias, inputs, outputs, input_zero_point, requant };
                (cx.choices.packer.fully_connected_s8(&layer), None)
            } else {
                let layer = ConvS8 {
                    weights,
                    bias,
                    in_channels: inputs,
                    out_channels: outputs,
                    kernel_rows: 1,
                    kernel_width: 1,
                    stride: 1,
                    dilation: 1,
                    pad_left: 0,
                    groups: 1,
                    input_zero_point,
                    requant,
                };
                let geometry = Geometry { width: vectors, columns: vectors };
                let dense = cx.choices.packer.conv_s8(&layer, geometry);
                cx.dense_or_sparse_s8(&layer, dense, vectors)
            }
        }
        other => return Err(format!("no dense layer on {other:?}")),
    };
    if cx.shape(layer.x).split_last().map(|(_, outer)| outer)
        == cx.shape(layer.output).split_last().map(|(_, o)| o)
    {
        let (input, output) = (cx.spatial(layer.x), cx.spatial(layer.output));
        let step = cx.push(macs, packed, vec![input], output, vec![false]);
        (step.joinable, step.choice) = (true, choice);
    } else {
        let (input, output) = (cx.flat(layer.x), cx.flat(layer.output));
        cx.push(macs, packed, vec![input], output, vec![false]).choice = choice;
    }
    Ok(())
}

/// Many vectors through one matrix: a convolution of width 1.
fn pointwise_f32<'a>(
    weights: &'a [f32],
    half: bool,
    bias: &'a [f32],
    in_channels: usize,
    out_channels: usize,
    (min, max): (f32, f32),
) -> ConvF32<'a> {
    ConvF32 {
        weights,
        half,
        bias,
        in_channels,
        out_channels,
        kernel_rows: 1,
        kernel_width: 1,
        stride: 1,
        dilation: 1,
        pad_left: 0,
        groups: 1,
        min,
        max,
    }
}

pub(super) fn matmul(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::MatMul { transpose_a, transpose_b } = cx.node.op else {
        return Err("not a matrix product".into());
    };
    let (a, b, output) = (cx.input(0)?, cx.input(1)?, cx.output()?);
    let matrix = |shape: &[usize], transposed: bool| match *shape {
        [.., r, c] => Ok(if transposed { (c, r) } else { (r, c) }),
        _ => Err(Refused::from("an operand is not a matrix")),
    };
    let ((m, k), (k_b, n)) = (matrix(cx.shape(a), transpose_a)?, matrix(cx.shape(b), transpose_b)?);
    if k != k_b {
        return Err(format!("inner lengths {k} and {k_b} differ"));
    }
    let batch = cx.graph.tensor(output).len() / (m * n).max(1);
    let matrices =
        |cx: &Context<'_>, id: TensorId, elements: usize| cx.graph.tensor(id).len() / elements.max(1);
    let shared = |count: usize| match count {
        _ if count == batch => Ok(false),
        1 => Ok(true),
        _ => Err(Refused::from(format!("{count} matrices against {batch}: batches that broadcast in part"))),
    };
    let (a_shared, b_shared) = (shared(matrices(cx, a, m * k))?, shared(matrices(cx, b, k * n))?);
    let macs = (batch * m * n * k) as u64;
    match cx.dtype(a) {
        DType::F32 => {
            let once = |operand: Operand, shared: bool| if shared { operand.repeated() } else { operand };
            let inputs = vec![once(cx.rows_of(a, m * k), a_shared), once(cx.rows_of(b, k * n), b_shared)];
            let packed = MatMulF32 { m, k, n, transpose_a, transpose_b }.pack();
            let output = cx.rows_of(output, m * n);
            cx.push(macs, packed, inputs, output, vec![false, false]);
        }
        DType::I8 => {
            let ((sa, zero_a), (sb, zero_b)) = (cx.quant(a)?, cx.quant(b)?);
            let (so, _) = cx.quant(output)?;
            let requant = requant_of(cx, vec![f64::from(sa) * f64::from(sb) / f64::from(so)], output)?;
            let matmul = MatmulS8 { depth: k, columns: n, transpose_a, transpose_b, zero_a, zero_b, requant };
            let packed = cx.choices.packer.matmul_s8(&matmul);
            // A batch is a slice of rows; a row of the product needs its row of `a` and all rows of `b`.
            let (a_rows, a_len) = if transpose_a { (k, m) } else { (m, k) };
            let (b_rows, b_len) = if transpose_b { (n, k) } else { (k, n) };
            let slices = |tensor, rows: usize, len: usize, shared: bool| {
                let (slices, bytes) = (if shared { 1 } else { batch as u32 }, (rows * len) as u32);
                let view = OperandRecord::rows(0, rows as u32, len as u32);
                let view = OperandRecord { slots: slices, slices, slice_stride: bytes, ..view };
                let stride = u16::from(!shared);
                Operand { tensor, view: view.with_outer(1, stride, 1, 0) }
            };
            let first = slices(a, a_rows, a_len, a_shared);
            let first = if transpose_a { first.all_rows() } else { first };
            let second = slices(b, b_rows, b_len, b_shared).all_rows();
            let output = slices(output, m, n, false);
            cx.push(macs, packed, vec![first, second], output, vec![false, false]);
        }
        other => return Err(format!("no matrix product on {other:?}")),
    }
    Ok(())
}
