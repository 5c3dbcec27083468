//! Every kernel against the portable one, byte by byte, over a table of shapes.
#![cfg(feature = "pack")]

#[path = "../../../runtime/tests/support/mod.rs"]
mod support;

use mote_cortex_m::kernels::CORTEX_M;
use mote_cortex_m::kernels::pack::Dsp;
use mote_runtime::kernels::binary_s8::{Affine, SumS8};
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::{Geometry, Packed, Packer, Requant};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use support::{Input, Random, Shape, run, run_with};

/// Both kernels on the same input; `own` tells whether the target must have chosen a kernel of its own.
fn compare(name: &str, own: bool, packed: &Packed, portable: &Packed, inputs: &[Input], output: Shape) {
    assert_eq!(packed.kernel >= 1000, own, "{name}: kernel {}", packed.kernel);
    let want = run(portable, inputs, output).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = run_with(&CORTEX_M, packed, inputs, output).unwrap_or_else(|error| panic!("{name}: {error}"));
    let differ = want.iter().zip(&found).position(|(want, found)| want != found);
    assert!(want == found, "{name}: {} bytes, the first difference is at {differ:?}", want.len());
}

/// A layer with windows.
#[derive(Clone, Copy, Debug)]
struct Window {
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    kernel: (usize, usize),
    stride: usize,
    dilation: usize,
    /// At the top, the left, the bottom and the right.
    pad: (isize, isize, isize, isize),
}

impl Window {
    const fn new(size: (usize, usize), channels: (usize, usize), kernel: (usize, usize)) -> Self {
        let (height, width) = size;
        let (inputs, outputs) = channels;
        let pad = (0, 0, 0, 0);
        Self { height, width, inputs, outputs, kernel, stride: 1, dilation: 1, pad }
    }

    const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    const fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    const fn pad(self, top: isize, left: isize, bottom: isize, right: isize) -> Self {
        Self { pad: (top, left, bottom, right), ..self }
    }

    fn out(&self, size: usize, kernel: usize, before: isize, after: isize) -> usize {
        let room = size as isize + before + after - ((kernel - 1) * self.dilation + 1) as isize;
        room as usize / self.stride + 1
    }

    fn rows(&self) -> usize {
        self.out(self.height, self.kernel.0, self.pad.0, self.pad.2)
    }

    fn columns(&self) -> usize {
        self.out(self.width, self.kernel.1, self.pad.1, self.pad.3)
    }

    fn geometry(&self) -> Geometry {
        Geometry { width: self.width, columns: self.columns() }
    }

    fn input(&self, random: &mut Random) -> Input {
        let x = random.codes(self.height * self.width * self.inputs);
        Input::s8(self.height, &x).inner((self.kernel.0, self.stride, self.dilation, self.pad.0))
    }

    fn output(&self, channels: usize) -> Shape {
        Shape::s8(self.rows(), self.columns() * channels)
    }
}

/// Roundings, clamps and zero points that take every path, for accumulators of `taps` products.
fn requants(random: &mut Random, outputs: usize, taps: usize) -> Vec<(Requant, i32)> {
    let size = 40.0 / (5000.0 * (taps as f64).sqrt());
    let mut each = |factor: f64| -> Vec<f64> {
        (0..outputs).map(|_| random.factor(factor * 0.3, factor * 3.0)).collect()
    };
    let requant =
        |factors, zero_point, min, max, rounding| Requant { factors, zero_point, min, max, rounding };
    vec![
        (requant(each(size), -128, -128, 127, DOUBLE), -128),
        (requant(each(size), -7, -128, 127, DOUBLE), 3),
        (requant(each(size), -20, -20, 90, DOUBLE), 127),
        (requant(each(size), 11, -100, 90, DOUBLE), 0),
        (requant(each(size), 127, -128, 127, SINGLE), -9),
        (requant(vec![size], 0, -90, 127, SINGLE), -128),
        (requant(vec![1e-9], 5, -128, 127, DOUBLE), 1),
        (requant(vec![0.0], -3, -128, 127, SINGLE), 1),
    ]
}

const CONVOLUTIONS: &[Window] = &[
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
];

