//! Elementwise functions.

use super::movement::Indices;
use super::{Array, Outcome};
use crate::graph::shape::{aligned, broadcast, strides};
use crate::graph::{BinaryFn, Tensor, UnaryFn};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

pub(super) fn unary(function: UnaryFn, x: &Array) -> Array {
    Array { shape: x.shape.clone(), values: x.values.iter().map(|&x| unary_value(function, x)).collect() }
}

/// Codes by a table; scales of both sides only carry the codes in and out of the array.
pub(super) fn lookup(x: &Array, from: &Tensor, table: &[i8], to: &Tensor) -> Outcome {
    let uniform =
        |t: &Tensor| t.quant.as_ref().and_then(|q| q.uniform()).ok_or("a table needs quantized operands");
    let ((s_in, z_in), (s_out, z_out)) = (uniform(from)?, uniform(to)?);
    let value = |&x: &f64| {
        let code = (x / f64::from(s_in)).round() + f64::from(z_in);
        let y = table.get((code + 128.0) as usize).ok_or("a code outside of the table")?;
        Ok(f64::from(s_out) * (f64::from(*y) - f64::from(z_out)))
    };
    Ok(Array { shape: x.shape.clone(), values: x.values.iter().map(value).collect::<Result<_, _>>()? })
}

pub(super) fn binary(function: BinaryFn, a: &Array, b: &Array) -> Outcome {
    zip(a, b, |a, b| match function {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Max => a.max(b),
        BinaryFn::Min => a.min(b),
        BinaryFn::SquaredDifference => (a - b) * (a - b),
        BinaryFn::Pow => a.powf(b),
    })
}

pub(super) fn prelu(x: &Array, slope: &Array) -> Outcome {
    zip(x, slope, |x, slope| if x > 0.0 { x } else { slope * x })
}

fn zip(a: &Array, b: &Array, f: impl Fn(f64, f64) -> f64) -> Outcome {
    let shape = broadcast(&a.shape, &b.shape).ok_or("the shapes don't broadcast")?;
    let steps = |x: &Array| -> Vec<usize> {
        let own = aligned(&x.shape, shape.len());
        strides(&own).into_iter().zip(&own).map(|(step, &n)| if n == 1 { 0 } else { step }).collect()
    };
    let pairs = Indices::new(&shape, 0, &steps(a)).zip(Indices::new(&shape, 0, &steps(b)));
    let values = pairs.map(|(i, j)| f(a.values[i], b.values[j])).collect();
    Ok(Array { shape, values })
}

pub fn unary_value(function: UnaryFn, x: f64) -> f64 {
    match function {
        UnaryFn::Relu => x.max(0.0),
        UnaryFn::Relu6 => x.clamp(0.0, 6.0),
        UnaryFn::Clip { min, max } => x.max(min.into()).min(max.into()),
        UnaryFn::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                x * f64::from(slope)
            }
        }
        UnaryFn::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        UnaryFn::Sigmoid => sigmoid(x),
        UnaryFn::Tanh => x.tanh(),
        UnaryFn::Swish => x * sigmoid(x),
        UnaryFn::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        UnaryFn::HardSigmoid { slope, offset } => (x * f64::from(slope) + f64::from(offset)).clamp(0.0, 1.0),
        UnaryFn::Gelu { approximate: false } => 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2)),
        UnaryFn::Gelu { approximate: true } => {
            0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
        UnaryFn::Erf => erf(x),
        UnaryFn::Exp => x.exp(),
        UnaryFn::Log => x.ln(),
        UnaryFn::Sqrt => x.sqrt(),
        UnaryFn::Rsqrt => 1.0 / x.sqrt(),
        UnaryFn::Reciprocal => 1.0 / x,
        UnaryFn::Square => x * x,
        UnaryFn::Abs => x.abs(),
        UnaryFn::Neg => -x,
        UnaryFn::Softplus => softplus(x),
        UnaryFn::Mish => x * softplus(x).tanh(),
        UnaryFn::Floor => x.floor(),
        UnaryFn::Ceil => x.ceil(),
        UnaryFn::Round => x.round_ties_even(),
        UnaryFn::Sin => x.sin(),
        UnaryFn::Cos => x.cos(),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `2/sqrt(pi) * exp(-x^2) * sum_n 2^n x^(2n+1) / (2n+1)!!`: all terms are positive, so nothing cancels.
pub(super) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}
