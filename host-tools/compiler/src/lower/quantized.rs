//! The arithmetic of scales: factors, clamps, rounding; conversions between number formats.

use super::{Context, Refused};
use crate::graph::{DType, Op, Rounding, TensorId};
use mote_runtime::kernels::cast::Cast;
use mote_runtime::kernels::pack::Requant;
use mote_runtime::kernels::quantize::{DequantizeS8F32, QuantizeF32S8, RequantizeS8};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};

/// The runtime's code of a rounding.
pub(super) fn rounding(rounding: Rounding) -> u8 {
    match rounding {
        Rounding::Single | Rounding::SingleExact => SINGLE,
        Rounding::Double => DOUBLE,
    }
}

/// Clamp of the output in codes: of its type, and of the fused activation.
pub(super) fn activation_codes(cx: &Context<'_>, output: TensorId) -> Result<(i32, i32), Refused> {
    let (scale, zero_point) = cx.quant(output)?;
    let (low, high) = cx.node.activation.limits();
    // As TFLite: in single precision, halves away from zero.
    let code = |limit: f32| zero_point.saturating_add((limit / scale).round() as i32);
    let min = if low.is_finite() { code(low).clamp(-128, 127) } else { -128 };
    let max = if high.is_finite() { code(high).clamp(-128, 127) } else { 127 };
    Ok((min, max.max(min)))
}

/// Requantization of a layer with weights: `s_in * s_w[c] / s_out`.
///
/// A convolution multiplies in double precision; a dense layer with one scale multiplies its two input scales in
/// single precision first, as TFLite's reference does.
pub(super) fn requant(
    cx: &Context<'_>,
    x: TensorId,
    weights: TensorId,
    output: TensorId,
    convolution: bool,
) -> Result<Requant, Refused> {
    let ((s_in, _), (s_out, _)) = (cx.quant(x)?, cx.quant(output)?);
    let tensor = cx.graph.tensor(weights);
    let quant = tensor.quant.as_ref().ok_or_else(|| format!("weights `{}` have no scale", tensor.name))?;
    if quant.axis.is_some_and(|axis| axis != 0) {
        return Err(format!("weights `{}` have scales along another axis than the outputs", tensor.name));
    }
    let factor = |scale: f32| {
        let product = if convolution || quant.scales.len() > 1 {
            f64::from(s_in) * f64::from(scale)
        } else {
            f64::from(s_in * scale)
        };
        product / f64::from(s_out)
    };
    let factors = quant.scales.iter().map(|&scale| factor(scale)).collect();
    requant_of(cx, factors, output)
}

/// Requantization by `factors` to the codes of `output`. Where the node allows it, factors are moved to near ones of which kernels may
/// compute the same codes in floats: by less than the scales, which are floats, are exact to when multiplied.
pub(super) fn requant_of(cx: &Context<'_>, factors: Vec<f64>, output: TensorId) -> Result<Requant, Refused> {
    let (_, zero_point) = cx.quant(output)?;
    let (min, max) = activation_codes(cx, output)?;
    let given = Requant { factors, zero_point, min, max, rounding: rounding(cx.node.rounding) };
    Ok(if cx.node.rounding == Rounding::Single { given.steady() } else { given })
}

pub(super) fn convert(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (x, output) = (cx.input(0)?, cx.output()?);
    let (from, to) = (cx.dtype(x), cx.dtype(output));
    let packed = match (&cx.node.op, from, to) {
        (Op::Quantize, DType::F32, DType::I8) => {
            let (scale, zero_point) = cx.quant(output)?;
            let half_even = cx.node.rounding == Rounding::Single;
            QuantizeF32S8 { scale, zero_point, min: -128, max: 127, half_even }.pack()
        }
        (Op::Dequantize, DType::I8, DType::F32) => {
            let (scale, zero_point) = cx.quant(x)?;
            DequantizeS8F32 { scale, zero_point, unsigned: false }.pack()
        }
        (Op::Requantize, DType::I8, DType::I8) => {
            let ((s_in, in_zero_point), (s_out, zero_point)) = (cx.quant(x)?, cx.quant(output)?);
            let factors = vec![f64::from(s_in) / f64::from(s_out)];
            let (min, max, rounding) = (-128, 127, rounding(cx.node.rounding));
            let requant = &Requant { factors, zero_point, min, max, rounding };
            RequantizeS8 { in_zero_point, in_unsigned: false, requant }.pack()
        }
        (Op::Cast, from, to) => {
            let plan =
                |dtype| crate::emit::plan_type(dtype).ok_or_else(|| format!("no numbers of type {dtype:?}"));
            Cast { from: plan(from)?, to: plan(to)? }.pack()
        }
        (_, from, to) => return Err(format!("no conversion from {from:?} to {to:?}")),
    };
    let (input, output) = (cx.spatial(x), cx.spatial(output));
    cx.push(0, packed, vec![input], output, vec![false]).joinable = true;
    Ok(())
}