#[test]
fn conv() {
    let mut random = Random(1);
    for w in CONVOLUTIONS {
        let taps = w.kernel.0 * w.kernel.1 * w.inputs;
        for (requant, input_zero_point) in requants(&mut random, w.outputs, taps) {
            let weights: Vec<i8> = random.codes(taps * w.outputs).into_iter().map(|w| w.max(-127)).collect();
            let bias: Vec<i32> = (0..w.outputs).map(|_| random.int(-20000, 20000) as i32).collect();
            let layer = ConvS8 {
                weights: &weights,
                bias: &bias,
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
            let name = format!("{w:?} {:?}", layer.requant);
            let own = layer.requant.factors.iter().all(|&factor| factor < 0.25);
            let packed = Dsp.conv_s8(&layer, w.geometry());
            compare(&name, own, &packed, &layer.pack(), &[w.input(&mut random)], w.output(w.outputs));
        }
    }
}

const DEPTHWISE: &[Window] = &[
    Window::new((6, 6), (8, 8), (3, 3)).pad(1, 1, 1, 1),
    Window::new((3, 3), (4, 4), (3, 3)).pad(1, 1, 1, 1),
    Window::new((4, 48), (4, 4), (3, 3)).pad(1, 1, 1, 1),
    Window::new((4, 131), (8, 8), (3, 3)).pad(1, 1, 1, 1),
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
];

#[test]
fn depthwise() {
    let mut random = Random(2);
    for w in DEPTHWISE {
        let taps = w.kernel.0 * w.kernel.1;
        for (requant, input_zero_point) in requants(&mut random, w.outputs, taps) {
            let weights = random.codes(taps * w.outputs);
            let bias: Vec<i32> = (0..w.outputs).map(|_| random.int(-20000, 20000) as i32).collect();
            let layer = DepthwiseS8 {
                weights: &weights,
                bias: &bias,
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
            let name = format!("{w:?} {:?}", layer.requant);
            let own = layer.requant.factors.iter().all(|&factor| factor < 0.25);
            let packed = Dsp.depthwise_s8(&layer, w.geometry());
            compare(&name, own, &packed, &layer.pack(), &[w.input(&mut random)], w.output(w.outputs));
        }
    }
}

#[test]
fn fully_connected() {
    let mut random = Random(3);
    // Inputs, outputs, rows in which the inputs come.
    for (inputs, outputs, rows) in [
        (128, 128, 1),
        (64, 12, 1),
        (256, 2, 1),
        (9, 5, 1),
        (3, 1, 1),
        (31, 8, 1),
        (18, 3, 1),
        (640, 8, 4),
        (24, 6, 6),
    ] {
        for (requant, input_zero_point) in requants(&mut random, outputs, inputs) {
            let weights: Vec<i8> =
                random.codes(inputs * outputs).into_iter().map(|w| w.clamp(-90, 90)).collect();
            let bias: Vec<i32> = (0..outputs).map(|_| random.int(-20000, 20000) as i32).collect();
            let (weights, bias) = (&weights[..], &bias[..]);
            let layer = FullyConnectedS8 { weights, bias, inputs, outputs, input_zero_point, requant };
            let own = layer.requant.factors.iter().all(|&factor| factor < 0.25);
            let input = Input::s8(rows, &random.codes(inputs)).inner((rows, 0, 1, 0));
            let name = format!("{inputs} {outputs} {rows} {:?}", layer.requant);
            let packed = Dsp.fully_connected_s8(&layer);
            compare(&name, own, &packed, &layer.pack(), &[input], Shape::s8(1, outputs));
        }
    }
}

#[test]
fn add() {
    let mut random = Random(4);
    for (rows, row) in [(1, 256), (3, 7), (2, 1), (4, 18)] {
        for (scale_a, scale_b, scale_out) in [
            (0.02, 0.02, 0.03),
            (0.02, 0.007, 0.021),
            (0.0011, 0.09, 0.1),
            (0.5, 0.26, 0.2),
            (1e-6, 0.3, 0.3),
        ] {
            for (zero_a, zero_b, zero_out, rounding, min, max) in [
                (-128, -128, -128, DOUBLE, -128, 127),
                (4, -17, 9, DOUBLE, -128, 127),
                (127, -128, 0, SINGLE, -128, 127),
                (-5, 127, -30, DOUBLE, -30, 100),
                (0, 0, 0, SINGLE, -40, 40),
            ] {
                let affine = |scale, zero_point| Affine { scale, zero_point };
                let (a, b) = (affine(scale_a, zero_a), affine(scale_b, zero_b));
                let layer =
                    SumS8 { a, b, output: affine(scale_out, zero_out), repeat: [1, 1], min, max, rounding };
                let inputs = [0, 1].map(|_| Input::s8(rows, &random.codes(rows * row)));
                let packed = Dsp.add_s8(&layer, true);
                let [a, b] = inputs;
                let places = [
                    [a.clone(), b.clone()],
                    [a.clone().in_place(), b.clone()],
                    [a.clone(), b.clone().in_place()],
                ];
                for inputs in places {
                    let name =
                        format!("{rows} x {row} {layer:?} {:?}", [inputs[0].in_place, inputs[1].in_place]);
                    compare(&name, true, &packed, &layer.pack_add(), &inputs, Shape::s8(rows, row));
                }
            }
        }
    }
}
