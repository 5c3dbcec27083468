//! Kernels that move and convert data, against index arithmetic and, where TFLite defines the numbers, its formulas.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::kernels::cast::Cast;
use mote_runtime::kernels::concat::Concat;
use mote_runtime::kernels::copy::CopyRows;
use mote_runtime::kernels::gather::Gather;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::pad::Pad;
use mote_runtime::kernels::quantize::{DequantizeS8F32, QuantizeF32S8, RequantizeS8};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::kernels::resize::{Coordinates, NearestRounding, ResizeBilinear, ResizeNearest};
use mote_runtime::kernels::slice::Slice;
use mote_runtime::kernels::strided::{BroadcastTo, Strided, Transpose};
use mote_runtime::plan::DType;
use support::{Input, ONE, Random, Shape};

/// Rows of any type.
fn input(dtype: DType, rows: usize, bytes: &[u8]) -> Input {
    Input { dtype, slices: 1, rows, bytes: bytes.to_vec(), outer: ONE, inner: ONE, in_place: false }
}

fn shape(dtype: DType, rows: usize, row: usize) -> Shape {
    Shape { dtype, slices: 1, rows, row }
}

fn run(packed: &Packed, inputs: &[Input], shape: Shape, what: &str) -> Vec<u8> {
    support::run(packed, inputs, shape).unwrap_or_else(|e| panic!("{e}: {what}"))
}

fn of_size(element: usize) -> DType {
    match element {
        1 => DType::I8,
        2 => DType::F16,
        _ => DType::F32,
    }
}

fn bytes(random: &mut Random, len: usize) -> Vec<u8> {
    random.codes(len).iter().map(|c| *c as u8).collect()
}

fn reals(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
}

#[test]
fn copies_and_concatenations() {
    let mut random = Random(1);
    for element in [1, 2, 4] {
        let dtype = of_size(element);
        let x = bytes(&mut random, 6 * 5 * element);
        let got = run(&CopyRows.pack(), &[input(dtype, 6, &x)], shape(dtype, 6, 5), "copy");
        assert_eq!(got, x);
        let joined = input(dtype, 6, &x).inner((3, 3, 1, 0));
        assert_eq!(run(&CopyRows.pack(), &[joined], shape(dtype, 2, 15), "copy of windows"), x);

        for widths in [&[3usize][..], &[1, 4], &[2, 5, 1], &[1, 1, 1, 1, 1, 3]] {
            let (rows, positions) = (3, 4);
            let parts: Vec<Vec<u8>> =
                widths.iter().map(|w| bytes(&mut random, rows * positions * w * element)).collect();
            let mut want = Vec::new();
            for at in 0..rows * positions {
                for (part, width) in parts.iter().zip(widths) {
                    let width = width * element;
                    want.extend_from_slice(&part[at * width..(at + 1) * width]);
                }
            }
            let inputs: Vec<_> = parts.iter().map(|part| input(dtype, rows, part)).collect();
            let out = shape(dtype, rows, positions * widths.iter().sum::<usize>());
            assert_eq!(run(&Concat { positions }.pack(), &inputs, out, "concat"), want, "{widths:?}");
        }
    }
}

#[test]
fn slices_and_gathers() {
    let mut random = Random(2);
    for element in [1, 2, 4] {
        for (outer, len, inner, start, step, count) in [
            (1, 9, 1, 0, 1, 9),
            (3, 7, 2, 2, 1, 4),
            (2, 8, 3, 1, 3, 3),
            (4, 5, 1, 4, 1, 1),
            (1, 10, 5, 0, 2, 5),
        ] {
            let dtype = of_size(element);
            let block = inner * element;
            let x = bytes(&mut random, 2 * outer * len * block);
            let indices: Vec<u32> = (0..count as u32).map(|i| (start + i as usize * step) as u32).collect();
            let mut want = Vec::new();
            for row in x.chunks(len * block) {
                for index in &indices {
                    want.extend_from_slice(&row[*index as usize * block..][..block]);
                }
            }
            let out = shape(dtype, 2, outer * count * inner);
            let inputs = [input(dtype, 2, &x)];
            let spec = Slice { block_bytes: block, len, start, step, count };
            assert_eq!(run(&spec.pack(), &inputs, out, "slice"), want, "{spec:?}");
            let spec = Gather { block_bytes: block, len, indices: &indices };
            assert_eq!(run(&spec.pack(), &inputs, out, "gather"), want, "{spec:?}");
        }
    }
    let spec = Gather { block_bytes: 1, len: 4, indices: &[3, 0, 0, 2, 3] };
    let got = run(&spec.pack(), &[input(DType::U8, 1, b"abcd")], shape(DType::U8, 1, 5), "gather");
    assert_eq!(got, b"daacd");
}

