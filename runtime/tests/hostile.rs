//! Damaged arguments, windows and constants: what a kernel's `check` accepts must run without error or panic.
#![cfg(feature = "pack")]

mod support;

use std::cell::Cell;

use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::portable::{self, ENTRIES, id};
use mote_runtime::kernels::*;
use mote_runtime::plan::{DType, Fault};
use support::{Axis, Input, ONE, Random, Shape};

thread_local! {
    static ACCEPTED: Cell<bool> = const { Cell::new(false) };
}

/// As the portable check, and remembers the verdict.
fn check(id: u16, step: &StepView<'_>) -> Result<(), Fault> {
    let verdict = portable::check(id, step);
    ACCEPTED.set(verdict.is_ok());
    verdict
}

static LIBRARY: Library = Library { entries: ENTRIES, check };

/// A sound step of each kernel.
struct Step {
    packed: Packed,
    inputs: Vec<Input>,
    output: Shape,
}

fn step(packed: Packed, inputs: &[(DType, usize, usize, Axis)], output: (DType, usize, usize)) -> Step {
    let input = |&(dtype, rows, row, inner): &(DType, usize, usize, Axis)| {
        let bytes = (0..rows * row * dtype.size()).map(|i| (i * 37 % 100) as u8).collect();
        Input { dtype, slices: 1, rows, bytes, outer: ONE, inner, in_place: false }
    };
    let (dtype, rows, row) = output;
    Step { packed, inputs: inputs.iter().map(input).collect(), output: Shape { dtype, slices: 1, rows, row } }
}

fn steps() -> Vec<Step> {
    use DType::{F32, I8};
    let mut steps = dense_steps();
    let (mut codes, mut reals) = ([0i8; 60], [0f32; 60]);
    for at in (0..60).step_by(7) {
        (codes[at], reals[at]) = (at as i8 - 30, 0.5);
    }
    let requant = &Requant { factors: vec![0.1; 6], zero_point: 1, min: -128, max: 127, rounding: 1 };
    for (block, strip) in sparse::Block::ALL.into_iter().zip([4, 8, 16, 32, 4]) {
        let (out_channels, stride, bias) = (6, 2, &[][..]);
        let layer = spmm_s8::SpmmS8 {
            weights: &codes,
            bias: &[3; 6],
            out_channels,
            stride,
            input_zero_point: 2,
            requant,
        };
        steps.push(step(layer.pack(block, strip), &[(I8, 2, 90, ONE)], (I8, 2, 30)));
        for half in [false, true] {
            let weights = &reals;
            let layer = spmm_f32::SpmmF32 { weights, half, bias, out_channels, stride, min: -1.0, max: 1.0 };
            steps.push(step(layer.pack(block, strip), &[(F32, 2, 90, ONE)], (F32, 2, 30)));
        }
    }
    steps
}

