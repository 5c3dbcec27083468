//! Products of two operands, and tables.

use mote_runtime::kernels::binary_s8::MulS8;
use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::matmul_s8::MatmulS8;
use mote_runtime::kernels::pack::{Packer, Requant};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};

use crate::support::{Input, ONE, Random, Shape};
use crate::{Case, Kind};

/// Factor, zero points of both operands and of the product, clamp, rounding.
const STAGES: &[(f64, [i32; 3], [i32; 2], u8)] = &[
    (1.0 / 256.0, [-3, -128, -3], [-128, 127], DOUBLE),
    (1.0 / 256.0, [-128, -128, -128], [-128, 127], DOUBLE),
    (1.0 / 256.0, [127, -128, 0], [-128, 127], SINGLE),
    (0.011, [0, 127, 127], [-40, 127], SINGLE),
    (0.0031, [-128, 127, -20], [-20, 90], DOUBLE),
    (0.24, [5, -9, 1], [-128, 127], DOUBLE),
    (1e-9, [5, -9, 1], [-128, 127], SINGLE),
    (3.0, [5, -9, 1], [-128, 127], DOUBLE),
];

/// Rows, elements of a row of each operand; how often each of these is repeated.
const ROWS: &[(usize, [usize; 2], [usize; 2])] = &[
    (3, [64, 64], [1, 1]),
    (2, [7, 7], [1, 1]),
    (1, [1, 1], [1, 1]),
    (2, [45, 45], [1, 1]),
    (2, [96, 24], [1, 1]),
    (1, [9, 63], [1, 1]),
    (2, [26, 13], [1, 1]),
    (1, [30, 1], [1, 1]),
    (1, [24, 3], [1, 8]),
];

/// Where results are rounded once and clamped as the compiler makes it, else as it is.
fn requant(factor: f64, zero_point: i32, [min, max]: [i32; 2], rounding: u8) -> Requant {
    let given = Requant { factors: vec![factor], zero_point, min, max, rounding };
    if rounding == SINGLE && min > -128 { given.steady() } else { given }
}

pub fn products(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(7);
    let mut cases = Vec::new();
    for &(rows, lens, repeat) in ROWS {
        for &(factor, [zero_a, zero_b, zero_point], [min, max], rounding) in STAGES {
            let requant = requant(factor, zero_point, [min, max], rounding);
            let layer = MulS8 { zero_a, zero_b, repeat, requant };
            let row = lens[0].max(lens[1]);
            let inputs = lens.map(|len| Input::s8(rows, &random.codes(rows * len)));
            let mut places = vec![inputs.to_vec()];
            for k in [0, 1].into_iter().filter(|&k| lens[k] == row) {
                let mut place = inputs.to_vec();
                place[k] = place[k].clone().in_place();
                places.push(place);
            }
            for (place, inputs) in places.into_iter().enumerate() {
                cases.push(Case {
                    name: format!("product {rows} x {lens:?}, place {place}, {layer:?}"),
                    own: false,
                    kind: Kind::Other,
                    packed: packer.mul_s8(&layer, [lens[0], lens[1], row]),
                    portable: layer.pack(),
                    inputs,
                    output: Shape::s8(rows, row),
                });
            }
        }
    }
    cases
}

/// Matrices: number of pairs, rows of the product, depth, columns.
const MATRICES: &[[usize; 4]] = &[[1, 3, 32, 49], [2, 5, 7, 3], [3, 1, 49, 20], [1, 4, 1, 1], [2, 2, 16, 33]];

pub fn matrices(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(9);
    let mut cases = Vec::new();
    for &[batch, m, depth, n] in MATRICES {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            for &(factor, [zero_a, zero_b, zero_point], [min, max], rounding) in STAGES {
                let requant = requant(factor / 8.0, zero_point, [min, max], rounding);
                let layer = MatmulS8 { depth, columns: n, transpose_a, transpose_b, zero_a, zero_b, requant };
                let mut matrix = |rows: usize, row: usize, all: bool| {
                    let input = Input::s8(batch * rows, &random.codes(batch * rows * row));
                    let input = input.outer(batch, ONE);
                    if all { input.inner((rows, 0, 1, 0)) } else { input }
                };
                let a = if transpose_a { matrix(depth, m, true) } else { matrix(m, depth, false) };
                let b = if transpose_b { matrix(n, depth, true) } else { matrix(depth, n, true) };
                cases.push(Case {
                    name: format!("matrices {batch} x {m} x {n}, {layer:?}"),
                    own: false,
                    kind: Kind::Other,
                    packed: packer.matmul_s8(&layer),
                    portable: layer.pack(),
                    inputs: vec![a, b],
                    output: Shape { slices: batch, ..Shape::s8(m, n) },
                });
            }
        }
    }
    cases
}

pub fn tables(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(8);
    let mut cases = Vec::new();
    for (rows, row) in [(1, 256), (3, 7), (2, 1), (4, 18), (2, 131)] {
        let table: [i8; 256] = random.codes(256).try_into().expect("256 codes");
        let layer = LutS8 { table: &table };
        let input = Input::s8(rows, &random.codes(rows * row));
        for input in [input.clone(), input.in_place()] {
            cases.push(Case {
                name: format!("table {rows} x {row}, in place: {}", input.in_place),
                own: false,
                kind: Kind::Other,
                packed: packer.lut_s8(&layer),
                portable: layer.pack(),
                inputs: vec![input],
                output: Shape::s8(rows, row),
            });
        }
    }
    cases
}
