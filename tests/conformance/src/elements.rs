//! Layers without windows.

use mote_runtime::kernels::binary_s8::{Affine, SumS8};
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Packer;
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::kernels::running_sum::RunningSum;
use mote_runtime::plan::DType;

use crate::support::{Input, Random, Shape};
use crate::{Case, Kind, bias, requants};

/// Inputs, outputs, rows in which the inputs come.
const FULLY_CONNECTED: &[(usize, usize, usize)] = &[
    (128, 128, 1),
    (64, 12, 1),
    (256, 2, 1),
    (9, 5, 1),
    (3, 1, 1),
    (31, 8, 1),
    (18, 3, 1),
    (640, 8, 4),
    (24, 6, 6),
];

pub fn fully_connected(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(3);
    let mut cases = Vec::new();
    for &(inputs, outputs, rows) in FULLY_CONNECTED {
        for (i, (requant, input_zero_point)) in requants(&mut random, outputs, inputs).into_iter().enumerate()
        {
            // In turns of eight bits and of seven, for which kernels have other loops.
            let codes = random.codes(inputs * outputs).into_iter();
            let weights: Vec<i8> = codes.map(|w| if i % 2 == 0 { w.max(-127) } else { w / 2 }).collect();
            let (weights, bias) = (&weights[..], &bias(&mut random, outputs)[..]);
            let layer = FullyConnectedS8 { weights, bias, inputs, outputs, input_zero_point, requant };
            cases.push(Case {
                name: format!("fully connected {inputs} {outputs} in {rows} rows, {:?}", layer.requant),
                own: layer.requant.factors.iter().all(|&factor| factor < 0.25),
                kind: Kind::Other,
                packed: packer.fully_connected_s8(&layer),
                portable: layer.pack(),
                inputs: vec![Input::s8(rows, &random.codes(inputs)).inner((rows, 0, 1, 0))],
                output: Shape::s8(1, outputs),
            });
        }
    }
    cases
}

/// Rows, columns and channels.
const RUNNING_SUMS: &[(usize, usize, usize)] =
    &[(25, 5, 64), (3, 3, 256), (1, 1, 4), (2, 7, 12), (3, 2, 3), (8, 1, 5)];

pub fn running_sums(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(5);
    let case = |&(rows, columns, channels): &(usize, usize, usize)| {
        let layer = RunningSum { channels };
        Case {
            name: format!("running sum {rows} x {columns} x {channels}"),
            own: false,
            kind: Kind::Other,
            packed: packer.running_sum_s8(&layer),
            portable: layer.pack_s8(),
            inputs: vec![Input::s8(rows, &random.codes(rows * columns * channels)).inner((rows, 0, 1, 0))],
            output: Shape { dtype: DType::I32, ..Shape::s8(1, channels) },
        }
    };
    RUNNING_SUMS.iter().map(case).collect()
}

/// Scales of the operands and of the sum.
const SCALES: &[(f64, f64, f64)] =
    &[(0.02, 0.02, 0.03), (0.02, 0.007, 0.021), (0.0011, 0.09, 0.1), (0.5, 0.26, 0.2), (1e-6, 0.3, 0.3)];

/// Zero points, rounding, clamp.
const STAGES: &[(i32, i32, i32, u8, i32, i32)] = &[
    (-128, -128, -128, DOUBLE, -128, 127),
    (4, -17, 9, DOUBLE, -128, 127),
    (127, -128, 0, SINGLE, -128, 127),
    (-5, 127, -30, DOUBLE, -30, 100),
    (0, 0, 0, SINGLE, -40, 40),
];

pub fn sums(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(4);
    let mut cases = Vec::new();
    for (rows, row) in [(1, 256), (3, 7), (2, 1), (4, 18)] {
        for &(scale_a, scale_b, scale) in SCALES {
            for &(zero_a, zero_b, zero_point, rounding, min, max) in STAGES {
                let affine = |scale, zero_point| Affine { scale, zero_point };
                let (a, b) = (affine(scale_a, zero_a), affine(scale_b, zero_b));
                let layer =
                    SumS8 { a, b, output: affine(scale, zero_point), repeat: [1, 1], min, max, rounding };
                let [a, b] = [0, 1].map(|_| Input::s8(rows, &random.codes(rows * row)));
                let places = [
                    [a.clone(), b.clone()],
                    [a.clone().in_place(), b.clone()],
                    [a.clone(), b.clone().in_place()],
                ];
                for (place, inputs) in places.into_iter().enumerate() {
                    let functions = [
                        ("sum", true, packer.add_s8(&layer, true), layer.pack_add()),
                        ("difference", false, packer.sub_s8(&layer, true), layer.pack_sub()),
                    ];
                    cases.extend(functions.map(|(function, own, packed, portable)| Case {
                        name: format!("{function} {rows} x {row}, place {place}, {layer:?}"),
                        own,
                        kind: Kind::Other,
                        packed,
                        portable,
                        inputs: inputs.to_vec(),
                        output: Shape::s8(rows, row),
                    }));
                }
            }
        }
    }
    cases
}
