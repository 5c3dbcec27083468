//! Float convolution, depthwise convolution, pooling and fully connected layers against loops in `f64`.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::depthwise_f32::DepthwiseF32;
use mote_runtime::kernels::fully_connected_f32::FullyConnectedF32;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::pool_f32::{AveragePoolF32, MaxPoolF32};
use mote_runtime::plan::DType;
use support::{Axis, Input, ONE, Random, Shape, run};

const NO_CLAMP: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// A windowed operator: input `[time, height, width]`, windows along each.
#[derive(Clone, Copy, Debug)]
struct Case {
    input: [usize; 3],
    /// Count, stride, dilation, padding before.
    window: [Axis; 3],
    output: [usize; 3],
}

fn reals(random: &mut Random, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.int(-1000, 1000) as f32 / 500.0).collect()
}

/// As the runtime reads half-precision weights.
fn halves(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| half::f16::from_f32(*v).to_f32()).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let windows = [
        (1, 1, 1, 0),
        (1, 2, 1, 0),
        (3, 1, 1, 1),
        (3, 2, 1, 0),
        (3, 2, 1, 1),
        (5, 1, 1, 2),
        (2, 2, 1, 0),
        (3, 1, 2, 2),
        (4, 3, 1, 3),
        (7, 4, 1, 3),
        (3, 1, 3, 5),
    ];
    for (i, across) in windows.into_iter().enumerate() {
        for (j, down) in windows.into_iter().enumerate() {
            if (i + j) % 2 == 0 {
                let time = if (i + j) % 4 == 0 { ONE } else { (3, 1, 1, 1) };
                let input = [if time == ONE { 1 } else { 4 }, 6 + i % 3, 5 + 3 * j % 13];
                cases.push(Case::new(input, [time, down, across]));
            }
        }
    }
    cases.push(Case::new([1, 1, 77], [ONE, ONE, ONE]));
    cases.push(Case::new([2, 3, 9], [(2, 1, 1, 1), (3, 1, 1, 1), (3, 1, 1, -2)]));
    cases
}

impl Case {
    /// With as much padding behind as before.
    fn new(input: [usize; 3], window: [Axis; 3]) -> Self {
        let mut output = [0; 3];
        for axis in 0..3 {
            let (count, stride, dilation, pad) = window[axis];
            let reach = ((count - 1) * dilation + 1) as isize;
            output[axis] = (input[axis] as isize + 2 * pad - reach).max(0) as usize / stride + 1;
        }
        Self { input, window, output }
    }

    fn taps(&self) -> usize {
        self.window.iter().map(|w| w.0).product()
    }

    fn operand(&self, values: &[f32]) -> Input {
        let input = f32s(self.input[0] * self.input[1], values);
        input.outer(self.input[0], self.window[0]).inner(self.window[1])
    }

    fn shape(&self, channels: usize) -> Shape {
        let [slices, rows, width] = self.output;
        Shape { dtype: DType::F32, slices, rows, row: width * channels }
    }

    /// Calls `f(output position, tap, input position)` for every tap that is not padding.
    fn visit(&self, mut f: impl FnMut(usize, usize, usize)) {
        let outputs: usize = self.output.iter().product();
        for position in 0..outputs {
            for tap in 0..self.taps() {
                if let Some(input) = self.tap(position, tap) {
                    f(position, tap, input);
                }
            }
        }
    }

    fn tap(&self, mut position: usize, mut tap: usize) -> Option<usize> {
        let mut at = [0; 3];
        for axis in (0..3).rev() {
            let (count, stride, dilation, pad) = self.window[axis];
            let i = (position % self.output[axis] * stride + tap % count * dilation) as isize - pad;
            position /= self.output[axis];
            tap /= count;
            at[axis] = usize::try_from(i).ok().filter(|i| *i < self.input[axis])?;
        }
        Some((at[0] * self.input[1] + at[1]) * self.input[2] + at[2])
    }
}

