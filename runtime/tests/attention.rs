//! Attention against its definition in `f64`: whole tensors, rows of pictures, rings of frames, heads side by side in one
//! tensor.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::attention::AttentionShape;
use mote_runtime::kernels::attention_f32::AttentionF32;
use mote_runtime::kernels::attention_s8::AttentionS8;
use mote_runtime::kernels::pack::Requant;
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::plan::DType;
use support::{Axis, Input, ONE, Random, Shape, run};

/// Lengths of an attention: heads, queries, keys, elements of a head of keys and of values.
#[derive(Clone, Copy, Debug)]
struct Case {
    heads: usize,
    queries: usize,
    keys: usize,
    depth: usize,
    value_depth: usize,
}

const CASES: [Case; 7] = [
    Case { heads: 1, queries: 1, keys: 1, depth: 1, value_depth: 1 },
    Case { heads: 4, queries: 1, keys: 60, depth: 12, value_depth: 12 },
    Case { heads: 3, queries: 8, keys: 8, depth: 4, value_depth: 4 },
    Case { heads: 8, queries: 49, keys: 49, depth: 32, value_depth: 128 },
    Case { heads: 2, queries: 5, keys: 300, depth: 7, value_depth: 3 },
    Case { heads: 1, queries: 2, keys: 1000, depth: 64, value_depth: 5 },
    Case { heads: 5, queries: 3, keys: 2, depth: 1, value_depth: 17 },
];

impl Case {
    /// Each operand a tensor of its own.
    fn separate(self) -> AttentionShape {
        let Case { heads, keys, depth, value_depth, .. } = self;
        let (length, value_length) = ((heads * depth) as u32, (heads * value_depth) as u32);
        AttentionShape {
            heads: heads as u32,
            keys: keys as u32,
            query_length: length,
            query_offset: 0,
            query_stride: depth as u32,
            key_length: length,
            key_offset: 0,
            key_stride: depth as u32,
            value_length,
            value_offset: 0,
            value_stride: value_depth as u32,
            depth: depth as u32,
            value_depth: value_depth as u32,
        }
    }

    /// Real results, `[queries, heads, value_depth]`; `q`, `k`, `v` are tensors of their own.
    fn results(self, scale: f64, q: &[f64], k: &[f64], v: &[f64], bias: &[f32]) -> Vec<f64> {
        let Case { heads, queries, keys, depth, value_depth } = self;
        let mut all = Vec::new();
        for (i, h) in (0..queries).flat_map(|i| (0..heads).map(move |h| (i, h))) {
            let at = |x: &[f64], i: usize, d: usize| x[(i * heads + h) * depth + d];
            let score = |j: usize| -> f64 {
                let product: f64 = (0..depth).map(|d| at(q, i, d) * at(k, j, d)).sum();
                let bias = bias.get((h * queries + i) * keys + j).copied().unwrap_or(0.0);
                scale * product + f64::from(bias)
            };
            let scores: Vec<f64> = (0..keys).map(score).collect();
            let most = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for d in 0..value_depth {
                let mixed: f64 =
                    weights.iter().enumerate().map(|(j, w)| w * v[(j * heads + h) * value_depth + d]).sum();
                all.push(mixed / sum);
            }
        }
        all
    }
}

