//! int8 kernels against loops that spell out their definitions in 64 bits.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::pack::Requant;
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE, quantize_multiplier};
use support::{Input, ONE, Random, Shape, run, run_s8};

/// Requantization as the standards tell it, with divisions instead of shifts.
fn requantize(acc: i64, factor: f64, requant: &Requant) -> i8 {
    let (multiplier, shift) = quantize_multiplier(factor);
    let acc = i64::from(acc as i32);
    let scaled = if requant.rounding == SINGLE {
        let divisor = 1i128 << (31 - shift);
        (i128::from(acc) * i128::from(multiplier) + divisor / 2).div_euclid(divisor) as i64
    } else {
        let product = i64::from((acc << shift.max(0)) as i32) * i64::from(multiplier);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        let high = (product + nudge) / (1 << 31);
        let divisor = 1i64 << (-shift).max(0);
        let half = if high < 0 { -(divisor / 2) } else { divisor / 2 };
        (high + half) / divisor
    };
    (scaled + i64::from(requant.zero_point)).clamp(requant.min.into(), requant.max.into()) as i8
}

fn factor(requant: &Requant, channel: usize) -> f64 {
    *requant.factors.get(channel).unwrap_or(&requant.factors[0])
}

#[derive(Clone, Copy, Debug)]
struct Geometry {
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    groups: usize,
    kernel: (usize, usize),
    stride: usize,
    dilation: usize,
    /// Padding at the top, the left, the bottom and the right.
    pad: (isize, isize, isize, isize),
}

impl Geometry {
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

    /// `[out][kh][kw][in / groups]` weights, `[h][w][c]` input.
    fn reference(&self, x: &[i8], w: &[i8], bias: &[i32], zero: i32, requant: &Requant) -> Vec<i8> {
        let (per_group, out_per_group) = (self.inputs / self.groups, self.outputs / self.groups);
        let mut y = Vec::new();
        for row in 0..self.rows() {
            for column in 0..self.columns() {
                for o in 0..self.outputs {
                    let mut acc = i64::from(bias[o]);
                    for (ky, kx) in
                        (0..self.kernel.0).flat_map(|ky| (0..self.kernel.1).map(move |kx| (ky, kx)))
                    {
                        let at_y = (row * self.stride + ky * self.dilation) as isize - self.pad.0;
                        let at_x = (column * self.stride + kx * self.dilation) as isize - self.pad.1;
                        let inside = (0..self.height as isize).contains(&at_y)
                            && (0..self.width as isize).contains(&at_x);
                        if !inside {
                            continue;
                        }
                        for c in 0..per_group {
                            let channel = o / out_per_group * per_group + c;
                            let x = x[(at_y as usize * self.width + at_x as usize) * self.inputs + channel];
                            let w = w[((o * self.kernel.0 + ky) * self.kernel.1 + kx) * per_group + c];
                            acc += (i64::from(x) - i64::from(zero)) * i64::from(w);
                        }
                    }
                    y.push(requantize(acc, factor(requant, o), requant));
                }
            }
        }
        y
    }

    fn input(&self, x: &[i8]) -> Input {
        Input::s8(self.height, x).inner((self.kernel.0, self.stride, self.dilation, self.pad.0))
    }

    fn output(&self) -> Shape {
        Shape::s8(self.rows(), self.columns() * self.outputs)
    }
}

const CONVOLUTIONS: &[Geometry] = &{
    const G: Geometry = Geometry {
        height: 6,
        width: 7,
        inputs: 8,
        outputs: 8,
        groups: 1,
        kernel: (3, 3),
        stride: 1,
        dilation: 1,
        pad: (1, 1, 1, 1),
    };
    [
        G,
        Geometry { stride: 2, pad: (0, 0, 1, 1), ..G },
        Geometry { inputs: 3, outputs: 5, stride: 2, ..G },
        Geometry { inputs: 1, outputs: 9, kernel: (10, 4), height: 12, stride: 2, pad: (4, 1, 5, 1), ..G },
        Geometry { inputs: 1, outputs: 1, kernel: (1, 1), pad: (0, 0, 0, 0), ..G },
        Geometry { inputs: 37, outputs: 11, kernel: (1, 1), pad: (0, 0, 0, 0), ..G },
        Geometry { inputs: 5, outputs: 6, kernel: (1, 1), stride: 3, pad: (0, 0, 0, 0), ..G },
        Geometry { inputs: 4, outputs: 12, groups: 2, dilation: 2, pad: (2, 2, 2, 2), ..G },
        Geometry { inputs: 6, outputs: 15, groups: 3, kernel: (2, 5), pad: (1, 4, 0, 4), ..G },
        Geometry { inputs: 17, outputs: 4, dilation: 3, kernel: (2, 3), pad: (3, 6, 3, 6), ..G },
        Geometry { inputs: 3, outputs: 7, kernel: (15, 2), pad: (7, 0, 7, 1), ..G },
        Geometry { inputs: 2, outputs: 3, kernel: (3, 3), width: 1, pad: (1, 3, 1, 3), ..G },
        Geometry { inputs: 2, outputs: 3, kernel: (2, 2), pad: (-1, -2, 0, 0), ..G },
        Geometry { inputs: 16, outputs: 16, groups: 16, ..G },
    ]
};