fn f32s(rows: usize, values: &[f32]) -> Input {
    let bytes = bytemuck::cast_slice(values).to_vec();
    Input { dtype: DType::F32, slices: 1, rows, bytes, outer: ONE, inner: ONE, in_place: false }
}

fn compare(packed: &Packed, input: &Input, shape: Shape, want: &[f64], what: &str) {
    let bytes = run(packed, core::slice::from_ref(input), shape).unwrap_or_else(|e| panic!("{e}: {what}"));
    let got: Vec<f32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let close = (f64::from(*got) - want).abs() <= 1e-6 * (50.0 + want.abs());
        assert!(close, "{what}: {got} instead of {want} at {i}");
    }
}

fn clamped(values: &[f64], (min, max): (f32, f32)) -> Vec<f64> {
    values.iter().map(|v| v.max(min.into()).min(max.into())).collect()
}

#[test]
fn convolutions() {
    let mut random = Random(1);
    let channels = [(1, 1, 1), (3, 8, 1), (5, 19, 1), (8, 6, 2), (6, 12, 3), (4, 4, 4), (16, 33, 1)];
    for (i, case) in cases().iter().enumerate() {
        let (cin, cout, groups) = channels[i % channels.len()];
        let (half, bounds) = (i % 3 == 1, if i % 4 == 2 { (-3.0, 5.5) } else { NO_CLAMP });
        let (taps, each) = (case.taps(), cin / groups);
        let x = reals(&mut random, case.input.iter().product::<usize>() * cin);
        let mut weights = reals(&mut random, cout * taps * each);
        let bias = if i % 5 == 0 { Vec::new() } else { reals(&mut random, cout) };
        let spec = ConvF32 {
            weights: &weights.clone(),
            half,
            bias: &bias,
            in_channels: cin,
            out_channels: cout,
            kernel_rows: case.window[0].0 * case.window[1].0,
            kernel_width: case.window[2].0,
            stride: case.window[2].1,
            dilation: case.window[2].2,
            pad_left: case.window[2].3,
            groups,
            min: bounds.0,
            max: bounds.1,
        };
        if half {
            weights = halves(&weights);
        }
        let mut want = Vec::new();
        for _ in 0..case.output.iter().product() {
            want.extend((0..cout).map(|c| bias.get(c).map_or(0.0, |b| f64::from(*b))));
        }
        case.visit(|position, tap, input| {
            for c in 0..cout {
                let group = c / (cout / groups);
                for k in 0..each {
                    let x = f64::from(x[input * cin + group * each + k]);
                    want[position * cout + c] += x * f64::from(weights[(c * taps + tap) * each + k]);
                }
            }
        });
        let what = format!("{case:?} {cin} -> {cout} in {groups}");
        compare(&spec.pack(), &case.operand(&x), case.shape(cout), &clamped(&want, bounds), &what);
    }
}

#[test]
fn depthwise_convolutions() {
    let mut random = Random(2);
    let channels = [(1, 1), (3, 1), (16, 1), (23, 1), (2, 3), (5, 2), (41, 1), (1, 8)];
    for (i, case) in cases().iter().enumerate() {
        let (cin, multiplier) = channels[i % channels.len()];
        let (half, bounds) = (i % 3 == 1, if i % 4 == 2 { (0.0, 6.0) } else { NO_CLAMP });
        let (taps, cout) = (case.taps(), cin * multiplier);
        let x = reals(&mut random, case.input.iter().product::<usize>() * cin);
        let mut weights = reals(&mut random, cout * taps);
        let bias = reals(&mut random, cout);
        let spec = DepthwiseF32 {
            weights: &weights.clone(),
            half,
            bias: &bias,
            in_channels: cin,
            multiplier,
            kernel_rows: case.window[0].0 * case.window[1].0,
            kernel_width: case.window[2].0,
            stride: case.window[2].1,
            dilation: case.window[2].2,
            pad_left: case.window[2].3,
            min: bounds.0,
            max: bounds.1,
        };
        if half {
            weights = halves(&weights);
        }
        let mut want = Vec::new();
        for _ in 0..case.output.iter().product() {
            want.extend(bias.iter().map(|b| f64::from(*b)));
        }
        case.visit(|position, tap, input| {
            for c in 0..cout {
                let x = f64::from(x[input * cin + c / multiplier]);
                want[position * cout + c] += x * f64::from(weights[c * taps + tap]);
            }
        });
        let what = format!("{case:?} {cin} * {multiplier}");
        compare(&spec.pack(), &case.operand(&x), case.shape(cout), &clamped(&want, bounds), &what);
    }
}