fn input(dtype: DType, bytes: Vec<u8>, rows: usize, inner: Axis) -> Input {
    Input { dtype, slices: 1, rows, bytes, outer: ONE, inner, in_place: false }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// As one row of vectors, as a row for each vector, and as a slice for each, whose bias is that of its query.
#[test]
fn floats() {
    let mut random = Random(71);
    for case in CASES {
        let Case { heads, queries, keys, depth, value_depth } = case;
        for (with_bias, gain) in [(false, 1.0), (true, 1.0), (true, 30.0)] {
            let mut reals = |n: usize, gain: f32| -> Vec<f32> {
                (0..n).map(|_| gain * random.int(-1000, 1000) as f32 / 500.0).collect()
            };
            let (q, k) = (reals(queries * heads * depth, gain), reals(keys * heads * depth, gain));
            let v = reals(keys * heads * value_depth, 1.0);
            let bias = if with_bias { reals(heads * queries * keys, 2.0) } else { Vec::new() };
            let scale = 1.0 / (depth as f32).sqrt();
            let want = case.results(scale.into(), &wide(&q), &wide(&k), &wide(&v), &bias);
            let packed = AttentionF32 { shape: case.separate(), scale, bias: &bias }.pack();
            for (slices, m, n) in [(1, 1, 1), (1, queries, keys), (queries, 1, keys)] {
                let all =
                    |values: &[f32]| input(DType::F32, bytes(values), n, (n, 0, 1, 0)).outer(1, (1, 0, 1, 0));
                let asking = input(DType::F32, bytes(&q), slices * m, ONE).outer(slices, ONE);
                let inputs = [asking, all(&k), all(&v)];
                let shape = Shape { dtype: DType::F32, slices, rows: m, row: want.len() / m / slices };
                let got = run(&packed, &inputs, shape).unwrap();
                for (got, want) in got.chunks_exact(4).map(bytemuck::pod_read_unaligned::<f32>).zip(&want) {
                    // Rounded scores of 1e4 err by 1e-3.
                    let limit = 5e-6 * f64::from(gain * gain).max(1.0) * 3.0;
                    assert!((f64::from(got) - want).abs() < limit, "{case:?}: {got} for {want}");
                }
            }
        }
    }
}

/// Slices of several rows that have one bias together: frames of a stream.
#[test]
fn one_bias_for_all_slices() {
    let mut random = Random(74);
    let case = Case { heads: 2, queries: 3, keys: 5, depth: 4, value_depth: 3 };
    let Case { heads, queries, keys, depth, value_depth } = case;
    let mut reals =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.int(-1000, 1000) as f32 / 500.0).collect() };
    let (q, k) = (reals(queries * heads * depth), reals(keys * heads * depth));
    let (v, bias) = (reals(keys * heads * value_depth), reals(heads * queries * keys));
    let packed = AttentionF32 { shape: case.separate(), scale: 0.5, bias: &bias }.pack();
    let all = |values: &[f32]| input(DType::F32, bytes(values), 1, ONE).outer(1, (1, 0, 1, 0));
    let attend = |q: &[f32], slices: usize| {
        let asking = input(DType::F32, bytes(q), slices * queries, ONE).outer(slices, ONE);
        let shape = Shape { dtype: DType::F32, slices, rows: queries, row: heads * value_depth };
        let all = |values| Input { inner: (1, 0, 1, 0), ..all(values) };
        run(&packed, &[asking, all(&k), all(&v)], shape).unwrap()
    };
    assert_eq!(attend(&q.repeat(4), 4), attend(&q, 1).repeat(4));
}

/// Codes within one of the real results of the very codes given; nearly all are the rounded ones.
#[test]
fn codes() {
    let mut random = Random(72);
    let (mut off, mut all) = (0, 0);
    for case in CASES {
        let Case { heads, queries, keys, depth, value_depth } = case;
        // A flat softmax, a usual one, one that picks a single key.
        for (unit, with_bias, rounding) in [(1e-6, false, SINGLE), (4e-4, true, DOUBLE), (0.9, true, SINGLE)]
        {
            let q = random.codes(queries * heads * depth);
            let (k, v) = (random.codes(keys * heads * depth), random.codes(keys * heads * value_depth));
            let bias: Vec<f32> = match with_bias {
                true => (0..heads * queries * keys).map(|_| random.int(-40, 40) as f32 / 10.0).collect(),
                false => Vec::new(),
            };
            let (zero_query, zero_value, s_value, s_out) = (-5, 17, 0.02, 0.011);
            let real = |codes: &[i8], zero: i32| -> Vec<f64> {
                codes.iter().map(|&x| f64::from(i32::from(x) - zero)).collect()
            };
            let requant =
                Requant { factors: vec![s_value / s_out], zero_point: 3, min: -128, max: 127, rounding };
            let shape = case.separate();
            let packed = AttentionS8 { shape, unit, zero_query, zero_value, bias: &bias, requant }.pack();
            // Any zero point of the keys gives the same.
            let want = case.results(unit, &real(&q, zero_query), &real(&k, 9), &real(&v, zero_value), &bias);
            let inputs = [
                Input::s8(queries, &q),
                Input::s8(keys, &k).inner((keys, 0, 1, 0)),
                Input::s8(1, &v).inner((1, 0, 1, 0)),
            ];
            let got = run(&packed, &inputs, Shape::s8(queries, heads * value_depth)).unwrap();
            for (got, want) in got.iter().zip(want) {
                let want = (want * s_value / s_out + 3.0).clamp(-128.0, 127.0);
                let got = f64::from(*got as i8);
                assert!((got - want).abs() < 1.0, "{case:?} {unit}: {got} for {want}");
                off += i32::from(got != want.round());
                all += 1;
            }
        }
    }
    assert!(off * 50 < all, "{off} of {all} codes differ from the rounded real results");
}

