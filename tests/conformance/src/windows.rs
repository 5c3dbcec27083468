//! Convolutions and depthwise layers.

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Geometry, Packer};
use mote_runtime::kernels::sparse::{Block, LEAST};
use mote_runtime::kernels::spmm_s8::SpmmS8;

use crate::support::{Input, Random, Shape};
use crate::{Case, Kind, bias, requants};

pub const CONVOLUTIONS: &[Window] = &[
    Window::new((1, 36), (128, 128), (1, 1)),
    Window::new((1, 7), (8, 16), (1, 1)),
    Window::new((2, 3), (5, 7), (1, 1)),
    Window::new((1, 1), (640, 9), (1, 1)),
    Window::new((1, 2), (1, 1), (1, 1)),
    Window::new((3, 9), (6, 4), (1, 1)).stride(2),
    Window::new((5, 5), (16, 16), (1, 1)).stride(2),
    Window::new((8, 9), (3, 8), (3, 3)).stride(2).pad(0, 0, 1, 1),
    Window::new((12, 6), (1, 9), (10, 4)).stride(2).pad(4, 1, 5, 1),
    Window::new((6, 7), (16, 16), (3, 3)).pad(1, 1, 1, 1),
    Window::new((6, 8), (16, 32), (3, 3)).stride(2).pad(0, 0, 1, 1),
    Window::new((5, 11), (7, 5), (2, 5)).pad(1, 4, 0, 4),
    Window::new((9, 9), (4, 4), (3, 3)).dilation(2).pad(2, 2, 2, 2),
    Window::new((7, 5), (2, 3), (2, 2)).pad(-1, -2, 0, 0),
    Window::new((5, 1), (2, 3), (3, 3)).pad(1, 3, 1, 3),
    Window::new((4, 4), (9, 6), (1, 3)).pad(0, 1, 0, 1),
    Window::new((15, 4), (3, 4), (15, 2)).pad(7, 0, 7, 1),
    Window::new((2, 15), (24, 20), (1, 1)),
    Window::new((3, 13), (8, 24), (1, 2)).pad(1, 0, 0, 0),
    Window::new((7, 1), (40, 12), (1, 1)).slices(),
    Window::new((6, 1), (128, 10), (1, 1)).slices(),
    Window::new((4, 2), (16, 8), (1, 1)).pad(0, -1, 0, 0).slices(),
    Window::new((5, 1), (16, 8), (1, 1)).pad(1, 0, 2, 0).slices(),
    Window::new((5, 1), (24, 3), (1, 1)).pad(1, 0, 2, 0).slices(),
    Window::new((9, 1), (8, 8), (1, 1)).stride(2).slices(),
    Window::new((5, 1), (8, 4), (1, 1)).pad(0, 1, 0, 1).slices(),
    Window::new((6, 7), (16, 16), (3, 3)).pad(1, 1, 1, 1).slices(),
];

