//! Convolution, fully connected layers, matrix products and pools.

use super::activation::{self, Fused};
use super::build::{Arithmetic, Builder, FileNode, Step, Target, V};
use super::read::elements;
use super::refused::{Refused, refuse};
use crate::graph::{DType, Data, Op, PoolKind, Rounding, Spatial, Tensor};
use std::sync::Arc;
use tract_tflite::tflite::{BuiltinOperator as B, FullyConnectedOptionsWeightsFormat, Padding};

pub(super) fn conv_2d(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let Some(o) = node.op.builtin_options_as_conv_2_doptions() else {
        return refuse("its options are missing");
    };
    let fused = Fused::read(o.fused_activation_function())?;
    let x = b.input(node, 0)?;
    let [_, rows, columns, channels] = image(b, x)?;
    let file_weights = weights_operand(b, node, x)?;
    let &[out, kh, kw, per_group] = b.shape(file_weights) else {
        return refuse(format!("its weights have shape {:?} instead of four axes", b.shape(file_weights)));
    };
    let groups = channels.checked_div(per_group).unwrap_or(0);
    if groups == 0 || groups * per_group != channels || out % groups != 0 {
        return refuse(format!("weights {:?} do not fit {channels} channels", b.shape(file_weights)));
    }
    let weights = b.derive(file_weights, "conv", |w| {
        // Per-channel scales run along the first axis, which stays where it is.
        if w.quant.as_ref().is_some_and(|q| !matches!(q.axis, None | Some(0))) {
            return refuse("its weights have scales along another axis than the output channels");
        }
        Ok(Tensor { shape: vec![out, 1, kh, kw, per_group], ..w.clone() })
    })?;
    let window = Window {
        size: [kh, kw],
        stride: [o.stride_h(), o.stride_w()],
        dilation: [o.dilation_h_factor(), o.dilation_w_factor()],
        padding: o.padding(),
    };
    finish_conv(b, node, x, weights, groups, window.spatial([rows, columns])?, out, fused)
}

pub(super) fn depthwise_conv_2d(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let Some(o) = node.op.builtin_options_as_depthwise_conv_2_doptions() else {
        return refuse("its options are missing");
    };
    let fused = Fused::read(o.fused_activation_function())?;
    let x = b.input(node, 0)?;
    let [_, rows, columns, channels] = image(b, x)?;
    let file_weights = weights_operand(b, node, x)?;
    let &[1, kh, kw, out] = b.shape(file_weights) else {
        return refuse(format!("its weights have shape {:?} instead of [1, h, w, c]", b.shape(file_weights)));
    };
    if channels == 0 || out == 0 || out % channels != 0 {
        return refuse(format!("{out} output channels are no multiple of {channels} input channels"));
    }
    let weights = b.derive(file_weights, "depthwise", |w| {
        let mut quant = w.quant.clone();
        if let Some(quant) = &mut quant {
            quant.axis = match quant.axis {
                None => None,
                Some(3) => Some(0),
                Some(_) => {
                    return refuse("its weights have scales along another axis than the output channels");
                }
            };
        }
        let data = w.data.as_ref().map(|data| transpose(data, kh * kw, out));
        Ok(Tensor { name: w.name.clone(), shape: vec![out, 1, kh, kw, 1], dtype: w.dtype, quant, data })
    })?;
    let window = Window {
        size: [kh, kw],
        stride: [o.stride_h(), o.stride_w()],
        dilation: [o.dilation_h_factor(), o.dilation_w_factor()],
        padding: o.padding(),
    };
    finish_conv(b, node, x, weights, channels, window.spatial([rows, columns])?, out, fused)
}