/// One tensor holds queries, keys and values of each head side by side; the frames of the keys lie in a window over
/// slices, once for the newest frame alone, once for all frames of the window.
#[test]
fn windows_over_frames() {
    let (heads, depth, value_depth, keys, frames) = (3usize, 2usize, 5usize, 4usize, 9usize);
    let (stride, x) = (2 * depth + value_depth, Random(73).codes(9 * 3 * 9));
    let length = heads * stride;
    let mut shape = Case { heads, queries: 1, keys, depth, value_depth }.separate();
    (shape.query_length, shape.query_stride) = (length as u32, stride as u32);
    (shape.key_length, shape.key_stride, shape.key_offset) = (length as u32, stride as u32, depth as u32);
    (shape.value_length, shape.value_stride) = (length as u32, stride as u32);
    shape.value_offset = 2 * depth as u32;
    let part = |from: usize, to: usize, offset: usize, depth: usize| -> Vec<i8> {
        let head = |t: usize, h: usize| x[t * length + h * stride + offset..][..depth].iter().copied();
        (from..to).flat_map(|t| (0..heads).flat_map(move |h| head(t, h))).collect()
    };
    let requant = || Requant { factors: vec![1.2], zero_point: 0, min: -128, max: 127, rounding: SINGLE };
    let attention = |shape| AttentionS8 {
        shape,
        unit: 0.001,
        zero_query: 2,
        zero_value: -3,
        bias: &[],
        requant: requant(),
    };
    let windows = frames - keys + 1;
    let over = |count: usize, pad: isize| Input::s8(frames, &x).outer(frames, (count, 1, 1, pad));
    for newest in [true, false] {
        let queries = if newest { 1 } else { keys };
        let case = Case { heads, queries, keys, depth, value_depth };
        // The newest frame of window `t` is slice `t + keys - 1`.
        let asking = if newest { over(1, 1 - keys as isize) } else { over(keys, 0) };
        let row = queries * heads * value_depth;
        let output = Shape { dtype: DType::I8, slices: windows, rows: 1, row };
        let got = run(&attention(shape).pack(), &[asking, over(keys, 0), over(keys, 0)], output).unwrap();
        for (t, got) in got.chunks(row).enumerate() {
            let q = part(if newest { t + keys - 1 } else { t }, t + keys, 0, depth);
            let (k, v) = (part(t, t + keys, depth, depth), part(t, t + keys, 2 * depth, value_depth));
            let inputs = [
                Input::s8(queries, &q),
                Input::s8(1, &k).inner((1, 0, 1, 0)),
                Input::s8(1, &v).inner((1, 0, 1, 0)),
            ];
            let alone = Shape::s8(queries, heads * value_depth);
            assert_eq!(run(&attention(case.separate()).pack(), &inputs, alone).unwrap(), got, "{newest} {t}");
        }
    }
}

/// What does not fit is refused.
#[test]
fn refusals() {
    let case = Case { heads: 2, queries: 1, keys: 3, depth: 4, value_depth: 4 };
    let x = vec![0i8; 24];
    let attempt = |shape: AttentionShape, keys: usize| {
        let requant = Requant { factors: vec![1.0], zero_point: 0, min: -128, max: 127, rounding: SINGLE };
        let packed =
            AttentionS8 { shape, unit: 0.01, zero_query: 0, zero_value: 0, bias: &[], requant }.pack();
        let inputs = [
            Input::s8(1, &x[..8]),
            Input::s8(3, &x).inner((keys, 0, 1, 0)),
            Input::s8(3, &x).inner((3, 0, 1, 0)),
        ];
        run(&packed, &inputs, Shape::s8(1, 8))
    };
    assert!(attempt(case.separate(), 3).is_ok());
    assert!(attempt(case.separate(), 2).is_err());
    assert!(attempt(AttentionShape { key_offset: 1, ..case.separate() }, 3).is_err());
    assert!(attempt(AttentionShape { heads: 0, ..case.separate() }, 3).is_err());
    assert!(attempt(AttentionShape { depth: 0, ..case.separate() }, 3).is_err());
    assert!(attempt(AttentionShape { query_stride: u32::MAX, ..case.separate() }, 3).is_err());
    assert!(attempt(AttentionShape { value_length: 0, ..case.separate() }, 3).is_err());
}