#[test]
fn padding() {
    let mut random = Random(3);
    for element in [1, 2, 4] {
        for (outer, before, len, after, above) in
            [(1, 0, 3, 0, 1), (2, 1, 4, 2, 0), (3, 3, 1, 0, 2), (1, 0, 5, 7, 1)]
        {
            let dtype = of_size(element);
            let fill = [11, 22, 33, 44];
            let x = bytes(&mut random, 2 * outer * len * element);
            let made = before + len + after;
            let mut want = Vec::new();
            for _ in 0..(2 + 2 * above) * outer * made {
                want.extend_from_slice(&fill[..element]);
            }
            for (i, piece) in x.chunks(len * element).enumerate() {
                let at = ((above * outer + i) * made + before) * element;
                want[at..at + len * element].copy_from_slice(piece);
            }
            let spec = Pad {
                before_bytes: before * element,
                len_bytes: len * element,
                after_bytes: after * element,
                fill,
                element,
            };
            let inputs = [input(dtype, 2, &x).inner((1, 1, 1, above as isize))];
            let out = shape(dtype, 2 + 2 * above, outer * made);
            assert_eq!(run(&spec.pack(), &inputs, out, "pad"), want, "{spec:?}");
        }
    }
}

/// The position of flat index `i` in `shape`.
fn position(shape: &[usize], mut i: usize) -> Vec<usize> {
    let mut at: Vec<usize> = shape
        .iter()
        .rev()
        .map(|len| {
            let p = i % len;
            i /= len;
            p
        })
        .collect();
    at.reverse();
    at
}

fn flat(shape: &[usize], at: &[usize]) -> usize {
    shape.iter().zip(at).fold(0, |sum, (len, p)| sum * len + p)
}

#[test]
fn transpositions() {
    let mut random = Random(4);
    for (dims, perm) in [
        (&[5usize][..], &[0usize][..]),
        (&[3, 4], &[1, 0]),
        (&[2, 3, 5], &[0, 2, 1]),
        (&[2, 3, 4, 5], &[0, 2, 3, 1]),
        (&[1, 4, 1, 6], &[3, 0, 1, 2]),
        (&[2, 3, 4, 2, 3], &[4, 2, 0, 3, 1]),
        (&[2, 3, 2, 2, 3, 2], &[5, 1, 3, 0, 4, 2]),
        (&[1, 2, 1, 3, 2, 2, 1, 2], &[7, 1, 3, 0, 2, 4, 5, 6]),
    ] {
        for element in [1, 2, 4] {
            let len: usize = dims.iter().product();
            let x = bytes(&mut random, len * element);
            let out: Vec<usize> = perm.iter().map(|axis| dims[*axis]).collect();
            let mut want = Vec::new();
            for i in 0..len {
                let to = position(&out, i);
                let mut from = vec![0; dims.len()];
                perm.iter().zip(to).for_each(|(axis, p)| from[*axis] = p);
                want.extend_from_slice(&x[flat(dims, &from) * element..][..element]);
            }
            let dtype = of_size(element);
            let spec = Transpose { element, shape: dims, perm };
            let got = run(&spec.pack(), &[input(dtype, 1, &x)], shape(dtype, 1, len), "transpose");
            assert_eq!(got, want, "{spec:?}");
        }
    }
}

#[test]
fn broadcasts_and_strides() {
    let mut random = Random(5);
    for (from, to) in [
        (&[1usize][..], &[7usize][..]),
        (&[3, 1], &[3, 4]),
        (&[4], &[2, 3, 4]),
        (&[2, 1, 3, 1], &[2, 5, 3, 2]),
        (&[1, 3, 1, 2, 1, 2], &[2, 3, 2, 2, 3, 2]),
    ] {
        let x = bytes(&mut random, from.iter().product::<usize>() * 4);
        let len: usize = to.iter().product();
        let mut want = Vec::new();
        for i in 0..len {
            let at = position(to, i);
            let at: Vec<usize> = at[to.len() - from.len()..]
                .iter()
                .zip(from)
                .map(|(p, len)| if *len == 1 { 0 } else { *p })
                .collect();
            want.extend_from_slice(&x[flat(from, &at) * 4..][..4]);
        }
        let spec = BroadcastTo { element: 4, from, to };
        let got = run(&spec.pack(), &[input(DType::I32, 1, &x)], shape(DType::I32, 1, len), "broadcast");
        assert_eq!(got, want, "{spec:?}");
    }
    // Rows 1 and 3, columns 2, 4, 6 of five rows of eight.
    let x: Vec<u8> = (0..40).collect();
    let spec = Strided { element: 1, offset: 10, shape: &[2, 3], strides: &[16, 2] };
    let got = run(&spec.pack(), &[input(DType::U8, 1, &x)], shape(DType::U8, 1, 6), "strided");
    assert_eq!(got, [10, 12, 14, 26, 28, 30]);
    // One element behind the end is refused.
    let spec = Strided { element: 1, offset: 12, shape: &[2, 4], strides: &[22, 2] };
    assert!(support::run(&spec.pack(), &[input(DType::U8, 1, &x)], shape(DType::U8, 1, 8)).is_err());
}

