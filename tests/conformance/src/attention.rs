//! Attention.

use mote_runtime::kernels::attention::AttentionShape;
use mote_runtime::kernels::attention_s8::AttentionS8;
use mote_runtime::kernels::pack::{Packer, Requant};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};

use crate::support::{Input, Random, Shape};
use crate::{Case, Kind};

/// See [`SHAPES`].
type Given = (u32, (u32, u32), (u32, u32), (u32, u32), bool);

/// Heads; vectors in a row of keys, and such rows; queries in a row, and such rows; depth of a query's and of a value's
/// head; whether queries, keys and values are pieces of one vector.
const SHAPES: &[Given] = &[
    (2, (16, 1), (4, 4), (8, 16), false),
    (8, (4, 4), (4, 4), (16, 64), true),
    (1, (1, 9), (1, 1), (12, 12), false),
    (3, (5, 1), (5, 1), (20, 4), true),
    (2, (7, 3), (2, 2), (5, 9), false),
    (4, (1, 1), (3, 1), (32, 36), false),
    (1, (30, 10), (1, 2), (16, 16), true),
];

/// See [`STAGES`].
type Stage = (f64, [i32; 3], [i32; 2], u8, f64);

/// Unit of the scores, zero points of queries, of values and of the output, clamp, rounding, factor of the output.
const STAGES: &[Stage] = &[
    (0.002, [-3, 9, 4], [-128, 127], DOUBLE, 1.3),
    (0.0001, [-128, 127, -128], [-128, 127], SINGLE, 0.4),
    (0.05, [127, -128, 127], [-100, 127], DOUBLE, 1.0),
    (0.0005, [0, 0, 0], [-30, 90], SINGLE, 3.0),
];

pub fn attention(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(9);
    let mut cases = Vec::new();
    for &(heads, (in_row, rows), (queries, query_rows), (depth, value_depth), packed) in SHAPES {
        for (stage, &(unit, [zero_query, zero_value, zero_point], [min, max], rounding, factor)) in
            STAGES.iter().enumerate()
        {
            let (query, value) = (heads * depth, heads * value_depth);
            let length = if packed { 2 * query + value } else { 0 };
            let of = |own: u32, offset: u32| if packed { (length, offset) } else { (own + 3, 2) };
            let ((query_length, query_offset), (key_length, key_offset), (value_length, value_offset)) =
                (of(query, 0), of(query, query), of(value, 2 * query));
            let shape = AttentionShape {
                heads,
                keys: in_row * rows,
                query_length,
                query_offset,
                query_stride: depth,
                key_length,
                key_offset,
                key_stride: depth,
                value_length,
                value_offset,
                value_stride: value_depth,
                depth,
                value_depth,
            };
            let scores = heads * queries * query_rows * in_row * rows;
            let bias: Vec<f32> = match stage % 2 {
                0 => Vec::new(),
                _ => (0..scores).map(|_| random.int(-300, 300) as f32 / 100.0).collect(),
            };
            let requant = Requant { factors: vec![factor], zero_point, min, max, rounding };
            let layer = AttentionS8 { shape, unit, zero_query, zero_value, bias: &bias, requant };
            let mut input = |rows: u32, vectors: u32, length: u32| {
                Input::s8(rows as usize, &random.codes((rows * vectors * length) as usize))
            };
            let all = |input: Input| {
                let rows = input.rows;
                input.inner((rows, 0, 1, 0))
            };
            let mut inputs = vec![
                input(query_rows, queries, query_length),
                all(input(rows, in_row, key_length)),
                all(input(rows, in_row, value_length)),
            ];
            let mut output = Shape::s8(query_rows as usize, (queries * value) as usize);
            if stage == 3 {
                // As in a region over rows: each row of queries a slice, all of which meet the same keys and values.
                let axes = [(query_rows as usize, (1, 1, 1, 0)), (1, (1, 0, 1, 0)), (1, (1, 0, 1, 0))];
                inputs =
                    inputs.into_iter().zip(axes).map(|(input, (n, axis))| input.outer(n, axis)).collect();
                (output.slices, output.rows) = (query_rows as usize, 1);
            }
            cases.push(Case {
                name: format!("attention {shape:?}, stage {stage}"),
                own: false,
                kind: Kind::Other,
                packed: packer.attention_s8(&layer),
                portable: layer.pack(),
                inputs,
                output,
            });
        }
    }
    cases
}