/// Those of all kernels but the sparse ones.
fn dense_steps() -> Vec<Step> {
    use DType::{F32, I8, I32};
    let weights = [0.5f32; 200];
    let (min, max) = (-1.0, 1.0);
    let mut steps = Vec::new();
    for half in [false, true] {
        let conv = conv2d_f32::ConvF32 {
            weights: &weights[..108],
            half,
            bias: &[],
            in_channels: 4,
            out_channels: 6,
            kernel_rows: 3,
            kernel_width: 3,
            stride: 2,
            dilation: 1,
            pad_left: 1,
            groups: 2,
            min,
            max,
        };
        steps.push(step(conv.pack(), &[(F32, 5, 24, (3, 1, 1, 1))], (F32, 5, 18)));
        let depthwise = depthwise_f32::DepthwiseF32 {
            weights: &weights[..45],
            half,
            bias: &[],
            in_channels: 5,
            multiplier: 1,
            kernel_rows: 3,
            kernel_width: 3,
            stride: 1,
            dilation: 1,
            pad_left: 1,
            min,
            max,
        };
        steps.push(step(depthwise.pack(), &[(F32, 4, 20, (3, 1, 1, 1))], (F32, 4, 20)));
        let depthwise = depthwise_f32::DepthwiseF32 { in_channels: 1, multiplier: 5, ..depthwise };
        steps.push(step(depthwise.pack(), &[(F32, 4, 4, (3, 1, 1, 1))], (F32, 4, 20)));
        let weights = &weights[..60];
        let dense = fully_connected_f32::FullyConnectedF32 {
            weights,
            half,
            bias: &[],
            inputs: 6,
            outputs: 10,
            min,
            max,
        };
        steps.push(step(dense.pack(), &[(F32, 2, 3, (2, 1, 1, 0))], (F32, 1, 10)));
        steps.push(step(dense.pack(), &[(F32, 2, 30, ONE)], (F32, 2, 50)));
    }
    let sum = running_sum::RunningSum { channels: 3 };
    steps.push(step(sum.pack_f32(), &[(F32, 1, 12, ONE)], (F32, 1, 3)));
    for (half, reset_before) in [(false, false), (true, true)] {
        let (size, initial, bias) = (4, &weights[..4], &weights[..12]);
        let weights = &weights[..64];
        let gru = recurrent_f32::GruF32 { size, weights: &weights[..48], half, bias, initial, reset_before };
        steps.push(step(gru.pack(), &[(F32, 1, 12, ONE)], (F32, 1, 4)));
        let lstm = recurrent_f32::LstmF32 { size, weights, half, initial: &weights[..8] };
        steps.push(step(lstm.pack(), &[(F32, 1, 16, ONE)], (F32, 1, 8)));
    }
    for bias in [&[][..], &weights[..12]] {
        let shape = attention::AttentionShape {
            heads: 2,
            keys: 3,
            query_length: 4,
            query_offset: 0,
            query_stride: 2,
            key_length: 4,
            key_offset: 0,
            key_stride: 2,
            value_length: 6,
            value_offset: 0,
            value_stride: 3,
            depth: 2,
            value_depth: 3,
        };
        let all = (3, 0, 1, 0);
        let inputs = [(F32, 2, 4, ONE), (F32, 3, 4, all), (F32, 3, 6, all)];
        let attention = attention_f32::AttentionF32 { shape, scale: 0.5, bias };
        steps.push(step(attention.pack(), &inputs, (F32, 2, 6)));
    }
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, true)] {
        let product = matmul_f32::MatMulF32 { m: 2, k: 3, n: 10, transpose_a, transpose_b };
        steps.push(step(product.pack(), &[(F32, 2, 6, ONE), (F32, 2, 30, ONE)], (F32, 2, 20)));
    }
    let sum =
        binary_f32::BinaryF32 { function: binary_f32::Function::Add, repeat_a: 1, repeat_b: 3, min, max };
    steps.push(step(sum.pack(), &[(F32, 2, 12, ONE), (F32, 1, 2, (1, 0, 1, 0))], (F32, 2, 12)));
    let unary = unary_f32::UnaryF32 { function: unary_f32::Function::Swish, p: 1.0, q: 2.0 };
    steps.push(step(unary.pack(), &[(F32, 2, 5, ONE)], (F32, 2, 5)));
    steps.push(step(prelu_f32::PreluF32 { slopes: &[0.1, 0.2] }.pack(), &[(F32, 2, 6, ONE)], (F32, 2, 6)));
    let (channels, kernel_width, stride, dilation, pad_left) = (3, 2, 2, 1, 1);
    let pool = pool_f32::MaxPoolF32 { channels, kernel_width, stride, dilation, pad_left, min, max };
    steps.push(step(pool.pack(), &[(F32, 4, 12, (2, 2, 1, 1))], (F32, 2, 6)));
    let include_padding = false;
    let pool = pool_f32::AveragePoolF32 {
        channels,
        kernel_width,
        stride,
        dilation,
        pad_left,
        include_padding,
        min,
        max,
    };
    steps.push(step(pool.pack(), &[(F32, 4, 12, (2, 2, 1, 1))], (F32, 2, 6)));
    let mean =
        reduce_f32::ReduceF32 { function: reduce_f32::ReduceFunction::Mean, outer: 2, len: 4, inner: 3 };
    steps.push(step(mean.pack(), &[(F32, 3, 24, (3, 1, 1, 0))], (F32, 1, 6)));
    let sum = running_sum::RunningSum { channels: 3 };
    steps.push(step(sum.pack_f32(), &[(F32, 3, 12, (3, 1, 1, 0))], (F32, 1, 3)));
    steps.push(step(
        softmax_f32::SoftmaxF32 { depth: 4, beta: 1.0 }.pack(),
        &[(F32, 2, 8, ONE)],
        (F32, 2, 8),
    ));
    let norm = layer_norm_f32::LayerNormF32 { gamma: &weights[..4], beta: &weights[..4], epsilon: 1e-5 };
    steps.push(step(norm.pack(), &[(F32, 2, 8, ONE)], (F32, 2, 8)));

    steps.push(step(copy::CopyRows.pack(), &[(I8, 4, 6, (2, 2, 1, 0))], (I8, 2, 12)));
    steps.push(step(
        concat::Concat { positions: 3 }.pack(),
        &[(I8, 2, 6, ONE), (I8, 2, 9, ONE)],
        (I8, 2, 15),
    ));
    let slice = slice::Slice { block_bytes: 2, len: 6, start: 1, step: 2, count: 3 };
    steps.push(step(slice.pack(), &[(I8, 2, 24, ONE)], (I8, 2, 12)));
    let pad = pad::Pad { before_bytes: 2, len_bytes: 4, after_bytes: 1, fill: [7; 4], element: 1 };
    steps.push(step(pad.pack(), &[(I8, 2, 8, (1, 1, 1, 1))], (I8, 4, 14)));
    for element in [1, 4] {
        let transpose = strided::Transpose { element, shape: &[2, 3, 2], perm: &[2, 1, 0] };
        let dtype = if element == 1 { I8 } else { I32 };
        steps.push(step(transpose.pack(), &[(dtype, 1, 12, ONE)], (dtype, 1, 12)));
    }
    let gather = gather::Gather { block_bytes: 2, len: 5, indices: &[4, 0, 1] };
    steps.push(step(gather.pack(), &[(I8, 2, 20, ONE)], (I8, 2, 12)));
    let coordinates = resize::Coordinates::AlignCorners;
    let (in_height, in_width, out_height, out_width) = (3, 4, 5, 6);
    let rounding = resize::NearestRounding::Floor;
    let nearest = resize::ResizeNearest {
        in_height,
        in_width,
        out_height,
        out_width,
        pixel_bytes: 2,
        coordinates,
        rounding,
    };
    let whole = (1, 0, 1, 0);
    steps.push(step(nearest.pack(), &[(I8, 3, 8, whole)], (I8, 5, 12)));
    let bilinear =
        resize::ResizeBilinear { in_height, in_width, out_height, out_width, channels: 2, coordinates };
    steps.push(step(bilinear.pack_s8(), &[(I8, 3, 8, whole)], (I8, 5, 12)));
    steps.push(step(bilinear.pack_f32(), &[(F32, 3, 8, whole)], (F32, 5, 12)));

    let quantize =
        quantize::QuantizeF32S8 { scale: 0.1, zero_point: 3, min: -128, max: 127, half_even: false };
    steps.push(step(quantize.pack(), &[(F32, 2, 5, ONE)], (I8, 2, 5)));
    let dequantize = quantize::DequantizeS8F32 { scale: 0.1, zero_point: 3, unsigned: false };
    steps.push(step(dequantize.pack(), &[(I8, 2, 5, ONE)], (F32, 2, 5)));
    let requant = Requant { factors: vec![0.7], zero_point: 1, min: -128, max: 127, rounding: 1 };
    let requantize = quantize::RequantizeS8 { in_zero_point: 2, in_unsigned: false, requant: &requant };
    steps.push(step(requantize.pack(), &[(I8, 2, 5, ONE)], (I8, 2, 5)));
    steps.push(step(cast::Cast { from: F32, to: I32 }.pack(), &[(F32, 2, 5, ONE)], (I32, 2, 5)));
    steps
}