const COORDINATES: [Coordinates; 4] = [
    Coordinates::HalfPixel { pytorch: false },
    Coordinates::HalfPixel { pytorch: true },
    Coordinates::AlignCorners,
    Coordinates::Asymmetric,
];

/// Heights and widths: from, to.
const SIZES: [[usize; 4]; 6] =
    [[4, 5, 8, 10], [7, 7, 14, 14], [5, 3, 3, 7], [6, 9, 1, 1], [1, 1, 3, 4], [3, 8, 7, 5]];

fn coordinate(coordinates: Coordinates, i: usize, n_in: usize, n_out: usize) -> f64 {
    let (i, from, to) = (i as f64, n_in as f64, n_out as f64);
    match coordinates {
        Coordinates::HalfPixel { pytorch: true } if n_out == 1 => 0.0,
        Coordinates::HalfPixel { .. } => (i + 0.5) * from / to - 0.5,
        Coordinates::AlignCorners if n_out == 1 => 0.0,
        Coordinates::AlignCorners => i * (from - 1.0) / (to - 1.0),
        Coordinates::Asymmetric => i * from / to,
    }
}

/// The picture's rows as rows of one slice, or as slices.
fn both_ways(rows: &Input, out: Shape) -> [(Input, Shape); 2] {
    let whole = (1, 0, 1, 0);
    let by_slices = Shape { slices: out.rows, rows: 1, ..out };
    [(rows.clone().inner(whole), out), (rows.clone().outer(rows.rows, whole).inner(ONE), by_slices)]
}

#[test]
fn nearest_neighbours() {
    use NearestRounding::*;
    let mut random = Random(6);
    for [h_in, w_in, h_out, w_out] in SIZES {
        let (element, channels) = (2, 3);
        let pixel = element * channels;
        let x = bytes(&mut random, h_in * w_in * pixel);
        for coordinates in COORDINATES {
            for rounding in [Floor, Ceil, HalfDown, HalfUp] {
                let index = |i, n_in, n_out| {
                    let at = coordinate(coordinates, i, n_in, n_out);
                    // Sums of exact fractions: a hair decides nothing but ties.
                    let at = match rounding {
                        Floor => (at + 1e-9).floor(),
                        Ceil => (at - 1e-9).ceil(),
                        HalfDown => (at - 0.5 - 1e-9).ceil(),
                        HalfUp => (at + 0.5 + 1e-9).floor(),
                    };
                    at.clamp(0.0, n_in as f64 - 1.0) as usize
                };
                let mut want = Vec::new();
                for y in 0..h_out {
                    for column in 0..w_out {
                        let at = index(y, h_in, h_out) * w_in + index(column, w_in, w_out);
                        want.extend_from_slice(&x[at * pixel..][..pixel]);
                    }
                }
                let spec = ResizeNearest {
                    in_height: h_in,
                    in_width: w_in,
                    out_height: h_out,
                    out_width: w_out,
                    pixel_bytes: pixel,
                    coordinates,
                    rounding,
                };
                let rows = input(DType::F16, h_in, &x);
                for (rows, out) in both_ways(&rows, shape(DType::F16, h_out, w_out * channels)) {
                    let got = run(&spec.pack(), &[rows], out, &format!("{spec:?}"));
                    assert_eq!(got, want, "{spec:?}");
                }
            }
        }
    }
}

