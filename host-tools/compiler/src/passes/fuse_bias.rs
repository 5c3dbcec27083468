//! Addition of constants, per channel: into the bias of the layer before or after, into layer normalisation, or
//! together with another such addition.

use super::Changes;
use super::edit::{Editor, Rule, apply};
use super::fold_scale::move_past_mean;
use super::linear::{Linear, into_layers_after, with_channel_constant};
use crate::graph::{Activation, BinaryFn, Graph, Node, Op, TensorId};

pub fn run(graph: &mut Graph) -> Changes {
    apply(graph, "fuse_bias", &RULES)
}

const RULES: [(&str, Rule); 5] = [
    ("into the layer before", into_layer_before),
    ("into layer norm", into_layer_norm),
    ("into the layer after", into_layer_after),
    ("past a mean", past_mean),
    ("two into one", merge),
];

/// Operand, sign and constant per channel: `sign * x + shift`.
fn shifting(editor: &Editor, node: &Node) -> Option<(TensorId, f64, Vec<f64>)> {
    let Op::Binary(function) = node.op else { return None };
    let (x, mut shift, constant_first) = with_channel_constant(editor, node)?;
    let sign = match function {
        BinaryFn::Add => 1.0,
        BinaryFn::Sub if constant_first => -1.0,
        BinaryFn::Sub => {
            shift.iter_mut().for_each(|c| *c = -*c);
            1.0
        }
        _ => return None,
    };
    Some((x, sign, shift))
}

fn into_layer_before(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (x, sign, shift) = shifting(editor, &node)?;
    let linear = Linear::making(editor, x).filter(|linear| linear.rows() == shift.len())?;
    linear.scale_rows(editor, &vec![sign; shift.len()], &shift);
    let &output = node.outputs.first()?;
    editor.take_over(linear.slot, output);
    editor.update(linear.slot, |linear| linear.activation = node.activation);
    Some(())
}

fn into_layer_norm(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (x, sign, shift) = shifting(editor, &node)?;
    let (norm_slot, norm) = editor.maker(x)?;
    let (Op::LayerNorm { axes: 1, .. }, &[_, _, beta]) = (&norm.op, &norm.inputs[..]) else { return None };
    let plain = node.activation == Activation::None && sign == 1.0;
    if !editor.is_private(x) || !editor.all_float(norm) || !plain {
        return None;
    }
    let sum = editor.constant(beta)?.iter().zip(&shift).map(|(&b, s)| (f64::from(b) + s) as f32).collect();
    let name = editor.tensor(beta).name.clone();
    let beta = editor.add_constant(name, vec![shift.len()], sum);
    let &output = node.outputs.first()?;
    editor.take_over(norm_slot, output);
    editor.update(norm_slot, |norm| norm.inputs[2] = beta);
    Some(())
}

fn into_layer_after(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?;
    let (x, sign, shift) = shifting(editor, node)?;
    let &output = node.outputs.first().filter(|_| node.activation == Activation::None)?;
    into_layers_after(editor, output, x, &vec![sign; shift.len()], &shift)
}

/// The mean of a sum with a constant is the sum with the mean.
fn past_mean(editor: &mut Editor, slot: usize) -> Option<()> {
    shifting(editor, editor.node(slot)?)?;
    move_past_mean(editor, slot)
}

/// `(x + a) + b` is `x + (a + b)`.
fn merge(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (middle, sign, second) = shifting(editor, &node)?;
    let (_, first_node) = editor.maker(middle)?;
    let (x, first_sign, first) = shifting(editor, first_node)?;
    let plain = first_node.activation == Activation::None && sign == 1.0 && first_sign == 1.0;
    if !plain || !editor.is_private(middle) {
        return None;
    }
    let sum: Vec<f32> = first.iter().zip(&second).map(|(a, b)| (a + b) as f32).collect();
    let uniform = sum.windows(2).all(|pair| pair[0] == pair[1]);
    let (shape, sum) = if uniform { (vec![1], vec![sum[0]]) } else { (vec![sum.len()], sum) };
    let shift = editor.add_constant(format!("{}.shift", node.name), shape, sum);
    editor.rewrite(slot, Op::Binary(BinaryFn::Add), vec![x, shift]);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::{Build, check};

    #[test]
    fn constants_become_bias() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let c = b.constant(&[1, 1, 3], 1);
        let h = b.conv(x, 3, 3, 1, 1);
        let h = b.binary(BinaryFn::Sub, c, h);
        let h = b.with_scalar(BinaryFn::Add, h, 0.5);
        let d = b.dense(h, 5, 2);
        let c = b.constant(&[5], 2);
        let y = b.binary(BinaryFn::Sub, d, c);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 2);
    }

    #[test]
    fn a_layer_without_bias_gets_one() {
        let mut b = Build::new();
        let x = b.input(&[1, 3]);
        let h = b.dense(x, 4, 2);
        b.graph.nodes[0].inputs.truncate(2);
        let c = b.constant(&[4], 2);
        let y = b.binary(BinaryFn::Add, c, h);
        let graph = check(b.finish(&[y]), run);
        assert_eq!((graph.nodes.len(), graph.nodes[0].inputs.len()), (1, 3));
    }

    #[test]
    fn positions_outputs_and_padding_are_in_the_way() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let s = b.with_scalar(BinaryFn::Add, x, 0.5);
        let h = b.conv(s, 3, 3, 1, 1);
        let position = b.constant(&[4, 4, 3], 2);
        let p = b.binary(BinaryFn::Add, h, position);
        let i = b.conv(p, 2, 1, 1, 1);
        let c = b.constant(&[2], 2);
        let j = b.binary(BinaryFn::Add, i, c);
        assert_eq!(check(b.finish(&[i, j]), run).nodes.len(), 5);
    }
}