#[expect(clippy::too_many_arguments)]
fn finish_conv(
    b: &mut Builder<'_>,
    node: &FileNode<'_>,
    x: V,
    weights: V,
    groups: usize,
    spatial: Spatial,
    out: usize,
    fused: Fused,
) -> Result<(), Refused> {
    let shape = window_output(b.shape(x), &spatial, out)?;
    let target = b.output(node, 0, &shape)?;
    let inputs = with_bias(b, node, vec![x, weights], out, &target)?;
    activation::emit(b, node, Step::new(Op::Conv { spatial, groups }, inputs), target, fused)
}

pub(super) fn fully_connected(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let Some(o) = node.op.builtin_options_as_fully_connected_options() else {
        return refuse("its options are missing");
    };
    let fused = Fused::read(o.fused_activation_function())?;
    if o.weights_format() != FullyConnectedOptionsWeightsFormat::DEFAULT {
        return Err(Refused::new("its weights are shuffled").instead("the default weights format"));
    }
    let x = b.input(node, 0)?;
    let dynamic = {
        let w = b.any_input(node, 1)?;
        !b.is_constant(w)
    };
    let weights = if dynamic { b.any_input(node, 1)? } else { weights_operand(b, node, x)? };
    let &[out, depth] = b.shape(weights) else {
        return refuse(format!("its weights have shape {:?} instead of two axes", b.shape(weights)));
    };
    let count = elements(b.shape(x))?;
    if depth == 0 || out == 0 || count == 0 || count % depth != 0 {
        return refuse(format!("{:?} does not divide into rows of {depth}", b.shape(x)));
    }
    let keeps = o.keep_num_dims() && b.shape(x).last() == Some(&depth);
    if o.keep_num_dims() && !keeps {
        return refuse(format!("the last axis of {:?} is not {depth}", b.shape(x)));
    }
    // The file may state more axes than the option says; that costs nothing.
    let rows = if keeps { b.shape(x)[..b.shape(x).len() - 1].to_vec() } else { vec![count / depth] };
    let mut shape = rows;
    let mut operand_shape = shape.clone();
    shape.push(out);
    operand_shape.push(depth);
    let flat = if b.shape(x) == operand_shape {
        x
    } else {
        let target = b.between(node, "flat", &operand_shape, x);
        b.emit(Step::new(Op::Reshape, [x]), target)?
    };
    let target = b.output(node, 0, &shape)?;
    if dynamic {
        b.arithmetic(&[flat, weights], &target.tensor)?;
        if b.optional_input(node, 2)?.is_some() || fused != Fused::default() {
            return Err(Refused::new("its weights are computed, and it has a bias or an activation")
                .instead("BATCH_MATMUL followed by ADD"));
        }
        let op = Op::MatMul { transpose_a: false, transpose_b: true };
        return b.emit(Step::new(op, [flat, weights]).rounding(Rounding::SingleExact), target).map(|_| ());
    }
    let inputs = with_bias(b, node, vec![flat, weights], out, &target)?;
    activation::emit(b, node, Step::new(Op::Dense, inputs).rounding(Rounding::SingleExact), target, fused)
}

pub(super) fn batch_matmul(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let (transpose_a, transpose_b) =
        node.op.builtin_options_as_batch_mat_mul_options().map_or((false, false), |o| (o.adj_x(), o.adj_y()));
    let x = b.input(node, 0)?;
    let y = b.any_input(node, 1)?;
    let y = if b.is_constant(y) { float_weights(b, x, y)? } else { y };
    let (p, q) = (b.shape(x).to_vec(), b.shape(y).to_vec());
    if p.len() < 2 || q.len() < 2 {
        return refuse(format!("{p:?} and {q:?} are no matrices"));
    }
    let matrix = |s: &[usize], flip: bool| {
        let (rows, columns) = (s[s.len() - 2], s[s.len() - 1]);
        if flip { (columns, rows) } else { (rows, columns) }
    };
    let ((rows, depth), (other, columns)) = (matrix(&p, transpose_a), matrix(&q, transpose_b));
    if depth != other {
        return refuse(format!("the depths of {p:?} and {q:?} differ"));
    }
    let mut shape = super::shape::broadcast(&p[..p.len() - 2], &q[..q.len() - 2])?;
    shape.extend([rows, columns]);
    let target = b.output(node, 0, &shape)?;
    let y_for_type = if b.tensor(y).dtype == DType::F16 { x } else { y };
    b.arithmetic(&[x, y_for_type], &target.tensor)?;
    b.emit(Step::new(Op::MatMul { transpose_a, transpose_b }, [x, y]), target).map(|_| ())
}

