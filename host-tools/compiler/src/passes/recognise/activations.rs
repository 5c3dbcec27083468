//! Spellings of activation functions. Each recogniser answers the function and its operand; the matcher has then
//! taken all the nodes of the spelling.

use super::matcher::{Matcher, close, close_polynomial};
use crate::graph::{BinaryFn, Node, Op, TensorId, UnaryFn};
use crate::passes::edit::Editor;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

type Found = Option<(UnaryFn, TensorId)>;

pub fn recognise(editor: &Editor, m: &mut Matcher, root: TensorId) -> Found {
    sigmoid(m, editor, root)
        .or_else(|| m.attempt(|m| softplus(m, root)))
        .or_else(|| m.attempt(|m| hard_sigmoid(m, editor, root)))
        .or_else(|| m.attempt(|m| product(m, editor, root)))
        .or_else(|| m.attempt(|m| distributed_gelu(m, editor, root)))
}

/// `x` times a gate computed from `x`.
fn product(m: &mut Matcher, editor: &Editor, root: TensorId) -> Found {
    if let Some((x, denominator)) = m.binary(root, BinaryFn::Div)
        && let Some(function) = m.attempt(|m| quotient(m, editor, x, denominator))
    {
        return Some((function, x));
    }
    let (coefficient, factors) = m.factors(root)?;
    let &[a, b] = &factors[..] else { return None };
    let gated = |m: &mut Matcher, x, gate| m.attempt(|m| gated(m, editor, x, gate, coefficient));
    gated(m, a, b).map(|function| (function, a)).or_else(|| Some((gated(m, b, a)?, b)))
}

/// `coefficient * x * gate`.
fn gated(m: &mut Matcher, editor: &Editor, x: TensorId, gate: TensorId, coefficient: f64) -> Option<UnaryFn> {
    if editor.shape(x) != editor.shape(gate) {
        return None;
    }
    // GELU: the gate is a + b * erf(..) or a + b * tanh(..).
    let found = m.attempt(|m| {
        let inner = m.base(gate);
        let [a, b, 0.0, 0.0] = m.polynomial(gate, inner)? else { return None };
        (close(coefficient * a, 0.5) && close(coefficient * b, 0.5)).then_some(())?;
        bell(m, x, inner)
    });
    if found.is_some() {
        return found;
    }
    let node = m.take(gate)?;
    let &inner = node.inputs.first()?;
    let whole = close(coefficient, 1.0);
    match node.op {
        Op::Unary(UnaryFn::Sigmoid) if whole => {
            let p = m.polynomial(inner, x)?;
            // 0.5 * (1 + tanh(z)) is sigmoid(2 z).
            let tanh = [0.0, 2.0 * TANH[1], 0.0, 2.0 * TANH[3]];
            if inner == x {
                Some(UnaryFn::Swish)
            } else {
                close_polynomial(p, tanh).then_some(UnaryFn::Gelu { approximate: true })
            }
        }
        Op::Unary(UnaryFn::HardSigmoid { slope, offset }) if whole && inner == x => {
            (close(slope.into(), 1.0 / 6.0) && close(offset.into(), 0.5)).then_some(UnaryFn::HardSwish)
        }
        Op::Unary(function) => {
            if let Some((0.0, high)) = limits(function) {
                let [offset, slope, 0.0, 0.0] = m.polynomial(inner, x)? else { return None };
                let fits = close(coefficient * f64::from(high), 1.0)
                    && close(coefficient * slope, 1.0 / 6.0)
                    && close(coefficient * offset, 0.5);
                return fits.then_some(UnaryFn::HardSwish);
            }
            let mish = whole && function == UnaryFn::Tanh && m.unary(inner, UnaryFn::Softplus) == Some(x);
            mish.then_some(UnaryFn::Mish)
        }
        _ => None,
    }
}

/// Coefficients of the argument of `tanh` in the approximate GELU.
const TANH: [f64; 4] = [0.0, 0.797_884_560_802_865_4, 0.0, 0.797_884_560_802_865_4 * 0.044_715];

/// `erf(x / sqrt 2)`, or the `tanh` that approximates it.
fn bell(m: &mut Matcher, x: TensorId, id: TensorId) -> Option<UnaryFn> {
    debug_assert!(close(TANH[1], (2.0 / PI).sqrt()));
    let Node { op: Op::Unary(function), inputs, .. } = m.take(id)? else { return None };
    let p = m.polynomial(*inputs.first()?, x)?;
    match function {
        UnaryFn::Erf => close_polynomial(p, [0.0, FRAC_1_SQRT_2, 0.0, 0.0])
            .then_some(UnaryFn::Gelu { approximate: false }),
        UnaryFn::Tanh => close_polynomial(p, TANH).then_some(UnaryFn::Gelu { approximate: true }),
        _ => None,
    }
}

