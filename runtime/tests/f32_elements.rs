//! Float matrix products, elementwise operators, reductions, softmax and layer norm against loops in `f64`.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::binary_f32::{self, BinaryF32};
use mote_runtime::kernels::layer_norm_f32::LayerNormF32;
use mote_runtime::kernels::matmul_f32::MatMulF32;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::prelu_f32::PreluF32;
use mote_runtime::kernels::reduce_f32::{ReduceF32, ReduceFunction};
use mote_runtime::kernels::softmax_f32::SoftmaxF32;
use mote_runtime::kernels::unary_f32::{self, UnaryF32};
use mote_runtime::plan::DType;
use support::{Input, ONE, Random, Shape, run};

fn reals(random: &mut Random, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.int(-1000, 1000) as f32 / 500.0).collect()
}

fn f32s(rows: usize, values: &[f32]) -> Input {
    let bytes = bytemuck::cast_slice(values).to_vec();
    Input { dtype: DType::F32, slices: 1, rows, bytes, outer: ONE, inner: ONE, in_place: false }
}

fn shape(rows: usize, row: usize) -> Shape {
    Shape { dtype: DType::F32, slices: 1, rows, row }
}

fn compare(packed: &Packed, inputs: &[Input], shape: Shape, want: &[f64], what: &str) {
    let bytes = run(packed, inputs, shape).unwrap_or_else(|e| panic!("{e}: {what}"));
    let got: Vec<f32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let close = (f64::from(*got) - want).abs() <= 3e-6 * (1.0 + want.abs());
        assert!(close || f64::from(*got) == *want, "{what}: {got} instead of {want} at {i}");
    }
}

#[test]
fn matrix_products() {
    let mut random = Random(1);
    for (m, k, n) in [(1, 1, 1), (4, 8, 8), (5, 3, 17), (49, 32, 49), (9, 7, 3), (3, 20, 30), (8, 5, 12)] {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let batch = 3;
            let (a, b) = (reals(&mut random, batch * m * k), reals(&mut random, k * n));
            let at = |i, l| if transpose_a { l * m + i } else { i * k + l };
            let bt = |l, j| if transpose_b { j * k + l } else { l * n + j };
            let number = |s: usize, i: usize, j: usize| -> f64 {
                (0..k).map(|l| f64::from(a[s * m * k + at(i, l)]) * f64::from(b[bt(l, j)])).sum()
            };
            let want: Vec<f64> = (0..batch * m * n).map(|x| number(x / (m * n), x / n % m, x % n)).collect();
            let spec = MatMulF32 { m, k, n, transpose_a, transpose_b };
            let inputs = [f32s(batch, &a), f32s(1, &b).inner((1, 0, 1, 0))];
            compare(&spec.pack(), &inputs, shape(batch, m * n), &want, &format!("{spec:?}"));
        }
    }
}

/// One operand of an elementwise operator: rows, their length, how often each number counts.
type Pattern = (usize, usize, usize);