/// Damages one thing.
fn damage(step: &mut Step, random: &mut Random) {
    let sizes = [0, 1, 2, 3, 4, 5, 6, 8, 12, 15];
    let size = sizes[random.int(0, 9) as usize];
    let k = random.int(0, step.inputs.len() as i64 - 1) as usize;
    let input = &mut step.inputs[k];
    match random.int(0, 9) {
        0..=3 if !step.packed.args.is_empty() => {
            let at = random.int(0, step.packed.args.len() as i64 - 1) as usize;
            let byte = &mut step.packed.args[at];
            *byte = match random.int(0, 3) {
                0 => random.next() as u8,
                1 => byte.wrapping_add(1),
                2 => byte.wrapping_sub(1),
                _ => 0,
            };
        }
        4 if random.int(0, 1) == 0 => {
            step.packed.args.truncate(size);
        }
        4 => {
            step.packed.scratch = (step.packed.scratch + size).saturating_sub(5);
        }
        5 if !step.packed.blobs.is_empty() => {
            let at = random.int(0, step.packed.blobs.len() as i64 - 1) as usize;
            let blob = &mut step.packed.blobs[at];
            if random.int(0, 1) == 0 {
                blob.truncate(random.int(0, blob.len() as i64) as usize);
            } else if !blob.is_empty() {
                let byte = random.int(0, blob.len() as i64 - 1) as usize;
                blob[byte] = random.next() as u8;
            }
        }
        6 => {
            let axis = if random.int(0, 2) == 0 { &mut input.outer } else { &mut input.inner };
            match random.int(0, 3) {
                0 => axis.0 = size,
                1 => axis.1 = size,
                2 => axis.2 = size,
                _ => axis.3 = size as isize - 3,
            }
        }
        7 => {
            if size > 0 && input.bytes.len().is_multiple_of(size * input.dtype.size()) {
                input.rows = size;
            }
        }
        8 => {
            let types = [DType::I8, DType::F32, DType::U8, DType::I32, DType::F16];
            let dtype = types[random.int(0, 4) as usize];
            if random.int(0, 1) == 0 { step.output.dtype = dtype } else { input.dtype = dtype }
        }
        _ => match random.int(0, 3) {
            0 => step.output.rows = size.max(1),
            1 => step.output.row = size.max(1) * random.int(1, 4) as usize,
            2 => step.output.slices = size.max(1),
            _ => input.in_place = true,
        },
    }
}

