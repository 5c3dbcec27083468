//! int8 kernels that work element by element, over vectors or over windows, against their definitions.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::binary_s8::{Affine, ExtremeS8, MulS8, SumS8};
use mote_runtime::kernels::layer_norm_s8::LayerNormS8;
use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::reduce_s8::{MeanS8, ReduceS8};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::kernels::softmax_s8::SoftmaxS8;
use mote_runtime::plan::DType;
use support::{Input, ONE, Random, Shape, run, run_s8};

fn requant(factor: f64, zero_point: i32, rounding: u8) -> Requant {
    Requant { factors: vec![factor], zero_point, min: -128, max: 127, rounding }
}

/// Every kernel with two inputs.
fn binaries(repeat: [usize; 2]) -> Vec<Packed> {
    let affine = |scale, zero_point| Affine { scale, zero_point };
    let mut all = Vec::new();
    for rounding in [SINGLE, DOUBLE] {
        let sum = SumS8 {
            a: affine(0.03, -7),
            b: affine(0.11, 100),
            output: affine(0.09, 5),
            repeat,
            min: -100,
            max: 127,
            rounding,
        };
        let product = MulS8 { zero_a: -3, zero_b: 9, repeat, requant: requant(0.004, 2, rounding) };
        all.extend([sum.pack_add(), sum.pack_sub(), product.pack()]);
    }
    let extreme = ExtremeS8 { repeat };
    all.extend([extreme.pack_maximum(), extreme.pack_minimum()]);
    all
}

/// Broadcasting is the same as spelling the operand out; in place is the same as out of place.
#[test]
fn broadcasting_and_in_place() {
    let mut random = Random(11);
    let len = 150;
    for (short, repeat) in [(150, 1), (15, 1), (1, 1), (50, 3), (10, 5), (1, 150), (75, 2)] {
        let (a, b) = (random.codes(len), random.codes(short));
        let spelled: Vec<i8> = (0..len).map(|i| b[i / repeat % short]).collect();
        let shape = Shape::s8(1, len);
        let plain = binaries([1, 1]);
        for (k, plain) in plain.iter().enumerate() {
            let want = run_s8(plain, &[Input::s8(1, &a), Input::s8(1, &spelled)], shape);
            let packed = &binaries([1, repeat])[k];
            let got = run_s8(packed, &[Input::s8(1, &a), Input::s8(1, &b)], shape);
            assert_eq!(got, want, "{k} {short} {repeat}");
            let got = run_s8(packed, &[Input::s8(1, &a).in_place(), Input::s8(1, &b)], shape);
            assert_eq!(got, want, "{k} {short} {repeat}, first in place");

            let want = run_s8(plain, &[Input::s8(1, &spelled), Input::s8(1, &a)], shape);
            let packed = &binaries([repeat, 1])[k];
            let got = run_s8(packed, &[Input::s8(1, &b), Input::s8(1, &a).in_place()], shape);
            assert_eq!(got, want, "{k} {short} {repeat}, second in place");
        }
    }
}

#[test]
fn one_tensor_twice_in_place() {
    let x = Random(12).codes(70);
    for packed in binaries([1, 1]) {
        let want = run_s8(&packed, &[Input::s8(1, &x), Input::s8(1, &x)], Shape::s8(1, 70));
        let twice = [Input::s8(1, &x).in_place(), Input::s8(1, &x).in_place()];
        assert_eq!(run_s8(&packed, &twice, Shape::s8(1, 70)), want);
    }
}

/// One row for all rows: a window of stride 0.
#[test]
fn rows_are_broadcast_by_the_window() {
    let mut random = Random(13);
    let (a, b) = (random.codes(6 * 20), random.codes(20));
    let spelled: Vec<i8> = (0..120).map(|i| b[i % 20]).collect();
    for packed in binaries([1, 1]) {
        let want = run_s8(&packed, &[Input::s8(6, &a), Input::s8(6, &spelled)], Shape::s8(6, 20));
        let inputs = [Input::s8(6, &a), Input::s8(1, &b).inner((1, 0, 1, 0))];
        assert_eq!(run_s8(&packed, &inputs, Shape::s8(6, 20)), want);
    }
}

