//! What sums over whole vectors or pictures: softmax, means, products of two computed matrices.

use mote_runtime::kernels::matmul_s8::MatmulS8;
use mote_runtime::kernels::pack::{Packer, Requant};
use mote_runtime::kernels::reduce_s8::MeanS8;
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::kernels::softmax_s8::SoftmaxS8;

use crate::support::{Input, ONE, Random, Shape};
use crate::{Case, Kind};

/// Vectors that are near each other, far from each other, and of one element.
pub fn softmaxes(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(11);
    let mut cases = Vec::new();
    for (rows, vectors, depth) in [(1, 1, 3), (2, 3, 7), (1, 4, 16), (3, 1, 1), (1, 1, 131), (2, 5, 2)] {
        for (input_scale, beta, apart) in
            [(0.1, 1.0, 128), (2.5, 1.0, 128), (1e-4, 1.0, 128), (0.3, 0.125, 3), (40.0, 4.0, 1)]
        {
            let layer = SoftmaxS8 { depth, input_scale, beta };
            let codes = random.codes(rows * vectors * depth);
            let near: Vec<i8> = codes.iter().map(|&code| (i32::from(code) % apart) as i8).collect();
            let input = Input::s8(rows, &near);
            for input in [input.clone(), input.in_place()] {
                cases.push(Case {
                    name: format!("softmax {rows} x {vectors} x {depth}, scale {input_scale}, {apart} apart"),
                    own: false,
                    kind: Kind::Other,
                    packed: packer.softmax_s8(&layer),
                    portable: layer.pack(),
                    inputs: vec![input],
                    output: Shape::s8(rows, vectors * depth),
                });
            }
        }
    }
    cases
}

/// Factor, zero points of input and output, clamp, rounding.
const STAGES: &[(f64, [i32; 2], [i32; 2], u8)] = &[
    (1.0, [-9, -9], [-128, 127], DOUBLE),
    (1.7, [-128, -128], [-128, 127], SINGLE),
    (0.23, [127, 5], [-20, 90], DOUBLE),
    (1e-6, [0, 127], [-128, 127], SINGLE),
    (19.0, [3, -128], [-128, 127], DOUBLE),
];

/// Over rows and columns.
pub fn means(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(12);
    let mut cases = Vec::new();
    for (height, columns, channels) in [(1, 1, 1), (3, 5, 7), (6, 6, 32), (25, 5, 64), (2, 1, 19), (1, 48, 4)]
    {
        for &(factor, [input_zero_point, zero_point], [min, max], rounding) in STAGES {
            let requant = Requant { factors: vec![factor], zero_point, min, max, rounding };
            let layer = MeanS8 { channels, count: height * columns, input_zero_point, requant };
            let x = random.codes(height * columns * channels);
            cases.push(Case {
                name: format!("mean {height} x {columns} x {channels}, {layer:?}"),
                own: false,
                kind: Kind::Other,
                packed: packer.mean_s8(&layer),
                portable: layer.pack(),
                inputs: vec![Input::s8(height, &x).inner((height, 0, 1, 0))],
                output: Shape::s8(1, channels),
            });
        }
    }
    cases
}

/// Batches of `[m, k] x [k, n]`, each side as it is or transposed.
pub fn matrices(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(13);
    let mut cases = Vec::new();
    for (batch, m, k, n) in [(1, 3, 5, 7), (2, 4, 16, 8), (1, 1, 1, 1), (3, 2, 33, 17), (1, 9, 12, 9)] {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            for &(factor, [zero_a, zero_b], [min, max], rounding) in STAGES {
                let requant = Requant { factors: vec![factor / 900.0], zero_point: 2, min, max, rounding };
                let layer =
                    MatmulS8 { depth: k, columns: n, transpose_a, transpose_b, zero_a, zero_b, requant };
                let matrix = |rows: usize, x: Vec<i8>, window| {
                    Input::s8(batch * rows, &x).outer(batch, ONE).inner(window)
                };
                let (a, b) = (random.codes(batch * m * k), random.codes(batch * k * n));
                let inputs = vec![
                    if transpose_a { matrix(k, a, (k, 0, 1, 0)) } else { matrix(m, a, ONE) },
                    if transpose_b { matrix(n, b, (n, 0, 1, 0)) } else { matrix(k, b, (k, 0, 1, 0)) },
                ];
                cases.push(Case {
                    name: format!("matrices {batch} x {m} x {k} x {n}, {layer:?}"),
                    own: false,
                    kind: Kind::Other,
                    packed: packer.matmul_s8(&layer),
                    portable: layer.pack(),
                    inputs,
                    output: Shape { slices: batch, ..Shape::s8(m, n) },
                });
            }
        }
    }
    cases
}
