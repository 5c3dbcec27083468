//! Normalisation of vectors.

use mote_runtime::kernels::layer_norm_s8::LayerNormS8;
use mote_runtime::kernels::pack::Packer;

use crate::support::{Input, Random, Shape};
use crate::{Case, Kind};

/// Rows, vectors in a row, elements of a vector.
const SHAPES: &[(usize, usize, usize)] =
    &[(2, 3, 64), (1, 16, 12), (3, 1, 7), (1, 2, 1), (1, 1, 192), (2, 5, 4)];

/// See [`STAGES`].
type Stage = (f64, f64, i64, i32, [i32; 2], i32);

/// Scales of input and output, size of gamma, zero point, clamp, how far apart the codes are.
const STAGES: &[Stage] = &[
    (0.02, 0.03, 100, 3, [-128, 127], 128),
    (0.3, 0.011, 300, -128, [-128, 127], 2),
    (0.001, 0.1, 100, 127, [-100, 127], 1),
    (0.02, 0.002, 900, 0, [-30, 90], 128),
    (0.05, 0.03, 0, -7, [-128, 127], 40),
];

pub fn layer_norms(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(10);
    let mut cases = Vec::new();
    for &(rows, vectors, depth) in SHAPES {
        for &(input_scale, output_scale, size, zero_point, [min, max], apart) in STAGES {
            let mut numbers = |size: i64| -> Vec<f32> {
                (0..depth).map(|_| random.int(-size, size) as f32 / 100.0).collect()
            };
            let (gamma, beta) = (numbers(size), numbers(100));
            let (gamma, beta) = (&gamma[..], &beta[..]);
            let epsilon = 1e-5;
            let layer = LayerNormS8 { gamma, beta, epsilon, input_scale, output_scale, zero_point, min, max };
            let codes: Vec<i8> = random.codes(rows * vectors * depth);
            let near: Vec<i8> =
                codes.iter().map(|&code| (i32::from(code) % apart + 127 - apart.min(127)) as i8).collect();
            let input = Input::s8(rows, &near);
            for input in [input.clone(), input.in_place()] {
                cases.push(Case {
                    name: format!(
                        "layer norm {rows} x {vectors} x {depth}, scale {input_scale}, {apart} apart"
                    ),
                    own: false,
                    kind: Kind::Other,
                    packed: packer.layer_norm_s8(&layer),
                    portable: layer.pack(),
                    inputs: vec![input],
                    output: Shape::s8(rows, vectors * depth),
                });
            }
        }
    }
    cases
}