#[test]
fn layer_norm_is_close_to_real_numbers() {
    let mut random = Random(14);
    let mut off = 0;
    let mut all = 0;
    for depth in [1usize, 2, 7, 48, 448, 4096] {
        for (input_scale, output_scale, low, high) in
            [(0.05, 0.03, -128, 127), (0.2, 0.02, -3, 3), (0.001, 0.05, 100, 127), (0.05, 0.03, 9, 9)]
        {
            let codes: Vec<i8> = (0..2 * depth).map(|_| random.int(low, high) as i8).collect();
            let gamma: Vec<f32> = (0..depth).map(|_| random.int(-150, 150) as f32 / 100.0).collect();
            let beta: Vec<f32> = (0..depth).map(|_| random.int(-100, 100) as f32 / 100.0).collect();
            let spec = LayerNormS8 {
                gamma: &gamma,
                beta: &beta,
                epsilon: 1e-5,
                input_scale,
                output_scale,
                zero_point: 4,
                min: -128,
                max: 127,
            };
            let got = run_s8(&spec.pack(), &[Input::s8(1, &codes).in_place()], Shape::s8(1, codes.len()));
            for (x, y) in codes.chunks(depth).zip(got.chunks(depth)) {
                let real: Vec<f64> = x.iter().map(|&x| f64::from(x) * input_scale).collect();
                let mean = real.iter().sum::<f64>() / depth as f64;
                let variance = real.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / depth as f64;
                for (i, &y) in y.iter().enumerate() {
                    let z = (real[i] - mean) / (variance + 1e-5).sqrt();
                    let want = (z * f64::from(gamma[i]) + f64::from(beta[i])) / output_scale + 4.0;
                    let want = want.clamp(-128.0, 127.0);
                    let error = (f64::from(y) - want).abs();
                    assert!(error < 0.5 + 1.0 / 512.0, "{depth} {input_scale} {i}: {y} for {want}");
                    off += i32::from(f64::from(y) != want.round());
                    all += 1;
                }
            }
        }
    }
    // What differs at all lies half-way between two codes.
    assert!(off * 1000 < all, "{off} of {all} codes differ from the rounded real result");
}

#[test]
fn softmax_of_16_bits_is_close_to_real_numbers() {
    let mut random = Random(15);
    for depth in [1usize, 3, 49, 196] {
        let x = random.codes(2 * depth);
        let spec = SoftmaxS8 { depth, input_scale: 0.04, beta: 1.0 };
        let shape = Shape { dtype: DType::I16, ..Shape::s8(1, 2 * depth) };
        let bytes = run(&spec.pack_s16(), &[Input::s8(1, &x)], shape).unwrap();
        let got: Vec<i16> = bytes.chunks(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        for (x, y) in x.chunks(depth).zip(got.chunks(depth)) {
            let exp: Vec<f64> = x.iter().map(|&x| (f64::from(x) * 0.04).exp()).collect();
            let sum: f64 = exp.iter().sum();
            for (exp, &y) in exp.iter().zip(y) {
                let want = (exp / sum * 65536.0).min(65535.0);
                assert!((f64::from(y) + 32768.0 - want).abs() < 2.0, "{depth}: {y} for {want}");
            }
        }
    }
}

#[test]
fn table() {
    let table: [i8; 256] = core::array::from_fn(|i| (i as i32 * 7 % 251 - 125) as i8);
    let x: Vec<i8> = (-128..=127).collect();
    for in_place in [false, true] {
        let input = Input { in_place, ..Input::s8(4, &x) };
        assert_eq!(run_s8(&LutS8 { table: &table }.pack(), &[input], Shape::s8(4, 64)), table);
    }
}

#[test]
fn sums_of_vectors_and_of_rows() {
    let mut random = Random(16);
    let x = random.codes(6 * 5 * 21);
    let spec = ReduceS8 { depth: 21, input_zero_point: -9, requant: requant(0.05, 3, SINGLE) };
    let want: Vec<i8> =
        x.chunks(21).map(|v| code(v.iter().map(|&x| f64::from(x) + 9.0).sum::<f64>() * 0.05 + 3.0)).collect();
    near(&run_s8(&spec.pack_sum(), &[Input::s8(1, &x)], Shape::s8(1, 30)), &want);

    // Rows alone: the channels are the whole row.
    let spec = MeanS8 { channels: 105, count: 6, input_zero_point: -9, requant: requant(1.0, -9, DOUBLE) };
    let mean = |i: usize| (0..6usize).map(|r| f64::from(x[r * 105 + i])).sum::<f64>() / 6.0;
    let want: Vec<i8> = (0..105).map(|i| code(mean(i))).collect();
    let input = Input::s8(6, &x).inner((6, 0, 1, 0));
    near(&run_s8(&spec.pack(), &[input], Shape::s8(1, 105)), &want);
}

fn code(value: f64) -> i8 {
    value.round().clamp(-128.0, 127.0) as i8
}

/// Equal but for the last bit of a factor, which decides where the real result is half-way.
fn near(got: &[i8], want: &[i8]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((i32::from(*got) - i32::from(*want)).abs() <= 1, "{got} for {want}");
    }
}