const DEPTHWISE: &[Window] = &[
    Window::new((6, 6), (8, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((3, 3), (4, 4), (3, 3)).pad(1, 1, 1, 1),
    Window::new((4, 48), (4, 4), (3, 3)).pad(1, 1, 1, 1),
    Window::new((4, 131), (8, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((5, 5), (8, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((4, 1), (8, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((3, 2), (8, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((3, 9), (4, 4), (3, 3)).pad(1, 0, 1, 1),
    Window::new((4, 8), (4, 4), (3, 3)).pad(2, 1, 0, 0),
    Window::new((4, 100), (4, 4), (3, 3)).pad(1, 0, 1, 0),
    Window::new((5, 8), (8, 8), (3, 3)).stride(2).pad(1, 1, 0, 0),
    Window::new((7, 101), (4, 4), (3, 3)).stride(2).pad(1, 1, 1, 1),
    Window::new((9, 10), (12, 12), (3, 3)).stride(2).pad(0, 0, 1, 1),
    Window::new((5, 7), (4, 4), (3, 3)),
    Window::new((5, 5), (4, 4), (3, 3)).stride(2),
    Window::new((1, 1), (4, 4), (3, 3)).pad(1, 1, 1, 1),
    Window::new((2, 2), (16, 16), (3, 3)).pad(2, 2, 2, 2),
    Window::new((6, 2), (4, 4), (3, 3)).pad(1, 3, 1, 4),
    Window::new((8, 9), (4, 4), (3, 3)).pad(-1, -2, 0, 0),
    Window::new((30, 1), (40, 40), (3, 1)),
    Window::new((20, 1), (8, 8), (15, 1)).pad(4, 0, 3, 0),
    Window::new((8, 7), (8, 8), (5, 5)).pad(2, 2, 2, 2),
    Window::new((9, 8), (4, 4), (5, 5)).stride(2).pad(1, 1, 2, 2),
    Window::new((8, 8), (4, 4), (3, 3)).dilation(2).pad(2, 2, 2, 2),
    Window::new((10, 9), (12, 12), (3, 3)).stride(3).pad(1, 1, 1, 1),
    Window::new((1, 12), (4, 4), (1, 7)).pad(0, 6, 0, 0),
    Window::new((4, 5), (4, 4), (2, 2)).pad(-1, -1, 0, 0),
    Window::new((6, 6), (6, 6), (3, 3)).pad(1, 1, 1, 1),
    Window::new((4, 9), (16, 16), (3, 3)).pad(1, 1, 1, 1),
    Window::new((5, 12), (36, 36), (3, 3)).stride(2).pad(1, 1, 1, 1),
    Window::new((3, 5), (9, 9), (3, 3)).pad(1, 1, 1, 1),
    Window::new((6, 7), (20, 20), (5, 5)).pad(2, 2, 2, 2),
    Window::new((7, 7), (24, 24), (3, 3)).dilation(2).pad(2, 2, 2, 2),
    Window::new((6, 6), (4, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((9, 1), (24, 24), (5, 1)).pad(2, 0, 2, 0).slices(),
    Window::new((12, 1), (40, 40), (3, 1)).slices(),
    Window::new((7, 6), (8, 8), (3, 3)).stride(2).pad(1, 1, 1, 1).slices(),
    Window::new((8, 5), (4, 4), (3, 3)).dilation(2).pad(2, 2, 2, 2).slices(),
];

pub fn convolutions(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(1);
    let mut cases = Vec::new();
    for w in CONVOLUTIONS {
        let taps = w.kernel.0 * w.kernel.1 * w.inputs;
        for (i, (requant, input_zero_point)) in requants(&mut random, w.outputs, taps).into_iter().enumerate()
        {
            // A weight of -128 beside a negative one does not fit a pair: such layers are tried, too.
            let least = if i == 3 { -128 } else { -127 };
            let mut weights: Vec<i8> = random.codes(taps * w.outputs).iter().map(|&w| w.max(least)).collect();
            let mut input = w.input(&mut random);
            // Weights of seven bits, of which two or four products fit 16 bits, or not.
            if i == 1 {
                weights.iter_mut().for_each(|w| *w /= 2);
            }
            // The largest sums and products, and the largest with those.
            if i == 4 || i == 5 {
                let largest = if i == 4 { 127 } else { 64 };
                weights.iter_mut().for_each(|w| *w = if *w < 0 { -largest } else { largest });
                input.bytes.iter_mut().for_each(|x| *x = if *x < 128 { 127 } else { 128 });
            }
            let layer = ConvS8 {
                weights: &weights,
                bias: &bias(&mut random, w.outputs),
                in_channels: w.inputs,
                out_channels: w.outputs,
                kernel_rows: w.kernel.0,
                kernel_width: w.kernel.1,
                stride: w.stride,
                dilation: w.dilation,
                pad_left: w.pad.1,
                groups: 1,
                input_zero_point,
                requant,
            };
            let own = layer.requant.factors.iter().all(|&factor| factor < 0.25) && !(3..=4).contains(&i);
            cases.push(Case {
                name: format!("convolution {w:?} {:?}", layer.requant),
                own,
                kind: Kind::Other,
                packed: packer.conv_s8(&layer, w.geometry()),
                portable: layer.pack(),
                inputs: vec![input],
                output: w.output(w.outputs),
            });
        }
    }
    cases
}

/// 1x1 convolutions with few weights other than zero, in all blocks that kernels may have loops for: zeros of a
/// hundred, largest weight.
const SPARSE: &[(Window, Block, usize, i32)] = &[
    (Window::new((1, 36), (128, 128), (1, 1)), Block::of(1, 1), 90, 128),
    (Window::new((2, 6), (64, 33), (1, 1)), Block::of(1, 1), 98, 128),
    (Window::new((3, 5), (7, 5), (1, 1)), Block::of(1, 1), 50, 128),
    (Window::new((2, 3), (301, 6), (1, 1)), Block::of(1, 1), 99, 128),
    (Window::new((1, 1), (40, 9), (1, 1)), Block::of(1, 1), 80, 128),
    (Window::new((3, 23), (12, 4), (1, 1)).stride(2), Block::of(1, 1), 70, 128),
    (Window::new((2, 13), (33, 16), (1, 1)), Block::of(4, 1), 90, 128),
    (Window::new((1, 8), (600, 8), (1, 1)), Block::of(4, 1), 99, 128),
    (Window::new((2, 3), (6, 12), (1, 1)).stride(2), Block::of(4, 1), 40, 128),
    (Window::new((2, 5), (16, 10), (1, 1)), Block::of(4, 1), 80, 128),
    (Window::new((2, 9), (20, 7), (1, 1)), Block::of(2, 1), 80, 128),
    (Window::new((2, 9), (21, 7), (1, 1)), Block::of(1, 2), 80, 128),
    (Window::new((1, 17), (22, 8), (1, 1)), Block::of(1, 4), 80, 128),
    (Window::new((2, 7), (64, 33), (1, 1)), Block::of(1, 4), 90, 64),
    (Window::new((1, 83), (19, 21), (1, 1)), Block::of(1, 1), 85, 128),
    (Window::new((1, 57), (34, 16), (1, 1)), Block::of(1, 4), 85, 64),
    (Window::new((2, 49), (15, 9), (1, 1)).stride(2), Block::of(1, 4), 60, 64),
];

/// `spmm_s8`, by what the dense kernel gives for the same weights.
pub fn sparse(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(3);
    let mut cases = Vec::new();
    for (w, block, zeros, largest) in SPARSE {
        for strip in [LEAST, packer.strip_s8(*block)] {
            let taps = (w.inputs * (100 - zeros)).div_ceil(100);
            for (requant, input_zero_point) in requants(&mut random, w.outputs, taps) {
                let keep: Vec<bool> =
                    (0..w.inputs * w.outputs).map(|_| random.int(0, 99) >= *zeros as i64).collect();
                // Some channels have no weights at all.
                let weights: Vec<i8> = random
                    .codes(w.inputs * w.outputs)
                    .into_iter()
                    .enumerate()
                    .map(|(i, weight)| {
                        let weight = (i32::from(weight) * largest / 128) as i8;
                        if keep[i] && i / w.inputs % 5 != 3 { weight } else { 0 }
                    })
                    .collect();
                let bias = bias(&mut random, w.outputs);
                let layer = SpmmS8 {
                    weights: &weights,
                    bias: &bias,
                    out_channels: w.outputs,
                    stride: w.stride,
                    input_zero_point,
                    requant: &requant,
                };
                let dense = ConvS8 {
                    weights: &weights,
                    bias: &bias,
                    in_channels: w.inputs,
                    out_channels: w.outputs,
                    kernel_rows: 1,
                    kernel_width: 1,
                    stride: w.stride,
                    dilation: 1,
                    pad_left: 0,
                    groups: 1,
                    input_zero_point,
                    requant: requant.clone(),
                };
                cases.push(Case {
                    name: format!("sparse {block:?} {w:?} {requant:?}"),
                    own: requant.factors.iter().all(|&factor| factor < 0.25),
                    kind: Kind::Sparse { block: *block, strip, outputs: w.outputs, is_small: *largest <= 64 },
                    packed: packer.spmm_s8(&layer, *block, strip),
                    portable: dense.pack(),
                    inputs: vec![w.input(&mut random)],
                    output: w.output(w.outputs),
                });
            }
        }
    }
    cases
}

pub fn depthwise(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(2);
    let mut cases = Vec::new();
    for w in DEPTHWISE {
        let taps = w.kernel.0 * w.kernel.1;
        for (requant, input_zero_point) in requants(&mut random, w.outputs, taps) {
            let layer = DepthwiseS8 {
                weights: &random.codes(taps * w.outputs),
                bias: &bias(&mut random, w.outputs),
                in_channels: w.inputs,
                multiplier: w.outputs / w.inputs,
                kernel_rows: w.kernel.0,
                kernel_width: w.kernel.1,
                stride: w.stride,
                dilation: w.dilation,
                pad_left: w.pad.1,
                input_zero_point,
                requant,
            };
            let own = layer.requant.factors.iter().all(|&factor| factor < 0.25);
            cases.push(Case {
                name: format!("depthwise {w:?} {:?}", layer.requant),
                own: own && w.inputs == w.outputs && w.inputs % 4 == 0,
                kind: Kind::Depthwise(w.inputs),
                packed: packer.depthwise_s8(&layer, w.geometry()),
                portable: layer.pack(),
                inputs: vec![w.input(&mut random)],
                output: w.output(w.outputs),
            });
        }
    }
    cases
}

/// A layer with windows.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub height: usize,
    pub width: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: (usize, usize),
    pub stride: usize,
    pub dilation: usize,
    /// At the top, the left, the bottom and the right.
    pub pad: (isize, isize, isize, isize),
    /// Whether each row is a slice by itself, as where a network runs row by row.
    pub slices: bool,
}

impl Window {
    pub const fn new(size: (usize, usize), channels: (usize, usize), kernel: (usize, usize)) -> Self {
        let (height, width) = size;
        let (inputs, outputs) = channels;
        let pad = (0, 0, 0, 0);
        Self { height, width, inputs, outputs, kernel, stride: 1, dilation: 1, pad, slices: false }
    }

    pub const fn slices(self) -> Self {
        Self { slices: true, ..self }
    }

    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub const fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    pub const fn pad(self, top: isize, left: isize, bottom: isize, right: isize) -> Self {
        Self { pad: (top, left, bottom, right), ..self }
    }

    fn out(&self, size: usize, kernel: usize, before: isize, after: isize) -> usize {
        let room = size as isize + before + after - ((kernel - 1) * self.dilation + 1) as isize;
        room as usize / self.stride + 1
    }

    pub fn rows(&self) -> usize {
        self.out(self.height, self.kernel.0, self.pad.0, self.pad.2)
    }

    pub fn columns(&self) -> usize {
        self.out(self.width, self.kernel.1, self.pad.1, self.pad.3)
    }

    fn geometry(&self) -> Geometry {
        Geometry { width: self.width, columns: self.columns() }
    }

    pub fn input(&self, random: &mut Random) -> Input {
        let x = random.codes(self.height * self.width * self.inputs);
        let (input, window) =
            (Input::s8(self.height, &x), (self.kernel.0, self.stride, self.dilation, self.pad.0));
        if self.slices { input.outer(self.height, window) } else { input.inner(window) }
    }

    pub fn output(&self, channels: usize) -> Shape {
        let shape = Shape::s8(self.rows(), self.columns() * channels);
        if self.slices { Shape { slices: shape.rows, rows: 1, ..shape } } else { shape }
    }
}
