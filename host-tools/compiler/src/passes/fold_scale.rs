//! Multiplication by constants, per channel or by one number (layer scale): into the weights of the layer before or
//! after, into layer normalisation, or together with another such multiplication.

use super::Changes;
use super::edit::{Editor, Rule, apply};
use super::linear::{Linear, into_layers_after, with_channel_constant};
use crate::graph::{Activation, BinaryFn, Graph, Node, Op, ReduceFn, Tensor, TensorId};

pub fn run(graph: &mut Graph) -> Changes {
    apply(graph, "fold_scale", &RULES)
}

const RULES: [(&str, Rule); 5] = [
    ("into the layer before", into_layer_before),
    ("into layer norm", into_layer_norm),
    ("into the layer after", into_layer_after),
    ("past a mean", past_mean),
    ("two into one", merge),
];

/// Operand and factor per channel of a float multiplication or division by a constant.
fn scaling(editor: &Editor, node: &Node) -> Option<(TensorId, Vec<f64>)> {
    let Op::Binary(function) = node.op else { return None };
    let (x, mut factor, constant_first) = with_channel_constant(editor, node)?;
    match function {
        BinaryFn::Mul => {}
        BinaryFn::Div if !constant_first && factor.iter().all(|&c| c != 0.0) => {
            factor.iter_mut().for_each(|c| *c = 1.0 / *c);
        }
        _ => return None,
    }
    Some((x, factor))
}

fn into_layer_before(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (x, factor) = scaling(editor, &node)?;
    let linear = Linear::making(editor, x).filter(|linear| linear.rows() == factor.len())?;
    linear.scale_rows(editor, &factor, &vec![0.0; factor.len()]);
    let &output = node.outputs.first()?;
    editor.take_over(linear.slot, output);
    editor.update(linear.slot, |linear| linear.activation = node.activation);
    Some(())
}

fn into_layer_norm(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (x, factor) = scaling(editor, &node)?;
    let (norm_slot, norm) = editor.maker(x)?;
    let (Op::LayerNorm { axes: 1, .. }, &[source, gamma, beta]) = (&norm.op, &norm.inputs[..]) else {
        return None;
    };
    if !editor.is_private(x) || !editor.all_float(norm) || node.activation != Activation::None {
        return None;
    }
    let scaled = |values: Vec<f32>| -> Vec<f32> {
        values.iter().zip(&factor).map(|(&v, f)| (f64::from(v) * f) as f32).collect()
    };
    let (new_gamma, new_beta) = (scaled(editor.constant(gamma)?), scaled(editor.constant(beta)?));
    let names = [gamma, beta].map(|id| editor.tensor(id).name.clone());
    let [gamma_name, beta_name] = names;
    let gamma = editor.add_constant(gamma_name, vec![factor.len()], new_gamma);
    let beta = editor.add_constant(beta_name, vec![factor.len()], new_beta);
    let &output = node.outputs.first()?;
    editor.take_over(norm_slot, output);
    editor.update(norm_slot, |norm| norm.inputs = vec![source, gamma, beta]);
    Some(())
}

fn into_layer_after(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?;
    let (x, factor) = scaling(editor, node)?;
    let &output = node.outputs.first().filter(|_| node.activation == Activation::None)?;
    into_layers_after(editor, output, x, &factor, &vec![0.0; factor.len()])
}

/// The mean of a product is the product of the mean: fewer elements, and perhaps a layer behind.
fn past_mean(editor: &mut Editor, slot: usize) -> Option<()> {
    scaling(editor, editor.node(slot)?)?;
    move_past_mean(editor, slot)
}

/// Lets a mean over positions read the first dynamic operand of `slot`, a binary node with a constant per channel,
/// and puts that node behind the mean.
pub(super) fn move_past_mean(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (&[a, b], &[output]) = (&node.inputs[..], &node.outputs[..]) else { return None };
    let (x, c) = if editor.tensor(b).is_constant() { (a, b) } else { (b, a) };
    let &mean_slot = editor.readers(output).first().filter(|_| editor.is_private(output))?;
    let mean = editor.node(mean_slot)?.clone();
    let rank = editor.shape(output).len();
    let over_positions =
        matches!(&mean.op, Op::Reduce { function: ReduceFn::Mean, axes, .. } if !axes.contains(&(rank - 1)));
    let plain = node.activation == Activation::None && mean.activation == Activation::None;
    if !over_positions || !plain || !editor.all_float(&mean) {
        return None;
    }
    let &result = mean.outputs.first()?;
    // The constant must not add axes to the smaller result.
    let length = editor.tensor(c).len();
    let c = editor.reshaped(&node, c, &[length]);
    let reduced = editor.add_tensor(Tensor { data: None, ..editor.tensor(result).clone() });
    editor.update(mean_slot, |mean| (mean.inputs, mean.outputs) = (vec![x], vec![reduced]));
    let inputs = if x == a { vec![reduced, c] } else { vec![c, reduced] };
    editor.update(slot, |node| (node.inputs, node.outputs) = (inputs, vec![result]));
    Some(())
}