#[test]
fn binary_operators() {
    use binary_f32::Function::*;
    let mut random = Random(2);
    let whole: Pattern = (3, 24, 1);
    let patterns: [Pattern; 8] =
        [whole, (3, 6, 1), (3, 1, 1), (1, 24, 1), (1, 6, 1), (1, 1, 1), (3, 4, 6), (1, 2, 3)];
    for function in [Add, Sub, Mul, Div, Max, Min, SquaredDifference, Pow] {
        for (i, other) in patterns.into_iter().enumerate() {
            for (a, b) in [(whole, other), (other, whole), (other, other)] {
                for in_place in [None, Some(0), Some(1)] {
                    let place = in_place.map(|k| [a, b][k]);
                    if place.is_some_and(|place| place != whole) {
                        continue;
                    }
                    let mut values = [a, b].map(|(rows, len, _)| reals(&mut random, rows * len));
                    if function == Pow {
                        values[0].iter_mut().for_each(|x| *x = x.abs() + 0.1);
                    }
                    let at =
                        |(rows, len, repeat): Pattern, i: usize| i / 24 % rows * len + i % 24 / repeat % len;
                    let (min, max) =
                        if i % 2 == 0 { (f32::NEG_INFINITY, f32::INFINITY) } else { (-0.5, 1.0) };
                    let number = |i: usize| {
                        let (x, y) = (f64::from(values[0][at(a, i)]), f64::from(values[1][at(b, i)]));
                        let z = match function {
                            Add => x + y,
                            Sub => x - y,
                            Mul => x * y,
                            Div => x / y,
                            Max => x.max(y),
                            Min => x.min(y),
                            SquaredDifference => (x - y) * (x - y),
                            Pow => x.powf(y),
                        };
                        z.max(min.into()).min(max.into())
                    };
                    if function == Div && values[1].contains(&0.0) {
                        continue;
                    }
                    let want: Vec<f64> = (0..72).map(number).collect();
                    let spec = BinaryF32 { function, repeat_a: a.2, repeat_b: b.2, min, max };
                    let mut inputs = Vec::new();
                    for (k, (rows, ..)) in [a, b].into_iter().enumerate() {
                        let stride = if rows == 1 { 0 } else { 1 };
                        let input = f32s(rows, &values[k]).inner((1, stride, 1, 0));
                        inputs.push(if in_place == Some(k) { input.in_place() } else { input });
                    }
                    let what = format!("{spec:?} {a:?} {b:?} in place {in_place:?}");
                    compare(&spec.pack(), &inputs, shape(3, 24), &want, &what);
                }
            }
        }
    }
}

#[test]
fn both_operands_in_place() {
    let mut random = Random(3);
    let x = reals(&mut random, 40);
    let want: Vec<f64> = x.iter().map(|x| f64::from(*x) * f64::from(*x)).collect();
    let function = binary_f32::Function::Mul;
    let (min, max) = (f32::NEG_INFINITY, f32::INFINITY);
    let spec = BinaryF32 { function, repeat_a: 1, repeat_b: 1, min, max };
    compare(&spec.pack(), &[f32s(2, &x).in_place(), f32s(2, &x).in_place()], shape(2, 20), &want, "x * x");
}

#[test]
fn unary_functions() {
    use unary_f32::Function::*;
    let all = (0..=u8::MAX).filter_map(unary_f32::Function::from_code);
    for function in all {
        let positive = matches!(function, Log | Sqrt | Rsqrt | Reciprocal);
        let x: Vec<f32> =
            (-120..=120).map(|i| if positive { (i + 121) as f32 / 17.0 } else { i as f32 / 11.5 }).collect();
        let (p, q) = match function {
            Clip => (-1.5, 2.25),
            HardSigmoid => (0.2, 0.5),
            _ => (0.3, 0.0),
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let real = |x: f64| -> f64 {
            let (p, q) = (f64::from(p), f64::from(q));
            match function {
                Relu => x.max(0.0),
                Relu6 => x.clamp(0.0, 6.0),
                Clip => x.clamp(p, q),
                LeakyRelu => {
                    if x < 0.0 {
                        p * x
                    } else {
                        x
                    }
                }
                Elu => {
                    if x < 0.0 {
                        p * x.exp_m1()
                    } else {
                        x
                    }
                }
                Sigmoid => sigmoid(x),
                Tanh => x.tanh(),
                Swish => x * sigmoid(x),
                HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
                HardSigmoid => (p * x + q).clamp(0.0, 1.0),
                Gelu => 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt())),
                GeluTanh => {
                    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                    0.5 * x * (1.0 + inner.tanh())
                }
                Erf => libm::erf(x),
                Exp => x.exp(),
                Log => x.ln(),
                Sqrt => x.sqrt(),
                Rsqrt => 1.0 / x.sqrt(),
                Reciprocal => 1.0 / x,
                Square => x * x,
                Abs => x.abs(),
                Neg => -x,
                Softplus => softplus(x),
                Mish => x * softplus(x).tanh(),
                Floor => x.floor(),
                Ceil => x.ceil(),
                Round => x.round_ties_even(),
                Sin => x.sin(),
                Cos => x.cos(),
            }
        };
        let want: Vec<f64> = x.iter().map(|x| real((*x).into())).collect();
        let packed = UnaryF32 { function, p, q }.pack();
        let what = format!("{function:?}");
        compare(&packed, &[f32s(1, &x)], shape(1, x.len()), &want, &what);
        compare(&packed, &[f32s(1, &x).in_place()], shape(1, x.len()), &want, &what);
        let one = function.apply(x[7], p, q);
        assert!((f64::from(one) - want[7]).abs() <= 1e-5 * want[7].abs().max(1.0), "{what}");
    }
}