fn requants(random: &mut Random, outputs: usize, taps: usize) -> Vec<Requant> {
    let size = 1.0 / (5000.0 * (taps as f64).sqrt()) * 40.0;
    let per_channel = (0..outputs).map(|_| random.factor(size * 0.3, size * 3.0)).collect();
    vec![
        Requant { factors: per_channel, zero_point: -7, min: -128, max: 127, rounding: DOUBLE },
        Requant { factors: vec![size], zero_point: 127, min: -100, max: 90, rounding: SINGLE },
        // Beyond one, and too small to matter.
        Requant { factors: vec![3.7], zero_point: -128, min: -128, max: 127, rounding: DOUBLE },
        Requant { factors: vec![1e-12], zero_point: 5, min: -128, max: 127, rounding: SINGLE },
    ]
}

#[test]
fn convolution() {
    let mut random = Random(1);
    for g in CONVOLUTIONS {
        let taps = g.kernel.0 * g.kernel.1 * g.inputs / g.groups;
        let x = random.codes(g.height * g.width * g.inputs);
        let w = random.codes(g.outputs * taps);
        let bias: Vec<i32> = (0..g.outputs).map(|_| random.int(-20000, 20000) as i32).collect();
        for (i, requant) in requants(&mut random, g.outputs, taps).into_iter().enumerate() {
            let input_zero_point = [-128, 127, 0, 3][i];
            let spec = ConvS8 {
                weights: &w,
                bias: &bias,
                in_channels: g.inputs,
                out_channels: g.outputs,
                kernel_rows: g.kernel.0,
                kernel_width: g.kernel.1,
                stride: g.stride,
                dilation: g.dilation,
                pad_left: g.pad.1,
                groups: g.groups,
                input_zero_point,
                requant: requant.clone(),
            };
            let got = run_s8(&spec.pack(), &[g.input(&x)], g.output());
            assert_eq!(got, g.reference(&x, &w, &bias, input_zero_point, &requant), "{g:?} {i}");
        }
    }
}

#[test]
fn depthwise() {
    let mut random = Random(2);
    let mut cases = Vec::new();
    for g in CONVOLUTIONS {
        for (inputs, multiplier) in [(8, 1), (37, 1), (1, 8), (3, 19), (16, 2)] {
            cases.push((Geometry { inputs, outputs: inputs * multiplier, groups: inputs, ..*g }, multiplier));
        }
    }
    for (g, multiplier) in cases {
        let taps = g.kernel.0 * g.kernel.1;
        let x = random.codes(g.height * g.width * g.inputs);
        let w = random.codes(g.outputs * taps);
        let bias: Vec<i32> = (0..g.outputs).map(|_| random.int(-2000, 2000) as i32).collect();
        for (i, requant) in requants(&mut random, g.outputs, taps).into_iter().enumerate() {
            let input_zero_point = [-128, 127, 0, 3][i];
            let spec = DepthwiseS8 {
                weights: &w,
                bias: &bias,
                in_channels: g.inputs,
                multiplier,
                kernel_rows: g.kernel.0,
                kernel_width: g.kernel.1,
                stride: g.stride,
                dilation: g.dilation,
                pad_left: g.pad.1,
                input_zero_point,
                requant: requant.clone(),
            };
            let got = run_s8(&spec.pack(), &[g.input(&x)], g.output());
            assert_eq!(got, g.reference(&x, &w, &bias, input_zero_point, &requant), "{g:?} {i}");
        }
    }
}