#[test]
fn bilinear_floats() {
    let mut random = Random(7);
    let channels = 3;
    for [h_in, w_in, h_out, w_out] in SIZES {
        let x: Vec<f32> = (0..h_in * w_in * channels).map(|_| random.int(-999, 999) as f32 / 100.0).collect();
        for coordinates in COORDINATES {
            let spec = ResizeBilinear {
                in_height: h_in,
                in_width: w_in,
                out_height: h_out,
                out_width: w_out,
                channels,
                coordinates,
            };
            let axis = |i, n_in: usize, n_out| {
                let at = coordinate(coordinates, i, n_in, n_out).clamp(0.0, n_in as f64 - 1.0);
                (at.floor() as usize, at.ceil() as usize, at.fract())
            };
            let rows = input(DType::F32, h_in, bytemuck::cast_slice(&x));
            for (rows, out) in both_ways(&rows, shape(DType::F32, h_out, w_out * channels)) {
                let got = reals(&run(&spec.pack_f32(), &[rows], out, &format!("{spec:?}")));
                for (i, got) in got.iter().enumerate() {
                    let (c, column, y) = (i % channels, i / channels % w_out, i / channels / w_out);
                    let ((y0, y1, down), (x0, x1, part)) = (axis(y, h_in, h_out), axis(column, w_in, w_out));
                    let at = |y: usize, column: usize| f64::from(x[(y * w_in + column) * channels + c]);
                    let upper = at(y0, x0) * (1.0 - part) + at(y0, x1) * part;
                    let lower = at(y1, x0) * (1.0 - part) + at(y1, x1) * part;
                    let want = upper * (1.0 - down) + lower * down;
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-5,
                        "{spec:?}: {got} instead of {want} at {i}"
                    );
                }
            }
        }
    }
}

/// TFLite's `ResizeBilinearInteger`, line by line.
fn tflite_bilinear(x: &[i8], channels: usize, size: [usize; 4], coordinates: Coordinates) -> Vec<i8> {
    let [h_in, w_in, h_out, w_out] = size;
    let align = coordinates == Coordinates::AlignCorners;
    let half = coordinates == Coordinates::HalfPixel { pytorch: false };
    let axis = |i: usize, n_in: usize, n_out: usize| -> (i64, usize, usize) {
        let (i, from, to) = (i as i64, n_in as i64, n_out as i64);
        let mut scale = ((1 << 10) * from + to / 2) / to;
        if align && to > 1 {
            scale = ((1 << 10) * (from - 1) + (to - 1) / 2) / (to - 1);
        }
        let scaled = if half { i * scale + scale / 2 - (1 << 9) } else { i * scale };
        let lower = (scaled / (1 << 10)).max(0);
        let upper = ((scaled + (1 << 10) - 1) / (1 << 10)).min(from - 1);
        (scaled, lower as usize, upper as usize)
    };
    let mut out = Vec::new();
    for y in 0..h_out {
        let (input_y, y0, y1) = axis(y, h_in, h_out);
        for column in 0..w_out {
            let (input_x, x0, x1) = axis(column, w_in, w_out);
            for c in 0..channels {
                let at = |y: usize, column: usize| i64::from(x[(y * w_in + column) * channels + c]);
                let (down, part) = (input_y - (1 << 10) * y0 as i64, input_x - (1 << 10) * x0 as i64);
                let sum = at(y0, x0) * ((1 << 10) - down) * ((1 << 10) - part)
                    + at(y1, x0) * down * ((1 << 10) - part)
                    + at(y0, x1) * ((1 << 10) - down) * part
                    + at(y1, x1) * down * part;
                let round = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                out.push(((sum + round) / (1 << 20)) as i8);
            }
        }
    }
    out
}

#[test]
fn bilinear_codes_equal_tflite() {
    let mut random = Random(8);
    let channels = 2;
    for size in SIZES {
        let [in_height, in_width, out_height, out_width] = size;
        let x = random.codes(in_height * in_width * channels);
        for coordinates in COORDINATES {
            if coordinates == (Coordinates::HalfPixel { pytorch: true }) {
                continue;
            }
            let spec = ResizeBilinear { in_height, in_width, out_height, out_width, channels, coordinates };
            let rows = input(DType::I8, in_height, bytemuck::cast_slice(&x));
            for (rows, out) in both_ways(&rows, shape(DType::I8, out_height, out_width * channels)) {
                let got = run(&spec.pack_s8(), &[rows], out, &format!("{spec:?}"));
                let want = tflite_bilinear(&x, channels, size, coordinates);
                assert_eq!(bytemuck::cast_slice::<_, i8>(&got), want, "{spec:?}");
            }
        }
    }
}