pub(super) fn pool_2d(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let Some(o) = node.op.builtin_options_as_pool_2_doptions() else {
        return refuse("its options are missing");
    };
    let fused = Fused::read(o.fused_activation_function())?;
    let x = b.input(node, 0)?;
    let [_, rows, columns, channels] = image(b, x)?;
    let (Ok(kh), Ok(kw)) = (usize::try_from(o.filter_height()), usize::try_from(o.filter_width())) else {
        return refuse("its window is negative");
    };
    let window = Window {
        size: [kh, kw],
        stride: [o.stride_h(), o.stride_w()],
        dilation: [1, 1],
        padding: o.padding(),
    };
    let spatial = window.spatial([rows, columns])?;
    let shape = window_output(b.shape(x), &spatial, channels)?;
    let target = b.output(node, 0, &shape)?;
    b.arithmetic(&[x], &target.tensor)?;
    b.same_quant(&[x], &target.tensor)?;
    let kind = match node.code {
        B::MAX_POOL_2D => PoolKind::Max,
        _ => PoolKind::Average { include_padding: false },
    };
    activation::emit(b, node, Step::new(Op::Pool { kind, spatial }, [x]), target, fused)
}

/// `[N, H, W, C]` of an operand with batch 1.
fn image(b: &Builder<'_>, x: V) -> Result<[usize; 4], Refused> {
    match *b.shape(x) {
        [1, rows, columns, channels] => Ok([1, rows, columns, channels]),
        [batch, _, _, _] => {
            Err(Refused::new(format!("its input has a batch of {batch}")).instead("a batch of 1"))
        }
        ref other => refuse(format!("its input has shape {other:?} instead of four axes")),
    }
}

/// Operand 1 as a constant that goes with `x`.
fn weights_operand(b: &mut Builder<'_>, node: &FileNode<'_>, x: V) -> Result<V, Refused> {
    let weights = b.any_input(node, 1)?;
    if !b.is_constant(weights) {
        return Err(Refused::new("its weights are not constant").instead("BATCH_MATMUL"));
    }
    if elements(b.shape(weights))? == 0 {
        return refuse("its weights are empty");
    }
    float_weights(b, x, weights)
}

/// Weights that are int8 only to save space, beside float activations, become float.
fn float_weights(b: &mut Builder<'_>, x: V, weights: V) -> Result<V, Refused> {
    let (x_type, w) = (b.tensor(x).dtype, b.tensor(weights));
    match (x_type, w.dtype) {
        (DType::F32, DType::F32 | DType::F16) => Ok(weights),
        (DType::F32, DType::I8) if w.quant.is_some() => b.derive(weights, "f32", |w| {
            let operands = [w];
            let data = super::fold::evaluate(&Op::Dequantize, &operands, w);
            Ok(Tensor { data, quant: None, ..w.clone() })
        }),
        (DType::I8, DType::I8) if w.quant.is_some() => Ok(weights),
        (DType::I16, _) => {
            Err(Refused::new("its input has 16-bit elements").instead("int8 activations with int8 weights"))
        }
        (x, w) => refuse(format!("{w:?} weights with a {x:?} input are not supported")),
    }
}

