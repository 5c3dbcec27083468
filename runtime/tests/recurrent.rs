//! Recurrent layers against their definitions in `f64`, all at once; what frame by frame gives is tested with networks.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::recurrent_f32::{GruF32, LstmF32};
use mote_runtime::plan::DType;
use support::{Input, ONE, Random, Shape, run};

const FRAMES: usize = 9;

fn reals(random: &mut Random, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.int(-1000, 1000) as f32 / 700.0).collect()
}

/// Numbers that half precision holds exactly.
fn halves(random: &mut Random, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.int(-1000, 1000) as f32 / 1024.0).collect()
}

fn states(packed: &Packed, x: &[f32], row: usize) -> Vec<f32> {
    let bytes = bytemuck::cast_slice(x).to_vec();
    let input =
        Input { dtype: DType::F32, slices: FRAMES, rows: 1, bytes, outer: ONE, inner: ONE, in_place: false };
    let shape = Shape { dtype: DType::F32, slices: FRAMES, rows: 1, row };
    let bytes = run(packed, &[input], shape).unwrap();
    bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
}

fn close(got: &[f32], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() < 1e-5, "{what}: {got} for {want}");
    }
}

fn product(weights: &[f32], row: usize, state: &[f64]) -> f64 {
    weights[row * state.len()..].iter().zip(state).map(|(w, h)| f64::from(*w) * h).sum()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn gru() {
    let mut random = Random(81);
    for size in [1usize, 5, 8, 19] {
        let (x, weights) = (reals(&mut random, FRAMES * 3 * size), halves(&mut random, 3 * size * size));
        let (bias, initial) = (reals(&mut random, 3 * size), reals(&mut random, size));
        for (reset_before, half) in [(false, false), (true, false), (false, true), (true, true)] {
            let packed =
                GruF32 { size, weights: &weights, half, bias: &bias, initial: &initial, reset_before }.pack();
            let mut h: Vec<f64> = initial.iter().map(|&h| h.into()).collect();
            let mut want = Vec::new();
            for x in x.chunks(3 * size) {
                let x = |k: usize| f64::from(x[k]);
                let sum = |k: usize, h: &[f64]| f64::from(bias[k]) + product(&weights, k, h);
                let z: Vec<f64> = (0..size).map(|i| sigmoid(x(i) + sum(i, &h))).collect();
                let r: Vec<f64> = (0..size).map(|i| sigmoid(x(size + i) + sum(size + i, &h))).collect();
                let kept: Vec<f64> = r.iter().zip(&h).map(|(r, h)| r * h).collect();
                let n = |i: usize| {
                    let k = 2 * size + i;
                    (x(k) + if reset_before { sum(k, &kept) } else { r[i] * sum(k, &h) }).tanh()
                };
                h = (0..size).map(|i| (1.0 - z[i]) * n(i) + z[i] * h[i]).collect();
                want.extend(&h);
            }
            close(&states(&packed, &x, size), &want, &format!("{size} {reset_before} {half}"));
        }
    }
}

#[test]
fn lstm() {
    let mut random = Random(82);
    for (size, half) in [(1usize, false), (6, false), (8, true), (21, true)] {
        let (x, weights) = (reals(&mut random, FRAMES * 4 * size), halves(&mut random, 4 * size * size));
        let initial = reals(&mut random, 2 * size);
        let packed = LstmF32 { size, weights: &weights, half, initial: &initial }.pack();
        let wide: Vec<f64> = initial.iter().map(|&h| h.into()).collect();
        let (mut h, mut c) = (wide[..size].to_vec(), wide[size..].to_vec());
        let mut want = Vec::new();
        for x in x.chunks(4 * size) {
            let gate = |k: usize| f64::from(x[k]) + product(&weights, k, &h);
            let next: Vec<(f64, f64)> = (0..size)
                .map(|i| {
                    let c = sigmoid(gate(2 * size + i)) * c[i] + sigmoid(gate(i)) * gate(3 * size + i).tanh();
                    (sigmoid(gate(size + i)) * c.tanh(), c)
                })
                .collect();
            (h, c) = next.into_iter().unzip();
            want.extend(h.iter().chain(&c));
        }
        close(&states(&packed, &x, 2 * size), &want, &format!("{size} {half}"));
    }
}
