//! Float layers. Numbers are between -1 and 1, so a sum of `n` products differs by less than `n * 2^-22` in any order.

use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::depthwise_f32::DepthwiseF32;
use mote_runtime::kernels::fully_connected_f32::FullyConnectedF32;
use mote_runtime::kernels::pack::Packer;
use mote_runtime::kernels::sparse::{Block, LEAST};
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::unary_f32::{Function, UnaryF32};
use mote_runtime::plan::DType;

use crate::support::{Input, Random, Shape};
use crate::windows::{CONVOLUTIONS, Window};
use crate::{Case, Kind};

const LIMITS: &[(f32, f32)] = &[(f32::NEG_INFINITY, f32::INFINITY), (0.0, 6.0), (-0.25, 0.5)];

pub fn convolutions(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(11);
    let mut cases = Vec::new();
    for w in CONVOLUTIONS {
        for (&(min, max), half) in LIMITS.iter().flat_map(|limits| [(limits, false), (limits, true)]) {
            let layer = ConvF32 {
                weights: &reals(&mut random, w.kernel.0 * w.kernel.1 * w.inputs * w.outputs),
                half,
                bias: &reals(&mut random, w.outputs),
                in_channels: w.inputs,
                out_channels: w.outputs,
                kernel_rows: w.kernel.0,
                kernel_width: w.kernel.1,
                stride: w.stride,
                dilation: w.dilation,
                pad_left: w.pad.1,
                groups: 1,
                min,
                max,
            };
            let x = reals(&mut random, w.height * w.width * w.inputs);
            cases.push(Case {
                name: format!("float convolution {w:?} {min} {max}, half precision: {half}"),
                // Not all targets take weights in half precision.
                own: !half,
                kind: Kind::Other,
                packed: packer.conv_f32(&layer),
                portable: layer.pack(),
                inputs: vec![input(w.height, &x).inner((w.kernel.0, w.stride, w.dilation, w.pad.0))],
                output: output(w.rows(), w.columns() * w.outputs),
            });
        }
    }
    cases
}

/// 1x1 convolutions with few weights other than zero.
const SPARSE: &[(Window, Block, u64)] = &[
    (Window::new((1, 100), (32, 40), (1, 1)), Block::of(1, 1), 90),
    (Window::new((2, 17), (33, 21), (1, 1)), Block::of(1, 1), 80),
    (Window::new((3, 9), (7, 5), (1, 1)).stride(2), Block::of(1, 1), 50),
    (Window::new((1, 49), (301, 6), (1, 1)), Block::of(1, 1), 99),
    (Window::new((1, 1), (40, 9), (1, 1)), Block::of(1, 1), 70),
    (Window::new((1, 19), (20, 8), (1, 1)), Block::of(4, 1), 80),
    (Window::new((1, 19), (20, 8), (1, 1)), Block::of(1, 2), 80),
];

/// `spmm_f32`, by what the dense kernel gives for the same weights.
pub fn sparse(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(15);
    let mut cases = Vec::new();
    for (w, block, zeros) in SPARSE {
        for (strip, &(min, max)) in [LEAST, packer.strip_f32(*block)].into_iter().zip(LIMITS.iter().cycle()) {
            let mut weights = reals(&mut random, w.inputs * w.outputs);
            weights.iter_mut().filter(|_| random.next() % 100 < *zeros).for_each(|weight| *weight = 0.0);
            // A channel without weights.
            weights.iter_mut().take(w.inputs).for_each(|weight| *weight = 0.0);
            let bias = &reals(&mut random, w.outputs)[..];
            let (weights, half, stride, out_channels) = (&weights[..], false, w.stride, w.outputs);
            let layer = SpmmF32 { weights, half, bias, out_channels, stride, min, max };
            let dense = ConvF32 {
                weights,
                half,
                bias,
                in_channels: w.inputs,
                out_channels,
                kernel_rows: 1,
                kernel_width: 1,
                stride,
                dilation: 1,
                pad_left: 0,
                groups: 1,
                min,
                max,
            };
            let x = reals(&mut random, w.height * w.width * w.inputs);
            cases.push(Case {
                name: format!("float sparse {block:?} {w:?} {strip} {min} {max}"),
                own: true,
                kind: Kind::Sparse { block: *block, strip, outputs: w.outputs, is_small: false },
                packed: packer.spmm_f32(&layer, *block, strip),
                portable: dense.pack(),
                inputs: vec![input(w.height, &x).inner((1, w.stride, 1, 0))],
                output: output(w.rows(), w.columns() * w.outputs),
            });
        }
    }
    cases
}

