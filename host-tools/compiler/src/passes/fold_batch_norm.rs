//! Batch normalisation: into the layer before it, or else a multiplication and an addition per channel, which
//! [`super::fold_scale`] may fold into a layer after it.

use super::Changes;
use super::edit::Editor;
use super::linear::Linear;
use crate::graph::{Activation, BinaryFn, Graph, Op};

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("fold_batch_norm");
    let mut editor = Editor::new(graph);
    for slot in 0..editor.len() {
        if let Some(what) = fold(&mut editor, slot) {
            changes.count(what);
        }
    }
    editor.finish();
    changes
}

fn fold(editor: &mut Editor, slot: usize) -> Option<&'static str> {
    let node = editor.node(slot)?.clone();
    let Op::BatchNorm { epsilon } = node.op else { return None };
    let (&[x, gamma, beta, mean, variance], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
        return None;
    };
    if !editor.all_float(&node) || node.activation != Activation::None {
        return None;
    }
    let [gamma, beta, mean, variance] = [gamma, beta, mean, variance].map(|id| editor.constant(id));
    let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
    let &channels = editor.shape(x).last()?;
    if [&gamma, &beta, &mean, &variance].iter().any(|v| v.len() != channels) {
        return None;
    }
    let scale: Vec<f64> = (0..channels)
        .map(|c| f64::from(gamma[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt())
        .collect();
    let shift: Vec<f64> = (0..channels).map(|c| f64::from(beta[c]) - f64::from(mean[c]) * scale[c]).collect();
    if let Some(linear) = Linear::making(editor, x).filter(|linear| linear.rows() == channels) {
        linear.scale_rows(editor, &scale, &shift);
        editor.take_over(linear.slot, output);
        return Some("into the layer before");
    }
    let single = |v: &[f64]| v.iter().map(|&x| x as f32).collect();
    let scale = editor.add_constant(format!("{}.scale", node.name), vec![channels], single(&scale));
    let shift = editor.add_constant(format!("{}.shift", node.name), vec![channels], single(&shift));
    let result = editor.tensor(x).clone();
    let scaled = editor.emit(&node, Op::Binary(BinaryFn::Mul), vec![x, scale], result);
    editor.rewrite(slot, Op::Binary(BinaryFn::Add), vec![scaled, shift]);
    Some("to multiplication and addition")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::{Build, check, check_with, count};

    #[test]
    fn folds_into_convolutions_and_dense_layers() {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 3]);
        let x = b.conv(x, 4, 3, 1, 1);
        let x = b.batch_norm(x, 2);
        let x = b.conv(x, 0, 3, 2, 5);
        let x = b.batch_norm(x, 7);
        let x = b.dense(x, 2, 8);
        let y = b.batch_norm(x, 9);
        let graph = check(b.finish(&[y]), run);
        assert_eq!((count(&graph, "batch_norm"), graph.nodes.len()), (0, 3));
    }

    #[test]
    fn a_second_reader_or_an_output_keeps_the_layer() {
        for reads in [true, false] {
            let mut b = Build::new();
            let x = b.input(&[1, 5, 5, 3]);
            let c = b.conv(x, 4, 3, 1, 1);
            let y = b.batch_norm(c, 2);
            let outputs = if reads { vec![b.binary(BinaryFn::Add, c, y)] } else { vec![c, y] };
            let graph = check(b.finish(&outputs), run);
            assert_eq!((count(&graph, "batch_norm"), count(&graph, "mul")), (0, 1));
        }
    }

    #[test]
    fn before_a_convolution_only_without_padding() {
        for (pad, left) in [(0, 0), (1, 1)] {
            let mut b = Build::new();
            let x = b.input(&[1, 5, 5, 3]);
            let x = b.batch_norm(x, 2);
            let y = b.conv_padded(x, 4, 3, 1, pad, 5);
            let mut graph = b.finish(&[y]);
            check_with(&mut graph, |graph| {
                run(graph);
                for _ in 0..2 {
                    crate::passes::fold_scale::run(graph);
                    crate::passes::fuse_bias::run(graph);
                }
            });
            assert_eq!((count(&graph, "mul"), count(&graph, "add")), (left, left));
        }
    }

    #[test]
    fn a_fused_clamp_is_in_the_way() {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 3]);
        let c = b.conv(x, 4, 3, 1, 1);
        b.graph.nodes[0].activation = Activation::Relu;
        let y = b.batch_norm(c, 2);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 3);
    }
}
