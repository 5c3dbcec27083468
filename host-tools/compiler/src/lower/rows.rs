//! Operators over vectors: softmax and layer normalisation.

use super::quantized::activation_codes;
use super::{Context, Refused};
use crate::graph::{DType, Op};
use mote_runtime::kernels::layer_norm_f32::LayerNormF32;
use mote_runtime::kernels::layer_norm_s8::LayerNormS8;
use mote_runtime::kernels::softmax_f32::SoftmaxF32;
use mote_runtime::kernels::softmax_s8::SoftmaxS8;

pub(super) fn softmax(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Softmax { axis, beta } = cx.node.op else { return Err("not a softmax".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let shape = cx.shape(x);
    if shape.iter().skip(axis + 1).any(|&n| n != 1) {
        return Err(format!("softmax over axis {axis} of {shape:?}; it must be the last one"));
    }
    let depth = shape.get(axis).copied().unwrap_or(1);
    let packed = match cx.dtype(x) {
        DType::F32 => SoftmaxF32 { depth, beta }.pack(),
        DType::I8 => {
            let (scale, _) = cx.quant(x)?;
            if cx.quant(output)? != (1.0 / 256.0, -128) {
                return Err(
                    "an int8 softmax has scale 1/256 and zero point -128; requantize behind it".into()
                );
            }
            let softmax = SoftmaxS8 { depth, input_scale: scale.into(), beta: beta.into() };
            cx.choices.packer.softmax_s8(&softmax)
        }
        other => return Err(format!("no softmax on {other:?}")),
    };
    let (input, output) = (cx.vectors(x, depth), cx.vectors(output, depth));
    cx.push(0, packed, vec![input], output, vec![true]).joinable = true;
    Ok(())
}

pub(super) fn layer_norm(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::LayerNorm { epsilon, .. } = cx.node.op else { return Err("not a layer normalisation".into()) };
    let (x, gamma, beta, output) = (cx.input(0)?, cx.input(1)?, cx.input(2)?, cx.output()?);
    let constant = |id| {
        let data = cx.graph.tensor(id).data.as_ref();
        data.map(|data| data.to_f32()).ok_or("gamma or beta is computed at run time")
    };
    let (gamma, beta) = (&constant(gamma)?[..], &constant(beta)?[..]);
    let depth = gamma.len();
    let packed = match cx.dtype(x) {
        DType::F32 => LayerNormF32 { gamma, beta, epsilon }.pack(),
        DType::I8 => {
            let ((input_scale, _), (output_scale, zero_point)) = (cx.quant(x)?, cx.quant(output)?);
            let (min, max) = activation_codes(cx, output)?;
            let (input_scale, output_scale) = (input_scale.into(), output_scale.into());
            let epsilon = epsilon.into();
            let norm = LayerNormS8 { gamma, beta, epsilon, input_scale, output_scale, zero_point, min, max };
            cx.choices.packer.layer_norm_s8(&norm)
        }
        other => return Err(format!("no layer normalisation on {other:?}")),
    };
    let (input, output) = (cx.vectors(x, depth), cx.vectors(output, depth));
    cx.push(0, packed, vec![input], output, vec![true]).joinable = true;
    Ok(())
}