const DEPTHWISE: &[Window] = &[
    depthwise((6, 9), 8, (3, 3)).pad(1, 1, 1, 1),
    depthwise((7, 12), 20, (3, 3)).stride(2).pad(0, 0, 1, 1),
    depthwise((7, 16), 12, (5, 5)).pad(2, 2, 2, 2),
    depthwise((9, 15), 4, (5, 5)).stride(2).pad(1, 2, 2, 2),
    depthwise((3, 3), 16, (3, 3)).pad(1, 1, 1, 1),
    depthwise((5, 11), 8, (3, 3)).dilation(2).pad(2, 2, 2, 2),
    depthwise((1, 9), 24, (1, 4)).pad(0, 3, 0, 0),
    depthwise((4, 9), 7, (3, 3)).pad(1, 1, 1, 1),
];

const fn depthwise(size: (usize, usize), channels: usize, kernel: (usize, usize)) -> Window {
    Window::new(size, (channels, channels), kernel)
}

pub fn depthwise_layers(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(13);
    let mut cases = Vec::new();
    for w in DEPTHWISE {
        for (&(min, max), half) in LIMITS.iter().flat_map(|limits| [(limits, false), (limits, true)]) {
            let layer = DepthwiseF32 {
                weights: &reals(&mut random, w.kernel.0 * w.kernel.1 * w.inputs),
                half,
                bias: &reals(&mut random, w.inputs),
                in_channels: w.inputs,
                multiplier: 1,
                kernel_rows: w.kernel.0,
                kernel_width: w.kernel.1,
                stride: w.stride,
                dilation: w.dilation,
                pad_left: w.pad.1,
                min,
                max,
            };
            let x = reals(&mut random, w.height * w.width * w.inputs);
            cases.push(Case {
                name: format!("float depthwise {w:?} {min} {max}, half precision: {half}"),
                own: false,
                kind: Kind::Depthwise(w.inputs),
                packed: packer.depthwise_f32(&layer),
                portable: layer.pack(),
                inputs: vec![input(w.height, &x).inner((w.kernel.0, w.stride, w.dilation, w.pad.0))],
                output: output(w.rows(), w.columns() * w.inputs),
            });
        }
    }
    cases
}

/// Functions of numbers between -8 and 8.
pub fn functions(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(14);
    let mut cases = Vec::new();
    for function in (0..=u8::MAX).map_while(Function::from_code) {
        let layer = UnaryF32 { function, p: 0.25, q: 0.5 };
        let x: Vec<f32> = reals(&mut random, 3 * 43).iter().map(|x| x * 8.0).collect();
        for input in [input(3, &x), input(3, &x).in_place()] {
            cases.push(Case {
                name: format!("{function:?}, in place: {}", input.in_place),
                own: false,
                kind: Kind::Other,
                packed: packer.unary_f32(&layer),
                portable: layer.pack(),
                inputs: vec![input],
                output: output(3, 43),
            });
        }
    }
    cases
}

/// Inputs, outputs, rows in which the inputs come, or vectors in a row.
const FULLY_CONNECTED: &[(usize, usize, usize, usize)] =
    &[(64, 12, 1, 1), (9, 5, 1, 1), (3, 1, 1, 1), (640, 8, 4, 1), (24, 6, 6, 1), (20, 17, 1, 7)];

pub fn fully_connected(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(12);
    let mut cases = Vec::new();
    for &(inputs, outputs, rows, vectors) in FULLY_CONNECTED {
        for &(min, max) in LIMITS {
            let layer = FullyConnectedF32 {
                weights: &reals(&mut random, inputs * outputs),
                half: false,
                bias: &reals(&mut random, outputs),
                inputs,
                outputs,
                min,
                max,
            };
            let x = reals(&mut random, inputs * vectors);
            cases.push(Case {
                name: format!(
                    "float layer {inputs} {outputs} in {rows} rows, {vectors} vectors, {min} {max}"
                ),
                own: true,
                kind: Kind::Other,
                packed: packer.fully_connected_f32(&layer),
                portable: layer.pack(),
                inputs: vec![input(rows, &x).inner((rows, 0, 1, 0))],
                output: output(1, outputs * vectors),
            });
        }
    }
    cases
}

fn reals(random: &mut Random, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.int(-1 << 20, 1 << 20) as f32 / (1 << 20) as f32).collect()
}

fn input(rows: usize, values: &[f32]) -> Input {
    let bytes = bytemuck::cast_slice(values).to_vec();
    Input { dtype: DType::F32, bytes, ..Input::s8(rows, &[]) }
}

fn output(rows: usize, row: usize) -> Shape {
    Shape { dtype: DType::F32, ..Shape::s8(rows, row) }
}