#[test]
fn pools() {
    let mut random = Random(3);
    for (i, case) in cases().iter().enumerate() {
        let channels = [1, 3, 8, 21][i % 4];
        let x = reals(&mut random, case.input.iter().product::<usize>() * channels);
        let outputs = case.output.iter().product::<usize>();
        let mut sums = vec![0f64; outputs * channels];
        let mut counts = vec![0f64; outputs];
        let mut largest = vec![f64::NEG_INFINITY; outputs * channels];
        case.visit(|position, _, input| {
            counts[position] += 1.0;
            for c in 0..channels {
                let x = f64::from(x[input * channels + c]);
                let at = position * channels + c;
                sums[at] += x;
                largest[at] = largest[at].max(x);
            }
        });
        let (_, stride, dilation, pad_left) = case.window[2];
        let kernel_width = case.window[2].0;
        for include_padding in [false, true] {
            let divisor =
                |i: usize| if include_padding { case.taps() as f64 } else { counts[i / channels].max(1.0) };
            let want: Vec<f64> = sums.iter().enumerate().map(|(i, sum)| sum / divisor(i)).collect();
            let (min, max) = (-1.0, 1.5);
            let spec = AveragePoolF32 {
                channels,
                kernel_width,
                stride,
                dilation,
                pad_left,
                include_padding,
                min,
                max,
            };
            let what = format!("{case:?} average {channels} {include_padding}");
            compare(
                &spec.pack(),
                &case.operand(&x),
                case.shape(channels),
                &clamped(&want, (min, max)),
                &what,
            );
        }
        let (min, max) = (-1e30, 1e30);
        let spec = MaxPoolF32 { channels, kernel_width, stride, dilation, pad_left, min, max };
        let what = format!("{case:?} max {channels}");
        compare(&spec.pack(), &case.operand(&x), case.shape(channels), &clamped(&largest, (min, max)), &what);
    }
}

#[test]
fn fully_connected() {
    let mut random = Random(4);
    // Rows of the window, vectors in a row, inputs, outputs.
    for (rows, vectors, inputs, outputs) in [
        (1, 1, 1, 1),
        (1, 1, 13, 10),
        (4, 1, 24, 8),
        (7, 1, 21, 17),
        (1, 2, 9, 3),
        (1, 4, 16, 16),
        (1, 7, 5, 12),
        (1, 9, 30, 25),
    ] {
        for half in [false, true] {
            let x = reals(&mut random, vectors * inputs);
            let mut weights = reals(&mut random, outputs * inputs);
            let bias = reals(&mut random, outputs);
            let (min, max) = (-40.0, 2.5);
            let spec =
                FullyConnectedF32 { weights: &weights.clone(), half, bias: &bias, inputs, outputs, min, max };
            if half {
                weights = halves(&weights);
            }
            let number = |v: usize, o: usize| -> f64 {
                let products =
                    (0..inputs).map(|k| f64::from(x[v * inputs + k]) * f64::from(weights[o * inputs + k]));
                f64::from(bias[o]) + products.sum::<f64>()
            };
            let want: Vec<f64> = (0..vectors * outputs).map(|i| number(i / outputs, i % outputs)).collect();
            let input = f32s(rows, &x).inner((rows, 1, 1, 0));
            let shape = Shape { dtype: DType::F32, slices: 1, rows: 1, row: vectors * outputs };
            let what = format!("{rows} rows, {vectors} vectors, {inputs} -> {outputs}");
            compare(&spec.pack(), &input, shape, &clamped(&want, (min, max)), &what);
        }
    }
}