/// Adds the bias, if there is one, and checks the types of the whole.
fn with_bias(
    b: &mut Builder<'_>,
    node: &FileNode<'_>,
    mut operands: Vec<V>,
    out: usize,
    target: &Target,
) -> Result<Vec<V>, Refused> {
    let kind = b.arithmetic(&operands[..1], &target.tensor)?;
    if kind == Arithmetic::Int8 {
        let quant = b.tensor(operands[1]).quant.as_ref();
        if quant.is_none_or(|q| q.scales.len() != 1 && q.scales.len() != out) {
            return refuse("its weights do not have one scale, or one per output channel");
        }
    }
    let Some(bias) = b.optional_input(node, 2)? else { return Ok(operands) };
    let bias = b.widened(bias)?;
    let tensor = b.tensor(bias);
    let dtype = if kind == Arithmetic::Float { DType::F32 } else { DType::I32 };
    if !tensor.is_constant() {
        return Err(Refused::new("its bias is not constant").instead("ADD behind it"));
    }
    if tensor.dtype != dtype {
        return refuse(format!("its bias has {:?} elements instead of {dtype:?}", tensor.dtype));
    }
    if tensor.len() != out {
        return refuse(format!("its bias has {} elements for {out} output channels", tensor.len()));
    }
    let bias = if tensor.shape.len() == 1 {
        bias
    } else {
        b.derive(bias, "bias", |bias| Ok(Tensor { shape: vec![out], quant: None, ..bias.clone() }))?
    };
    operands.push(bias);
    Ok(operands)
}

/// Window of the file, over rows and columns.
struct Window {
    size: [usize; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    padding: Padding,
}

impl Window {
    /// With the padding that the format's rules give: half of it before, rounded down, the rest behind.
    fn spatial(&self, input: [usize; 2]) -> Result<Spatial, Refused> {
        let positive = |numbers: [i32; 2], what: &str| -> Result<[usize; 2], Refused> {
            match numbers.map(usize::try_from) {
                [Ok(rows @ 1..), Ok(columns @ 1..)] => Ok([rows, columns]),
                _ => refuse(format!("{what} {numbers:?} is not positive")),
            }
        };
        let stride = positive(self.stride, "stride")?;
        let dilation = positive(self.dilation, "dilation")?;
        let mut pad = [(0, 0); 2];
        for axis in 0..2 {
            let reach =
                self.size[axis].checked_sub(1).and_then(|n| n.checked_mul(dilation[axis])).map(|n| n + 1);
            let Some(reach) = reach.filter(|&n| n < 1 << 31) else {
                return refuse(format!("a window of {:?} is not possible", self.size));
            };
            pad[axis] = match self.padding {
                Padding::VALID => (0, 0),
                Padding::SAME => {
                    let steps = input[axis].div_ceil(stride[axis]);
                    let covered = steps.saturating_sub(1).saturating_mul(stride[axis]).saturating_add(reach);
                    let total = covered.saturating_sub(input[axis]);
                    (total / 2, total - total / 2)
                }
                other => return refuse(format!("padding {} is unknown", other.0)),
            };
        }
        Ok(Spatial::over_rows_and_columns(self.size, stride, dilation, pad))
    }
}

fn window_output(input: &[usize], spatial: &Spatial, channels: usize) -> Result<Vec<usize>, Refused> {
    match (spatial.output_len(1, input[1]), spatial.output_len(2, input[2])) {
        (Some(rows), Some(columns)) => Ok(vec![input[0], rows, columns, channels]),
        _ => refuse(format!("its window {:?} does not fit into {input:?}", &spatial.size[1..])),
    }
}

/// `[rows, columns]` to `[columns, rows]`; the length has been checked against the shape.
fn transpose(data: &Data, rows: usize, columns: usize) -> Data {
    fn each<T: Copy>(v: &[T], rows: usize, columns: usize) -> Arc<[T]> {
        (0..columns).flat_map(|c| (0..rows).map(move |r| v[r * columns + c])).collect()
    }
    match data {
        Data::F32(v) => Data::F32(each(v, rows, columns)),
        Data::F16(v) => Data::F16(each(v, rows, columns)),
        Data::I8(v) => Data::I8(each(v, rows, columns)),
        other => other.clone(),
    }
}
