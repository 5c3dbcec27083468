//! Forms of clamps and of rectifiers.

use super::{float_binary, to_unary};
use crate::graph::{Activation, BinaryFn, Node, Op, UnaryFn};
use crate::passes::edit::Editor;
use crate::passes::fuse_activation::intersection;

/// `max(x, c)`, `min(x, c)`.
pub fn from_binary(editor: &mut Editor, slot: usize) -> Option<()> {
    let (function, node) = float_binary(editor, slot)?;
    let limit = editor.scalar(node.inputs[1])?;
    let function = match function {
        BinaryFn::Max => UnaryFn::Clip { min: limit, max: f32::INFINITY },
        BinaryFn::Min => UnaryFn::Clip { min: f32::NEG_INFINITY, max: limit },
        _ => return None,
    };
    to_unary(editor, slot, &node, function)
}

/// Clips with the limits of ReLU and ReLU6 by these names, and one clamp for two.
pub fn simplify(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?;
    let &x = node.inputs.first()?;
    let own = as_activation(editor, node)?;
    let inner = editor.maker(x).and_then(|(_, inner)| {
        let activation = as_activation(editor, inner)?;
        editor.is_private(x).then_some((activation, *inner.inputs.first()?))
    });
    let (clamp, x) = match inner {
        Some((first, source)) => (intersection(first, own)?, source),
        None => (intersection(Activation::Clip { min: f32::NEG_INFINITY, max: f32::INFINITY }, own)?, x),
    };
    let function = match clamp {
        Activation::None => UnaryFn::Clip { min: f32::NEG_INFINITY, max: f32::INFINITY },
        Activation::Relu => UnaryFn::Relu,
        Activation::Relu6 => UnaryFn::Relu6,
        Activation::Clip { min, max } => UnaryFn::Clip { min, max },
    };
    if node.op == Op::Unary(function) && node.inputs == [x] {
        return None;
    }
    editor.rewrite(slot, Op::Unary(function), vec![x]);
    Some(())
}

fn as_activation(editor: &Editor, node: &Node) -> Option<Activation> {
    let float = editor.all_float(node) && node.activation == Activation::None;
    match node.op {
        Op::Unary(UnaryFn::Relu) if float => Some(Activation::Relu),
        Op::Unary(UnaryFn::Relu6) if float => Some(Activation::Relu6),
        Op::Unary(UnaryFn::Clip { min, max }) if float && min <= max => Some(Activation::Clip { min, max }),
        _ => None,
    }
}

/// One slope for all.
pub fn prelu(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    if node.op != Op::Prelu || !editor.all_float(&node) || node.inputs.len() != 2 {
        return None;
    }
    let slopes = editor.constant(node.inputs[1])?;
    let &slope = slopes.first()?;
    slopes.iter().all(|&s| s == slope).then_some(())?;
    to_unary(editor, slot, &node, UnaryFn::LeakyRelu { slope })
}