/// `0.5 * x + 0.5 * x * erf(..)`.
fn distributed_gelu(m: &mut Matcher, editor: &Editor, root: TensorId) -> Found {
    let (a, b) = m.binary(root, BinaryFn::Add)?;
    let mut sides = |half: TensorId, other: TensorId| {
        m.attempt(|m| {
            let (0.5, half) = m.factors(half)? else { return None };
            let (0.5, factors) = m.factors(other)? else { return None };
            let (&[x], &[p, q]) = (&half[..], &factors[..]) else { return None };
            let gate = if p == x { q } else { p };
            (p == x || q == x).then_some(())?;
            (editor.shape(gate) == editor.shape(x)).then_some(())?;
            Some((bell(m, x, gate)?, x))
        })
    };
    sides(a, b).or_else(|| sides(b, a))
}

/// `x / (1 + exp(-x))`.
fn quotient(m: &mut Matcher, editor: &Editor, x: TensorId, denominator: TensorId) -> Option<UnaryFn> {
    (exponential(m, editor, denominator, x)? == -1.0).then_some(UnaryFn::Swish)
}

/// The factor `k` in `1 + exp(k * x)`.
fn exponential(m: &mut Matcher, editor: &Editor, id: TensorId, x: TensorId) -> Option<f64> {
    let inner = m.base(id);
    let [1.0, 1.0, 0.0, 0.0] = m.polynomial(id, inner)? else { return None };
    let argument = m.unary(inner, UnaryFn::Exp)?;
    let [0.0, k, 0.0, 0.0] = m.polynomial(argument, x)? else { return None };
    (editor.shape(id) == editor.shape(x)).then_some(k)
}

/// `1 / (1 + exp(-x))`.
fn sigmoid(m: &mut Matcher, editor: &Editor, root: TensorId) -> Found {
    m.attempt(|m| {
        let node = m.take(root)?;
        let denominator = match (&node.op, &node.inputs[..]) {
            (Op::Unary(UnaryFn::Reciprocal), &[d]) => d,
            (Op::Binary(BinaryFn::Div), &[one, d]) if editor.scalar(one) == Some(1.0) => d,
            _ => return None,
        };
        let exp = m.base(denominator);
        let (_, Node { inputs, .. }) = editor.maker(exp)?;
        let x = m.base(*inputs.first()?);
        (exponential(m, editor, denominator, x)? == -1.0).then_some((UnaryFn::Sigmoid, x))
    })
}

/// `log(1 + exp(x))`.
fn softplus(m: &mut Matcher, root: TensorId) -> Found {
    let sum = m.unary(root, UnaryFn::Log)?;
    let inner = m.base(sum);
    let [1.0, 1.0, 0.0, 0.0] = m.polynomial(sum, inner)? else { return None };
    Some((UnaryFn::Softplus, m.unary(inner, UnaryFn::Exp)?))
}

/// `clamp(slope * x + offset, 0, high) / high`.
fn hard_sigmoid(m: &mut Matcher, editor: &Editor, root: TensorId) -> Found {
    let (coefficient, clamped) = match m.factors(root) {
        Some((coefficient, factors)) if factors.len() == 1 => (coefficient, factors[0]),
        Some(_) => return None,
        None => (1.0, root),
    };
    let Node { op: Op::Unary(function), inputs, .. } = m.take(clamped)? else { return None };
    let (low, high) = limits(*function)?;
    let &inner = inputs.first()?;
    let x = m.base(inner);
    let [offset, slope, 0.0, 0.0] = m.polynomial(inner, x)? else { return None };
    let (slope, offset) = (coefficient * slope, coefficient * offset);
    // Without slope or offset it is a clamp, which other operators take up.
    let fits = low == 0.0 && close(coefficient * f64::from(high), 1.0) && slope != 1.0 && offset != 0.0;
    let function = UnaryFn::HardSigmoid { slope: slope as f32, offset: offset as f32 };
    (fits && editor.shape(x) == editor.shape(root)).then_some((function, x))
}

/// Limits of a clamp from both sides.
fn limits(function: UnaryFn) -> Option<(f32, f32)> {
    match function {
        UnaryFn::Relu6 => Some((0.0, 6.0)),
        UnaryFn::Clip { min, max } if max.is_finite() => Some((min, max)),
        _ => None,
    }
}
