//! Layer normalisation written out in means and roots.

use super::matcher::Matcher;
use crate::graph::{BinaryFn, Node, Op, TensorId, UnaryFn};
use crate::passes::edit::Editor;

/// What a spelling amounts to.
pub struct Norm {
    pub x: TensorId,
    /// The last so many axes.
    pub axes: usize,
    pub epsilon: f32,
    /// Constant factor and summand, where the spelling holds them inside.
    pub gamma: Option<TensorId>,
    pub beta: Option<TensorId>,
}

pub fn recognise(editor: &Editor, m: &mut Matcher, root: TensorId) -> Option<Norm> {
    m.attempt(|m| divided(editor, m, root)).or_else(|| m.attempt(|m| distributed(editor, m, root)))
}

/// `(x - mean) / sqrt(variance + epsilon)`, or times the reciprocal.
fn divided(editor: &Editor, m: &mut Matcher, root: TensorId) -> Option<Norm> {
    if let Some((difference, deviation)) = m.binary(root, BinaryFn::Div) {
        let variance = m.attempt(|m| root_of(editor, m, deviation))?;
        return centred(editor, m, difference, variance);
    }
    let (a, b) = m.binary(root, BinaryFn::Mul)?;
    for (difference, inverse) in [(a, b), (b, a)] {
        let found = m.attempt(|m| {
            let variance = inverse_root_of(editor, m, inverse)?;
            centred(editor, m, difference, variance)
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// `x * g + (beta - mean * g)` with `g = gamma / sqrt(variance + epsilon)`.
fn distributed(editor: &Editor, m: &mut Matcher, root: TensorId) -> Option<Norm> {
    let (p, q) = m.binary(root, BinaryFn::Add)?;
    for (scaled, shifted) in [(p, q), (q, p)] {
        let found = m.attempt(|m| {
            let (a, b) = m.binary(scaled, BinaryFn::Mul)?;
            let (beta, moved) = m.binary(shifted, BinaryFn::Sub)?;
            let (c, d) = m.binary(moved, BinaryFn::Mul)?;
            let (x, factor) = if b == c || b == d { (a, b) } else { (b, a) };
            let mean = if c == factor { d } else { c };
            (c == factor || d == factor).then_some(())?;
            editor.tensor(beta).is_constant().then_some(())?;
            let (gamma, inverse) = match m.binary(factor, BinaryFn::Mul) {
                Some((u, v)) if editor.tensor(v).is_constant() => (Some(v), u),
                Some((u, v)) if editor.tensor(u).is_constant() => (Some(u), v),
                Some(_) => return None,
                None => (None, factor),
            };
            let (variance, epsilon) = inverse_root_of(editor, m, inverse)?;
            let axes = mean_of(editor, m, mean, x)?;
            (variance_of(editor, m, variance, x)? == axes).then_some(())?;
            Some(Norm { x, axes, epsilon, gamma, beta: Some(beta) })
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The norm whose variance plus epsilon is known, once `difference` is seen to be `x - mean(x)`.
fn centred(
    editor: &Editor,
    m: &mut Matcher,
    difference: TensorId,
    (variance, epsilon): (TensorId, f32),
) -> Option<Norm> {
    let (x, mean) = m.binary(difference, BinaryFn::Sub)?;
    let axes = mean_of(editor, m, mean, x)?;
    (variance_of(editor, m, variance, x)? == axes).then_some(Norm {
        x,
        axes,
        epsilon,
        gamma: None,
        beta: None,
    })
}

/// Number of last axes that `id` is the mean of `x` over.
fn mean_of(editor: &Editor, m: &mut Matcher, id: TensorId, x: TensorId) -> Option<usize> {
    let (source, axes) = m.mean(id)?;
    (source == x).then(|| last_axes(axes, editor.shape(x).len()))?
}

/// The same for the variance: the mean of the squared differences.
fn variance_of(editor: &Editor, m: &mut Matcher, id: TensorId, x: TensorId) -> Option<usize> {
    let (squares, axes) = m.mean(id)?;
    let axes = last_axes(axes, editor.shape(x).len())?;
    let node = m.take(squares)?;
    let (source, mean) = match (&node.op, &node.inputs[..]) {
        (Op::Unary(UnaryFn::Square), &[d]) => m.binary(d, BinaryFn::Sub)?,
        (Op::Binary(BinaryFn::Mul), &[d, e]) if d == e => m.binary(d, BinaryFn::Sub)?,
        (Op::Binary(BinaryFn::Pow), &[d, two]) if editor.scalar(two) == Some(2.0) => {
            m.binary(d, BinaryFn::Sub)?
        }
        (Op::Binary(BinaryFn::SquaredDifference), &[a, b]) if a == x => (a, b),
        (Op::Binary(BinaryFn::SquaredDifference), &[a, b]) => (b, a),
        _ => return None,
    };
    (source == x && mean_of(editor, m, mean, x)? == axes).then_some(axes)
}

/// `sqrt(variance + epsilon)`.
fn root_of(editor: &Editor, m: &mut Matcher, id: TensorId) -> Option<(TensorId, f32)> {
    let node = m.take(id)?;
    let sum = match (&node.op, &node.inputs[..]) {
        (Op::Unary(UnaryFn::Sqrt), &[sum]) => sum,
        (Op::Binary(BinaryFn::Pow), &[sum, half]) if editor.scalar(half) == Some(0.5) => sum,
        _ => return None,
    };
    with_epsilon(editor, m, sum)
}

/// `1 / sqrt(variance + epsilon)`.
fn inverse_root_of(editor: &Editor, m: &mut Matcher, id: TensorId) -> Option<(TensorId, f32)> {
    let Node { op, inputs, .. } = m.take(id)?;
    match (op, &inputs[..]) {
        (Op::Unary(UnaryFn::Rsqrt), &[sum]) => with_epsilon(editor, m, sum),
        (Op::Unary(UnaryFn::Reciprocal), &[root]) => root_of(editor, m, root),
        (Op::Binary(BinaryFn::Div), &[one, root]) if editor.scalar(one) == Some(1.0) => {
            root_of(editor, m, root)
        }
        (Op::Binary(BinaryFn::Pow), &[sum, p]) if editor.scalar(p) == Some(-0.5) => {
            with_epsilon(editor, m, sum)
        }
        _ => None,
    }
}

fn with_epsilon(editor: &Editor, m: &mut Matcher, sum: TensorId) -> Option<(TensorId, f32)> {
    let (a, b) = m.binary(sum, BinaryFn::Add)?;
    match (editor.scalar(a), editor.scalar(b)) {
        (None, Some(epsilon)) => Some((a, epsilon)),
        (Some(epsilon), None) => Some((b, epsilon)),
        _ => None,
    }
}

fn last_axes(axes: &[usize], rank: usize) -> Option<usize> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    let first = rank.checked_sub(axes.len())?;
    (!axes.is_empty() && axes.iter().enumerate().all(|(i, &axis)| axis == first + i)).then_some(axes.len())
}