#[test]
fn average_with_padding_counted() {
    let x = Random(17).codes(5 * 6 * 3);
    let spec = PoolS8 {
        channels: 3,
        kernel_rows: 3,
        kernel_width: 3,
        stride: 2,
        dilation: 1,
        pad_left: 1,
        include_padding: true,
        zero_point: -20,
        min: -128,
        max: 127,
    };
    let mut want = Vec::new();
    for (row, column, c) in (0..3).flat_map(|r| (0..3).flat_map(move |x| (0..3).map(move |c| (r, x, c)))) {
        let mut sum = 0i32;
        for tap in 0..9usize {
            let (y, at) = ((row * 2 + tap / 3).wrapping_sub(1), (column * 2 + tap % 3).wrapping_sub(1));
            sum += if y < 5 && at < 6 { i32::from(x[(y * 6 + at) * 3 + c]) } else { -20 };
        }
        want.push(((sum + if sum > 0 { 4 } else { -4 }) / 9) as i8);
    }
    let input = Input::s8(5, &x).inner((3, 2, 1, 1));
    assert_eq!(run_s8(&spec.pack_average(), &[input], Shape::s8(3, 9)), want);
}

/// Any byte of the arguments may be damaged: the step is refused, or it runs; it never panics.
#[test]
fn damaged_arguments() {
    let x: Vec<i8> = Random(18).codes(60);
    let mut cases = vec![
        (LutS8 { table: &[0; 256] }.pack(), 1),
        (SoftmaxS8 { depth: 12, input_scale: 0.1, beta: 1.0 }.pack(), 1),
    ];
    cases.extend(binaries([1, 1]).into_iter().map(|packed| (packed, 2)));
    let gamma = [1.0; 12];
    let norm = LayerNormS8 {
        gamma: &gamma,
        beta: &gamma,
        epsilon: 1e-5,
        input_scale: 0.1,
        output_scale: 0.1,
        zero_point: 0,
        min: -128,
        max: 127,
    };
    cases.push((norm.pack(), 1));
    for (packed, inputs) in cases {
        for (at, value) in
            (0..packed.args.len()).flat_map(|at| [0, 1, 31, 127, 128, 200, 255].map(|v| (at, v)))
        {
            let mut packed = packed.clone();
            packed.args[at] = value;
            let inputs = vec![Input::s8(1, &x).inner(ONE); inputs];
            let _ = run(&packed, &inputs, Shape::s8(1, 60));
        }
        let right = packed.args.len();
        for len in [0, right.saturating_sub(1), right + 1] {
            let mut packed = packed.clone();
            packed.args.resize(len, 0);
            let inputs = vec![Input::s8(1, &x); inputs];
            assert_eq!(run(&packed, &inputs, Shape::s8(1, 60)).is_ok(), len == right, "{len}");
        }
    }
}