#[test]
fn quantization() {
    let x = [0.0f32, 0.25, -0.25, 0.75, -0.75, 1.3, 100.0, -100.0, f32::INFINITY, f32::NEG_INFINITY];
    let inputs = [input(DType::F32, 1, bytemuck::cast_slice(&x))];
    let spec = QuantizeF32S8 { scale: 0.5, zero_point: 3, min: -128, max: 127, half_even: false };
    let got = run(&spec.pack(), &inputs, shape(DType::I8, 1, 10), "quantize");
    assert_eq!(bytemuck::cast_slice::<_, i8>(&got), [3, 4, 2, 5, 1, 6, 127, -128, 127, -128]);
    let spec = QuantizeF32S8 { zero_point: 131, min: 0, max: 255, half_even: true, ..spec };
    let got = run(&spec.pack(), &inputs, shape(DType::U8, 1, 10), "quantize");
    assert_eq!(got, [131, 131, 131, 133, 129, 134, 255, 0, 255, 0]);

    let codes: Vec<u8> = (0..=255).collect();
    for unsigned in [false, true] {
        let spec = DequantizeS8F32 { scale: 0.3, zero_point: -7, unsigned };
        let dtype = if unsigned { DType::U8 } else { DType::I8 };
        let value = |c: &u8| if unsigned { i32::from(*c) } else { i32::from(*c as i8) };
        let got = run(&spec.pack(), &[input(dtype, 1, &codes)], shape(DType::F32, 1, 256), "dequantize");
        let want: Vec<f32> = codes.iter().map(|c| 0.3 * (value(c) + 7) as f32).collect();
        assert_eq!(reals(&got), want);

        for (factor, rounding) in
            [(0.37, SINGLE), (0.37, DOUBLE), (1.0, DOUBLE), (2.9, SINGLE), (1e-12, DOUBLE)]
        {
            let requant = Requant { factors: vec![factor], zero_point: 5, min: -128, max: 127, rounding };
            let zero = if unsigned { 128 } else { 0 };
            let spec = RequantizeS8 { in_zero_point: zero, in_unsigned: unsigned, requant: &requant };
            let got = run(&spec.pack(), &[input(dtype, 1, &codes)], shape(DType::I8, 1, 256), "requantize");
            for (code, got) in codes.iter().zip(bytemuck::cast_slice::<_, i8>(&got)) {
                let want = f64::from(value(code) - zero) * factor + 5.0;
                let want = want.clamp(-128.0, 127.0);
                // The second rounding may push a number past the half.
                let limit = if rounding == SINGLE { 0.5001 } else { 0.7501 };
                assert!((f64::from(*got) - want).abs() <= limit, "{got} instead of {want}");
            }
        }
    }
}

#[test]
fn casts() {
    let x = [0.0f32, 1.9, -1.9, 300.0, -300.0, 3e9, -3e9, f32::NAN];
    let floats = [input(DType::F32, 1, bytemuck::cast_slice(&x))];
    let cast = |from, to| Cast { from, to }.pack();
    let got = run(&cast(DType::F32, DType::I32), &floats, shape(DType::I32, 1, 8), "i32");
    assert_eq!(bytemuck::pod_read_unaligned::<[i32; 8]>(&got), [0, 1, -1, 300, -300, i32::MAX, i32::MIN, 0]);
    let got = run(&cast(DType::F32, DType::I8), &floats, shape(DType::I8, 1, 8), "i8");
    assert_eq!(bytemuck::cast_slice::<_, i8>(&got), [0, 1, -1, 127, -128, 127, -128, 0]);
    let got = run(&cast(DType::F32, DType::U8), &floats, shape(DType::U8, 1, 8), "u8");
    assert_eq!(got, [0, 1, 0, 255, 0, 255, 0, 0]);
    let halves = run(&cast(DType::F32, DType::F16), &floats, shape(DType::F16, 1, 8), "f16");
    let back = [input(DType::F16, 1, &halves)];
    let got = reals(&run(&cast(DType::F16, DType::F32), &back, shape(DType::F32, 1, 8), "f32"));
    let want = x.map(|x| half::f16::from_f32(x).to_f32());
    assert_eq!(got[..7], want[..7]);
    for (dtype, bytes, want) in [
        (DType::I8, vec![0xffu8, 5], [-1.0, 5.0]),
        (DType::U8, vec![0xff, 5], [255.0, 5.0]),
        (DType::I32, [-70000i32, 9].iter().flat_map(|v| v.to_le_bytes()).collect(), [-70000.0, 9.0]),
    ] {
        let got = run(&cast(dtype, DType::F32), &[input(dtype, 1, &bytes)], shape(DType::F32, 1, 2), "from");
        assert_eq!(reals(&got), want);
    }
}