/// Three taps over time, two over rows, three over columns: time stands before rows in the window.
#[test]
fn convolution_over_time() {
    let mut random = Random(3);
    let (slices, rows, width, inputs, outputs) = (5, 4, 5, 3, 4);
    let x = random.codes(slices * rows * width * inputs);
    let w = random.codes(outputs * 3 * 2 * 3 * inputs);
    let requant = Requant { factors: vec![0.002], zero_point: 4, min: -128, max: 127, rounding: DOUBLE };
    let spec = ConvS8 {
        weights: &w,
        bias: &[],
        in_channels: inputs,
        out_channels: outputs,
        kernel_rows: 6,
        kernel_width: 3,
        stride: 1,
        dilation: 1,
        pad_left: 1,
        groups: 1,
        input_zero_point: -9,
        requant: requant.clone(),
    };
    let mut want = Vec::new();
    for (t, r, c) in (0..slices).flat_map(|t| (0..rows).flat_map(move |r| (0..width).map(move |c| (t, r, c))))
    {
        for o in 0..outputs {
            let mut acc = 0i64;
            for tap in 0..18 {
                let (kt, kr, kc) = (tap / 6, tap / 3 % 2, tap % 3);
                let (at_t, at_r, at_c) = ((t + kt).wrapping_sub(2), r + kr, (c + kc).wrapping_sub(1));
                if at_t < slices && at_r < rows && at_c < width {
                    for i in 0..inputs {
                        let x = i64::from(x[((at_t * rows + at_r) * width + at_c) * inputs + i]) + 9;
                        acc += x * i64::from(w[(o * 18 + tap) * inputs + i]);
                    }
                }
            }
            want.push(requantize(acc, 0.002, &requant));
        }
    }
    let input = Input::s8(slices * rows, &x).outer(slices, (3, 1, 1, 2)).inner((2, 1, 1, 0));
    let shape = Shape { slices, ..Shape::s8(rows, width * outputs) };
    assert_eq!(run_s8(&spec.pack(), &[input], shape), want);
}

#[test]
fn fully_connected() {
    let mut random = Random(4);
    for (vectors, inputs, outputs, rows) in
        [(1, 640, 13, 1), (1, 48, 10, 6), (5, 7, 3, 1), (1, 1, 1, 1), (3, 40, 17, 1), (1, 36, 5, 36)]
    {
        let x = random.codes(vectors * inputs);
        let w = random.codes(inputs * outputs);
        let bias: Vec<i32> = (0..outputs).map(|_| random.int(-20000, 20000) as i32).collect();
        for (i, requant) in requants(&mut random, outputs, inputs).into_iter().enumerate() {
            let input_zero_point = [-128, 127, 0, 3][i];
            let spec = FullyConnectedS8 {
                weights: &w,
                bias: &bias,
                inputs,
                outputs,
                input_zero_point,
                requant: requant.clone(),
            };
            let want: Vec<i8> = (0..vectors * outputs)
                .map(|at| {
                    let (v, o) = (at / outputs, at % outputs);
                    let products = x[v * inputs..].iter().zip(&w[o * inputs..(o + 1) * inputs]);
                    let sum: i64 = products
                        .map(|(&x, &w)| (i64::from(x) - i64::from(input_zero_point)) * i64::from(w))
                        .sum();
                    requantize(sum + i64::from(bias[o]), factor(&requant, o), &requant)
                })
                .collect();
            let input = Input::s8(rows, &x).inner(if rows == 1 { ONE } else { (rows, 0, 1, 0) });
            let got = run_s8(&spec.pack(), &[input], Shape::s8(1, vectors * outputs));
            assert_eq!(got, want, "{vectors} {inputs} {outputs} {rows} {i}");
        }
    }
}

/// Any byte of the arguments may be damaged: the step is refused, or it runs; it never panics.
#[test]
fn damaged_arguments() {
    let mut random = Random(5);
    let g = Geometry { groups: 2, outputs: 10, ..CONVOLUTIONS[0] };
    let (x, w) = (random.codes(g.height * g.width * g.inputs), random.codes(10 * 9 * 4));
    let requant = Requant { factors: vec![0.01], zero_point: 3, min: -128, max: 127, rounding: DOUBLE };
    let conv = ConvS8 {
        weights: &w,
        bias: &[],
        in_channels: 8,
        out_channels: 10,
        kernel_rows: 3,
        kernel_width: 3,
        stride: 1,
        dilation: 1,
        pad_left: 1,
        groups: 2,
        input_zero_point: 7,
        requant: requant.clone(),
    };
    let depthwise = DepthwiseS8 {
        weights: &w[..72],
        bias: &[],
        in_channels: 8,
        multiplier: 1,
        kernel_rows: 3,
        kernel_width: 3,
        stride: 1,
        dilation: 1,
        pad_left: 1,
        input_zero_point: 7,
        requant: requant.clone(),
    };
    let dense = FullyConnectedS8 {
        weights: &w[..8 * 10],
        bias: &[],
        inputs: 8,
        outputs: 10,
        input_zero_point: 7,
        requant,
    };
    let row = Input::s8(g.height, &x);
    for (packed, input, outputs) in
        [(conv.pack(), g.input(&x), 10), (depthwise.pack(), g.input(&x), 8), (dense.pack(), row, 10)]
    {
        let shape = Shape::s8(g.rows(), g.columns() * outputs);
        assert!(run(&packed, std::slice::from_ref(&input), shape).is_ok());
        for at in 0..packed.args.len() {
            for value in [0, 1, 2, 3, 8, 31, 127, 128, 200, 255] {
                let mut packed = packed.clone();
                packed.args[at] = value;
                let _ = run(&packed, std::slice::from_ref(&input), shape);
            }
        }
    }
}
