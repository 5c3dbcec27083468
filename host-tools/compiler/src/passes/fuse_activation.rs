//! Clamps (ReLU, ReLU6, clip) into the operator before them.
//!
//! In a quantized network the clamp must keep the codes' meaning: only if it does not requantize. A clamp that the
//! range of the codes makes by itself disappears.

use super::Changes;
use super::edit::Editor;
use crate::graph::{Activation, BinaryFn, DType, Graph, Node, Op, Quant, TensorId, UnaryFn};

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("fuse_activation");
    let mut editor = Editor::new(graph);
    for slot in 0..editor.len() {
        if drop_idle(&mut editor, slot).is_some() {
            changes.count("clamp outside the range of the codes");
        } else if fuse(&mut editor, slot).is_some() {
            changes.count("clamp");
        }
    }
    editor.finish();
    changes
}

fn fuse(editor: &mut Editor, slot: usize) -> Option<()> {
    let (x, output, clamp) = clamp(editor, slot)?;
    let (maker_slot, maker) = editor.maker(x)?;
    let takes_clamp = match maker.op {
        Op::Conv { .. } | Op::Dense | Op::Pool { .. } => true,
        Op::Binary(f) => matches!(f, BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul | BinaryFn::Div),
        _ => false,
    };
    if !takes_clamp || !editor.is_private(x) {
        return None;
    }
    let both = intersection(maker.activation, clamp)?;
    editor.take_over(maker_slot, output);
    editor.update(maker_slot, |node| node.activation = both);
    Some(())
}

/// Operand, result and limits of a clamp that does not change type and quantization.
fn clamp(editor: &Editor, slot: usize) -> Option<(TensorId, TensorId, Activation)> {
    let Node { op: Op::Unary(function), inputs, outputs, activation: Activation::None, .. } =
        editor.node(slot)?
    else {
        return None;
    };
    let (&[x], &[output]) = (&inputs[..], &outputs[..]) else { return None };
    let clamp = match *function {
        UnaryFn::Relu => Activation::Relu,
        UnaryFn::Relu6 => Activation::Relu6,
        UnaryFn::Clip { min, max } if min <= max => Activation::Clip { min, max },
        _ => return None,
    };
    let (from, to) = (editor.tensor(x), editor.tensor(output));
    let uniform = from.quant.as_ref().is_none_or(|quant| quant.uniform().is_some());
    let numbers = from.quant.is_some() || from.dtype.is_float();
    (from.quant == to.quant && from.dtype == to.dtype && uniform && numbers).then_some((x, output, clamp))
}

/// The codes have no numbers outside the limits.
fn drop_idle(editor: &mut Editor, slot: usize) -> Option<()> {
    let (x, output, clamp) = clamp(editor, slot)?;
    let tensor = editor.tensor(x);
    let (low, high) = real_range(tensor.dtype, tensor.quant.as_ref()?)?;
    let (min, max) = clamp.limits();
    (min <= low && high <= max && editor.redirect(output, x)).then_some(())
}

/// The real numbers that the lowest and highest code stand for.
fn real_range(dtype: DType, quant: &Quant) -> Option<(f32, f32)> {
    let (scale, zero) = quant.uniform()?;
    let (low, high) = match dtype {
        DType::I8 => (-128, 127),
        DType::I16 => (-32768, 32767),
        _ => return None,
    };
    Some((scale * (low - zero) as f32, scale * (high - zero) as f32))
}

/// One clamp after another, as one.
pub(super) fn intersection(first: Activation, second: Activation) -> Option<Activation> {
    if first == Activation::None {
        return Some(second);
    }
    let ((a, b), (c, d)) = (first.limits(), second.limits());
    // The second moves what the first left: limits that don't overlap end at the second's nearer one.
    let (low, high) = (a.clamp(c, d), b.clamp(c, d));
    Some(match (low, high) {
        (0.0, f32::INFINITY) => Activation::Relu,
        (0.0, 6.0) => Activation::Relu6,
        (f32::NEG_INFINITY, f32::INFINITY) => Activation::None,
        (min, max) if min <= max => Activation::Clip { min, max },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::PoolKind;
    use crate::passes::testing::{Build, check};

    #[test]
    fn clamps_fuse_into_layers_binaries_and_pools() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let h = b.conv(x, 3, 3, 1, 1);
        let h = b.unary(UnaryFn::Relu6, h);
        let h = b.binary(BinaryFn::Sub, x, h);
        let h = b.unary(UnaryFn::Relu, h);
        let h = b.pool(h, PoolKind::Max, 2, 2, 0);
        let y = b.unary(UnaryFn::Clip { min: 0.5, max: 1.5 }, h);
        let graph = check(b.finish(&[y]), run);
        let clamps: Vec<_> = graph.nodes.iter().map(|node| node.activation).collect();
        let expected = [Activation::Relu6, Activation::Relu, Activation::Clip { min: 0.5, max: 1.5 }];
        assert_eq!(clamps, expected);
    }

    #[test]
    fn clamps_of_clamps_intersect() {
        let clip = |min, max| Activation::Clip { min, max };
        assert_eq!(intersection(Activation::Relu, clip(-1.0, 6.0)), Some(Activation::Relu6));
        assert_eq!(intersection(clip(0.0, 1.0), clip(2.0, 3.0)), Some(clip(2.0, 2.0)));
    }

    #[test]
    fn second_readers_outputs_and_other_operators_keep_the_clamp() {
        let mut b = Build::new();
        let x = b.input(&[1, 4, 4, 3]);
        let h = b.conv(x, 3, 3, 1, 1);
        let r = b.unary(UnaryFn::Relu, h);
        let s = b.softmax(r, 3);
        let y = b.unary(UnaryFn::Relu, s);
        assert_eq!(check(b.finish(&[h, y]), run).nodes.len(), 4);
    }

    #[test]
    fn quantized_clamps_fuse_only_within_one_quantization() {
        for (scale, zero, nodes) in [(0.1, 3, 1), (0.2, 3, 2), (0.1, -128, 2)] {
            let mut b = Build::new();
            let x = b.quantized_input(&[2, 3], 0.1, 3);
            let h = b.quantized(&[2, 3], 0.1, 3);
            b.push(Op::Binary(BinaryFn::Add), &[x, x], h);
            let y = b.quantized(&[2, 3], scale, zero);
            b.push(Op::Unary(UnaryFn::Relu6), &[h], y);
            assert_eq!(check(b.finish(&[y]), run).nodes.len(), nodes);
        }
    }

    #[test]
    fn a_clamp_that_the_codes_make_disappears() {
        for (function, nodes) in [(UnaryFn::Relu, 1), (UnaryFn::Relu6, 2)] {
            let mut b = Build::new();
            let x = b.quantized_input(&[2, 3], 0.1, -128);
            let h = b.quantized(&[2, 3], 0.1, -128);
            b.push(Op::Unary(UnaryFn::Sigmoid), &[x], h);
            let y = b.quantized(&[2, 3], 0.1, -128);
            b.push(Op::Unary(function), &[h], y);
            assert_eq!(check(b.finish(&[y]), run).nodes.len(), nodes);
        }
    }
}
