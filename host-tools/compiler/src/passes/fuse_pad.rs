//! Explicit padding into the window operator after it, where the operator's own padding means the same.

use super::Changes;
use super::edit::Editor;
use crate::graph::{Activation, Graph, Node, Op, PoolKind, Spatial, TensorId, UnaryFn};

pub fn run(graph: &mut Graph) -> Changes {
    let mut changes = Changes::new("fuse_pad");
    let mut editor = Editor::new(graph);
    for slot in 0..editor.len() {
        if let Some(what) = fuse(&mut editor, slot) {
            changes.count(what);
        }
    }
    editor.finish();
    changes
}

fn fuse(editor: &mut Editor, slot: usize) -> Option<&'static str> {
    let node = editor.node(slot)?;
    let &padded = node.inputs.first()?;
    let (_, Node { op: Op::Pad { pads, value }, inputs, .. }) = editor.maker(padded)? else { return None };
    let &x = inputs.first()?;
    // Both must hold the same numbers in the same codes; the pad itself may have other readers.
    if editor.tensor(x).quant != editor.tensor(padded).quant || node.inputs[1..].contains(&padded) {
        return None;
    }
    let added = window_pads(pads)?;
    let zero = *value == 0.0;
    let (op, what) = match &node.op {
        Op::Conv { spatial, groups } if zero => {
            (Op::Conv { spatial: enlarged(spatial, added), groups: *groups }, "into a convolution")
        }
        Op::Pool { kind: PoolKind::Average { include_padding }, spatial } if zero => {
            // Explicit zeros count in the divisor; padding that does not count can't be mixed with them.
            if !include_padding && spatial.pad != [(0, 0); 3] {
                return None;
            }
            let kind = PoolKind::Average { include_padding: true };
            (Op::Pool { kind, spatial: enlarged(spatial, added) }, "into an average pool")
        }
        Op::Pool { kind: PoolKind::Max, spatial } => {
            let spatial = enlarged(spatial, added);
            let lowest = *value == f32::NEG_INFINITY || *value <= f32::MIN;
            // With its own padding, a window must never see padding alone.
            if !every_window_sees_data(&spatial) || !(lowest || zero && never_negative(editor, x)) {
                return None;
            }
            (Op::Pool { kind: PoolKind::Max, spatial }, "into a max pool")
        }
        _ => return None,
    };
    let mut inputs = node.inputs.clone();
    inputs[0] = x;
    editor.rewrite(slot, op, inputs);
    Some(what)
}

/// Padding of time, rows and columns, if batch and channels have none.
fn window_pads(pads: &[(usize, usize)]) -> Option<[(usize, usize); 3]> {
    let none = (0, 0);
    match *pads {
        [(0, 0), h, w, (0, 0)] => Some([none, h, w]),
        [(0, 0), t, h, w, (0, 0)] => Some([t, h, w]),
        _ => None,
    }
}

fn enlarged(spatial: &Spatial, added: [(usize, usize); 3]) -> Spatial {
    let mut out = spatial.clone();
    for (pad, (before, after)) in out.pad.iter_mut().zip(added) {
        *pad = (pad.0 + before, pad.1 + after);
    }
    out
}

fn every_window_sees_data(spatial: &Spatial) -> bool {
    (0..3).all(|axis| {
        let (before, after) = spatial.pad[axis];
        spatial.dilation[axis] == 1 && before < spatial.size[axis] && after < spatial.size[axis]
    })
}

/// Whether the numbers in `id` can't be negative, going by what computes them or by their codes.
fn never_negative(editor: &Editor, id: TensorId) -> bool {
    let tensor = editor.tensor(id);
    if let Some((_, zero)) = tensor.quant.as_ref().and_then(|quant| quant.uniform()) {
        return tensor.dtype == crate::graph::DType::I8 && zero == -128;
    }
    let Some((_, node)) = editor.maker(id) else { return false };
    if node.activation != Activation::None {
        return node.activation.limits().0 >= 0.0;
    }
    match &node.op {
        Op::Unary(UnaryFn::Relu | UnaryFn::Relu6 | UnaryFn::Sigmoid | UnaryFn::Square | UnaryFn::Abs) => true,
        Op::Unary(UnaryFn::Clip { min, .. }) => *min >= 0.0,
        Op::Softmax { .. } => true,
        Op::Reshape | Op::Pool { .. } | Op::Slice { .. } | Op::Transpose { .. } | Op::Concat { .. } => {
            node.inputs.iter().all(|&x| never_negative(editor, x))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::{Build, check};

    const ASYMMETRIC: [(usize, usize); 4] = [(0, 0), (0, 1), (1, 0), (0, 0)];

    #[test]
    fn zeros_before_a_convolution() {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 3]);
        let p = b.pad(x, &ASYMMETRIC, 0.0);
        let y = b.conv(p, 2, 3, 2, 1);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 1);
    }

    #[test]
    fn average_pools_count_explicit_zeros() {
        for (include_padding, own, nodes) in [(true, 1, 1), (false, 0, 1), (false, 1, 2)] {
            let mut b = Build::new();
            let x = b.input(&[1, 5, 5, 3]);
            let p = b.pad(x, &ASYMMETRIC, 0.0);
            let y = b.pool(p, PoolKind::Average { include_padding }, 3, 1, own);
            assert_eq!(check(b.finish(&[y]), run).nodes.len(), nodes);
        }
    }

    #[test]
    fn max_pools_take_zeros_only_behind_a_clamp() {
        for (relu, value, nodes) in
            [(true, 0.0, 2), (false, 0.0, 2), (false, f32::NEG_INFINITY, 1), (true, 1.0, 3)]
        {
            let mut b = Build::new();
            let mut x = b.input(&[1, 5, 5, 3]);
            if relu {
                x = b.unary(UnaryFn::Relu, x);
            }
            let p = b.pad(x, &ASYMMETRIC, value);
            let y = b.pool(p, PoolKind::Max, 3, 2, 0);
            assert_eq!(check(b.finish(&[y]), run).nodes.len(), nodes);
        }
    }

    #[test]
    fn other_values_channels_and_codes_stay() {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 5, 3]);
        let p = b.pad(x, &ASYMMETRIC, 1.0);
        let p = b.conv(p, 2, 3, 2, 1);
        let p = b.pad(p, &[(0, 0), (0, 0), (0, 0), (0, 1)], 0.0);
        let y = b.conv(p, 2, 3, 2, 1);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 4);

        let mut b = Build::new();
        let x = b.quantized_input(&[1, 5, 5, 1], 0.1, 3);
        let p = b.quantized(&[1, 6, 6, 1], 0.2, 3);
        b.push(Op::Pad { pads: ASYMMETRIC.to_vec(), value: 0.0 }, &[x], p);
        let y = b.quantized(&[1, 3, 3, 1], 0.2, 3);
        let spatial = Spatial::over_rows_and_columns([2, 2], [2, 2], [1, 1], [(0, 0), (0, 0)]);
        b.push(Op::Pool { kind: PoolKind::Average { include_padding: true }, spatial }, &[p], y);
        assert_eq!(check(b.finish(&[y]), run).nodes.len(), 2);
    }
}