#[test]
fn parametric_relu() {
    let mut random = Random(4);
    for slopes in [1, 5, 20] {
        let (x, slope) = (reals(&mut random, 60), reals(&mut random, slopes));
        let number = |(i, x): (usize, &f32)| f64::from(if *x < 0.0 { x * slope[i % slopes] } else { *x });
        let want: Vec<f64> = x.iter().enumerate().map(number).collect();
        let packed = PreluF32 { slopes: &slope }.pack();
        compare(&packed, &[f32s(3, &x)], shape(3, 20), &want, "prelu");
        compare(&packed, &[f32s(3, &x).in_place()], shape(3, 20), &want, "prelu in place");
    }
}

#[test]
fn reductions() {
    let mut random = Random(5);
    for (rows, outer, len, inner) in
        [(1, 1, 1, 1), (7, 1, 7, 13), (1, 6, 21, 1), (3, 2, 5, 4), (1, 1, 1000, 1), (112, 1, 112, 3)]
    {
        for function in [ReduceFunction::Mean, ReduceFunction::Sum, ReduceFunction::Max] {
            let row = outer * len * inner;
            let x = reals(&mut random, rows * row);
            let number = |i: usize| {
                let numbers = (0..rows * len).map(|r| {
                    let (row_at, l) = (r / len * row, r % len);
                    f64::from(x[row_at + (i / inner * len + l) * inner + i % inner])
                });
                match function {
                    ReduceFunction::Mean => numbers.sum::<f64>() / (rows * len) as f64,
                    ReduceFunction::Sum => numbers.sum::<f64>(),
                    ReduceFunction::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
                }
            };
            let want: Vec<f64> = (0..outer * inner).map(number).collect();
            let spec = ReduceF32 { function, outer, len, inner };
            let input = f32s(rows, &x).inner((rows, 1, 1, 0));
            compare(&spec.pack(), &[input], shape(1, outer * inner), &want, &format!("{rows} {spec:?}"));
        }
    }
}

#[test]
fn softmax_and_layer_norm() {
    let mut random = Random(6);
    for depth in [1, 2, 7, 16, 49] {
        let x: Vec<f32> = reals(&mut random, 4 * depth).iter().map(|x| x * 20.0).collect();
        let (gamma, offset) = (reals(&mut random, depth), reals(&mut random, depth));
        let (mut softmax, mut norm) = (Vec::new(), Vec::new());
        for vector in x.chunks(depth) {
            let exps: Vec<f64> = vector.iter().map(|x| (0.7 * f64::from(*x)).exp()).collect();
            let sum: f64 = exps.iter().sum();
            softmax.extend(exps.iter().map(|e| e / sum));
            let mean = vector.iter().map(|x| f64::from(*x)).sum::<f64>() / depth as f64;
            let squares = vector.iter().map(|x| (f64::from(*x) - mean).powi(2));
            let variance = squares.sum::<f64>() / depth as f64;
            norm.extend(vector.iter().zip(gamma.iter().zip(&offset)).map(|(x, (g, b))| {
                (f64::from(*x) - mean) / (variance + 1e-5).sqrt() * f64::from(*g) + f64::from(*b)
            }));
        }
        let out = shape(2, 2 * depth);
        for input in [f32s(2, &x), f32s(2, &x).in_place()] {
            let packed = SoftmaxF32 { depth, beta: 0.7 }.pack();
            compare(&packed, core::slice::from_ref(&input), out, &softmax, &format!("softmax {depth}"));
            let packed = LayerNormF32 { gamma: &gamma, beta: &offset, epsilon: 1e-5 }.pack();
            compare(&packed, &[input], out, &norm, &format!("layer norm {depth}"));
        }
    }
}