/// `(x * a) * b` is `x * (a * b)`.
fn merge(editor: &mut Editor, slot: usize) -> Option<()> {
    let node = editor.node(slot)?.clone();
    let (middle, second) = scaling(editor, &node)?;
    let (_, first_node) = editor.maker(middle)?;
    let (x, first) = scaling(editor, first_node)?;
    if first_node.activation != Activation::None || !editor.is_private(middle) {
        return None;
    }
    let product: Vec<f32> = first.iter().zip(&second).map(|(a, b)| (a * b) as f32).collect();
    let uniform = product.windows(2).all(|pair| pair[0] == pair[1]);
    let (shape, product) = if uniform { (vec![1], vec![product[0]]) } else { (vec![product.len()], product) };
    let factor = editor.add_constant(format!("{}.factor", node.name), shape, product);
    editor.rewrite(slot, Op::Binary(BinaryFn::Mul), vec![x, factor]);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Data, PoolKind, Quant};
    use crate::passes::testing::{Build, check, count};

    #[test]
    fn layer_scale_folds_into_the_layer_before() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let h = b.conv(x, 3, 3, 1, 1);
        let g = b.constant(&[1, 1, 1, 3], 4);
        let h = b.binary(BinaryFn::Mul, g, h);
        let x = b.binary(BinaryFn::Add, x, h);
        let h = b.dense(x, 5, 3);
        let y = b.with_scalar(BinaryFn::Div, h, 4.0);
        let graph = check(b.finish(&[y]), run);
        assert_eq!((graph.nodes.len(), count(&graph, "mul"), count(&graph, "div")), (3, 0, 0));
    }

    #[test]
    fn input_scaling_folds_into_padded_convolutions() {
        for columns in [4, 0] {
            let mut b = Build::new();
            let x = b.input(&[1, 4, 4, 3]);
            let g = b.constant(&[3], 4);
            let x = b.binary(BinaryFn::Mul, x, g);
            let y = b.conv(x, columns, 3, 1, 1);
            assert_eq!(check(b.finish(&[y]), run).nodes.len(), 1);
        }
    }

    #[test]
    fn normalisation_before_a_mean_folds_into_the_classifier() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let x = b.unary(crate::graph::UnaryFn::Tanh, x);
        let g = b.constant(&[1, 1, 1, 3], 4);
        let x = b.binary(BinaryFn::Mul, x, g);
        let c = b.constant(&[3], 5);
        let x = b.binary(BinaryFn::Sub, c, x);
        let x = b.reduce(ReduceFn::Mean, x, &[1, 2], false);
        let y = b.dense(x, 2, 1);
        let graph = check(b.finish(&[y]), |graph| {
            for _ in 0..3 {
                crate::passes::fuse_bias::run(graph);
                run(graph);
            }
            run(graph)
        });
        let names: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
        assert_eq!(names, ["tanh", "mean", "dense"]);
    }

    #[test]
    fn mixer_scale_stays() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let p = b.pool(x, PoolKind::Average { include_padding: false }, 3, 1, 1);
        let d = b.binary(BinaryFn::Sub, p, x);
        let g = b.constant(&[3], 4);
        let d = b.binary(BinaryFn::Mul, d, g);
        let y = b.binary(BinaryFn::Add, x, d);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 4);
    }

    #[test]
    fn spatially_varying_factors_and_second_readers_stay() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let h = b.conv(x, 3, 3, 1, 1);
        let g = b.constant(&[1, 4, 1, 3], 4);
        let y = b.binary(BinaryFn::Mul, h, g);
        let i = b.conv(x, 3, 3, 1, 1);
        let z = b.with_scalar(BinaryFn::Mul, i, 3.0);
        let w = b.binary(BinaryFn::Add, i, z);
        assert_eq!(check(b.finish(&[y, w]), run).nodes.len(), 5);
    }

    #[test]
    fn factors_merge_and_quantized_ones_stay() {
        let mut b = Build::new();
        let x = b.input(&[1, 3]);
        let h = b.with_scalar(BinaryFn::Mul, x, 3.0);
        let g = b.constant(&[3], 1);
        let y = b.binary(BinaryFn::Mul, h, g);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 1);

        let mut b = Build::new();
        let x = b.quantized_input(&[1, 3], 0.1, 0);
        let codes = Tensor::constant("w", vec![3, 3], Data::I8([1, 2, 3, 4, 5, 6, 7, 8, 9].into()));
        let w = b.graph.add_tensor(codes.with_quant(Quant::per_tensor(0.1, 0)));
        let h = b.quantized(&[1, 3], 0.3, 0);
        b.push(Op::Dense, &[x, w], h);
        let codes = Tensor::constant("g", vec![3], Data::I8([3, 2, 1].into()));
        let g = b.graph.add_tensor(codes.with_quant(Quant::per_tensor(0.1, 0)));
        let y = b.quantized(&[1, 3], 0.3, 0);
        b.push(Op::Binary(BinaryFn::Mul), &[h, g], y);
        let graph = check(b.finish(&[y]), run);
        assert_eq!((graph.nodes.len(), graph.tensor(y).dtype), (2, DType::I8));
    }
}
