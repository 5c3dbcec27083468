//! Padding by reflection.

use super::built::{graph, refusals};
use super::writer::Writer;
use crate::graph::Data;
use crate::graph::eval::evaluate;
use tract_tflite::tflite::BuiltinOperator as B;

#[test]
fn reflection_becomes_gathers() {
    let mut w = Writer::default();
    let (x, y) = (w.float("x", &[1, 4, 3]), w.float("y", &[1, 7, 5]));
    let (z, pads) = (w.float("z", &[1, 10, 7]), w.ints("pads", &[0, 0, 1, 2, 1, 1]));
    // Of one list of pads, and yet of other lengths.
    w.node(B::MIRROR_PAD, &[x, pads], &[y], None);
    w.node(B::MIRROR_PAD, &[y, pads], &[z], None);
    (w.inputs, w.outputs) = (vec![x], vec![y, z]);
    let g = graph(&w);
    assert_eq!(g.nodes.iter().map(|node| node.op.name()).collect::<Vec<_>>(), ["gather"; 4]);
    let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let y = evaluate(&g, &[Data::F32(x.into())]).unwrap();
    let (y, z) = (y[0].to_f32(), y[1].to_f32());
    assert_eq!(y[..10], [4.0, 3.0, 4.0, 5.0, 4.0, 1.0, 0.0, 1.0, 2.0, 1.0]);
    assert_eq!(y[30..], [4.0, 3.0, 4.0, 5.0, 4.0], "row 6 is row 1 of x, mirrored");
    assert_eq!(z[..7], [0.0, 1.0, 0.0, 1.0, 2.0, 1.0, 2.0], "row 1 of y, mirrored");
    let mut short = Writer::default();
    let (x, y, pads) =
        (short.float("x", &[1, 2]), short.float("y", &[1, 4]), short.ints("pads", &[0, 0, 2, 0]));
    short.node(B::MIRROR_PAD, &[x, pads], &[y], None);
    (short.inputs, short.outputs) = (vec![x], vec![y]);
    assert!(refusals(&short)[0].reason.contains("no mirror"));
}
