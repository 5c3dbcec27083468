//! Recognition of functions that exporters write out in simpler operators: GELU, swish, sigmoid, hard-sigmoid,
//! hard-swish, softplus, mish, layer normalisation, attention.
//!
//! Constants may stand on either side, products may be associated in any way. A pattern with a second reader
//! somewhere inside is left alone, and so is everything quantized: there each step rounds.

mod activations;
mod attention;
mod layer_norm;
mod matcher;

use super::Changes;
use super::edit::Editor;
use crate::graph::{Graph, Op, TensorId};
use layer_norm::Norm;
use matcher::Matcher;

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("recognise");
    let mut editor = Editor::new(graph);
    for slot in 0..editor.len() {
        if let Some(what) = one(&mut editor, slot) {
            changes.count(what);
        }
    }
    editor.finish();
    changes
}

fn one(editor: &mut Editor, slot: usize) -> Option<&'static str> {
    activation(editor, slot).or_else(|| norm(editor, slot)).or_else(|| attention(editor, slot))
}

fn activation(editor: &mut Editor, slot: usize) -> Option<&'static str> {
    let &root = editor.node(slot)?.outputs.first()?;
    let mut matcher = Matcher::new(editor);
    let (function, x) = activations::recognise(editor, &mut matcher, root)?;
    if !matcher.closed(root) {
        return None;
    }
    let slots = matcher.slots;
    replace(editor, slot, &slots, Op::Unary(function), vec![x]);
    Some(function.name())
}

fn norm(editor: &mut Editor, slot: usize) -> Option<&'static str> {
    let &root = editor.node(slot)?.outputs.first()?;
    let mut matcher = Matcher::new(editor);
    let Norm { x, axes, epsilon, gamma, beta } = layer_norm::recognise(editor, &mut matcher, root)?;
    if !matcher.closed(root) || editor.shape(x) != editor.shape(root) {
        return None;
    }
    let slots = matcher.slots;
    let rank = editor.shape(x).len();
    let shape = editor.shape(x)[rank - axes..].to_vec();
    let length: usize = shape.iter().product();
    let values = |given: Option<TensorId>, default: f32| match given {
        None => Some(vec![default; length]),
        Some(id) => {
            let values = editor.constant(id)?;
            match values[..] {
                [single] => Some(vec![single; length]),
                _ => (editor.tensor(id).shape.ends_with(&shape) && values.len() == length).then_some(values),
            }
        }
    };
    let (gamma, beta) = (values(gamma, 1.0)?, values(beta, 0.0)?);
    let name = editor.node(slot)?.name.clone();
    let gamma = editor.add_constant(format!("{name}.gamma"), shape.clone(), gamma);
    let beta = editor.add_constant(format!("{name}.beta"), shape, beta);
    replace(editor, slot, &slots, Op::LayerNorm { axes, epsilon }, vec![x, gamma, beta]);
    Some("layer_norm")
}

fn attention(editor: &mut Editor, slot: usize) -> Option<&'static str> {
    let &root = editor.node(slot)?.outputs.first()?;
    let mut matcher = Matcher::new(editor);
    let found = attention::recognise(editor, &mut matcher, root)?;
    if !matcher.closed(root) {
        return None;
    }
    let slots = matcher.slots;
    attention::replace(editor, slot, found)?;
    slots.into_iter().filter(|&inner| inner != slot).for_each(|inner| drop(editor.remove(inner)));
    Some("attention")
}

/// Puts one node in the place of a pattern's nodes.
fn replace(editor: &mut Editor, root: usize, slots: &[usize], op: Op, inputs: Vec<TensorId>) {
    editor.rewrite(root, op, inputs);
    for &slot in slots.iter().filter(|&&slot| slot != root) {
        editor.remove(slot);
    }
}

#[cfg(test)]
mod tests;