#[test]
fn accepted_steps_run() {
    let mut random = Random(1);
    let (mut accepted, mut refused) = (0, 0);
    let mut seen = std::collections::HashSet::new();
    for round in 0..4000 {
        for (index, mut step) in steps().into_iter().enumerate() {
            for _ in 0..random.int(0, 4).min(round) {
                damage(&mut step, &mut random);
            }
            let fits = |input: &Input| {
                let output = step.output;
                let same =
                    input.bytes.len() == output.slices * output.rows * output.row * output.dtype.size();
                (!input.in_place || same) && input.bytes.len().is_multiple_of(input.rows * input.dtype.size())
            };
            if !step.inputs.iter().all(fits) {
                continue;
            }
            ACCEPTED.set(false);
            let result = support::run_with(&LIBRARY, &step.packed, &step.inputs, step.output);
            if ACCEPTED.get() {
                accepted += 1;
                seen.insert(step.packed.kernel);
                let (args, blobs) = (&step.packed.args, step.packed.blobs.len());
                let kernel = step.packed.kernel;
                assert!(
                    result.is_ok(),
                    "step {index}, kernel {kernel}: {result:?}\n{:?} {args:?} {blobs} blobs\n{:?}",
                    step.output,
                    step.inputs
                );
            } else {
                assert!(round > 0, "step {index}: {result:?}");
                refused += 1;
            }
        }
    }
    let here = |id: u16| id >= id::CONV2D_F32 || id == id::SPMM_S8;
    let all = ENTRIES.iter().filter(|entry| here(entry.id)).count();
    assert_eq!(seen.len(), all, "a kernel without a sound step");
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}
