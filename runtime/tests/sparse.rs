//! Sparse kernels against the dense ones, and against streams that lie.
#![cfg(feature = "pack")]

mod support;

use mote_runtime::Plan;
use mote_runtime::kernels::PORTABLE;
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use mote_runtime::plan::DType;
use support::{Input, ONE, Random, Shape, build, run, run_s8};

/// A 1x1 layer: rows, columns, channels, strides along the row and from row to row.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    rows: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    stride: (usize, usize),
}

const fn geometry(
    rows: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    stride: (usize, usize),
) -> Geometry {
    Geometry { rows, width, inputs, outputs, stride }
}

const GEOMETRIES: &[Geometry] = &[
    geometry(1, 1, 1, 1, (1, 1)),
    geometry(3, 7, 5, 3, (1, 1)),
    geometry(2, 16, 32, 8, (1, 1)),
    geometry(2, 33, 13, 9, (1, 1)),
    geometry(5, 9, 6, 10, (2, 2)),
    geometry(4, 11, 8, 4, (3, 1)),
    geometry(1, 45, 700, 5, (1, 1)),
    geometry(1, 3, 1100, 2, (1, 1)),
];

impl Geometry {
    fn columns(&self) -> usize {
        self.width.div_ceil(self.stride.0)
    }

    fn out_rows(&self) -> usize {
        self.rows.div_ceil(self.stride.1)
    }

    fn weights(&self, random: &mut Random, percent: u64) -> Vec<i8> {
        let len = self.inputs * self.outputs;
        (0..len).map(|_| if random.next() % 100 < percent { random.next() as i8 } else { 0 }).collect()
    }

    fn input(&self, dtype: DType, bytes: Vec<u8>) -> Input {
        let inner = (1, self.stride.1, 1, 0);
        Input { dtype, slices: 1, rows: self.rows, bytes, outer: ONE, inner, in_place: false }
    }

    fn dense(&self, weights: &[i8], bias: &[i32], zero: i32, requant: &Requant) -> Packed {
        ConvS8 {
            weights,
            bias,
            in_channels: self.inputs,
            out_channels: self.outputs,
            kernel_rows: 1,
            kernel_width: 1,
            stride: self.stride.0,
            dilation: 1,
            pad_left: 0,
            groups: 1,
            input_zero_point: zero,
            requant: requant.clone(),
        }
        .pack()
    }
}

#[test]
fn int8_equals_the_dense_kernel() {
    let mut random = Random(11);
    let mut compared = 0;
    for geometry in GEOMETRIES {
        for percent in [0, 3, 20, 60, 100] {
            for (rounding, strip) in [(SINGLE, 4), (DOUBLE, 16), (SINGLE, 32), (DOUBLE, 8)] {
                let weights = geometry.weights(&mut random, percent);
                let bias: Vec<i32> = (0..geometry.outputs).map(|_| random.int(-9000, 9000) as i32).collect();
                let per_channel = random.next().is_multiple_of(2);
                let factors = 0..if per_channel { geometry.outputs } else { 1 };
                let factors = factors.map(|_| random.factor(0.0002, 1.5)).collect();
                let (min, max) = if random.next().is_multiple_of(2) { (-128, 127) } else { (-20, 90) };
                let zero_point = random.int(-128, 127) as i32;
                let requant = Requant { factors, zero_point, min, max, rounding };
                let zero = random.int(-128, 127) as i32;
                let input = geometry
                    .input(DType::I8, signed(random.codes(geometry.rows * geometry.width * geometry.inputs)));
                let shape = Shape::s8(geometry.out_rows(), geometry.columns() * geometry.outputs);
                let want = run_s8(
                    &geometry.dense(&weights, &bias, zero, &requant),
                    std::slice::from_ref(&input),
                    shape,
                );
                for block in Block::ALL {
                    let layer = SpmmS8 {
                        weights: &weights,
                        bias: &bias,
                        out_channels: geometry.outputs,
                        stride: geometry.stride.0,
                        input_zero_point: zero,
                        requant: &requant,
                    };
                    let found = run_s8(&layer.pack(block, strip), std::slice::from_ref(&input), shape);
                    assert_eq!(found, want, "{geometry:?} {percent} % {block:?} strip {strip}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, GEOMETRIES.len() * 5 * 4 * 5);
}

#[test]
fn floats_equal_the_dense_kernel_within_rounding() {
    let mut random = Random(12);
    let real = |random: &mut Random| random.int(-1000, 1000) as f32 / 500.0;
    for geometry in GEOMETRIES {
        for (percent, half, strip) in [(0, false, 4), (20, false, 32), (20, true, 8), (100, false, 16)] {
            let weights: Vec<f32> =
                geometry.weights(&mut random, percent).iter().map(|&w| f32::from(w) / 128.0).collect();
            let bias: Vec<f32> = (0..geometry.outputs).map(|_| real(&mut random)).collect();
            let len = geometry.rows * geometry.width * geometry.inputs;
            let values: Vec<f32> = (0..len).map(|_| real(&mut random)).collect();
            let input = geometry.input(DType::F32, bytemuck::cast_slice(&values).to_vec());
            let shape = Shape {
                dtype: DType::F32,
                slices: 1,
                rows: geometry.out_rows(),
                row: geometry.columns() * geometry.outputs,
            };
            let (min, max) =
                if random.next().is_multiple_of(2) { (0.0, 6.0) } else { (f32::NEG_INFINITY, f32::INFINITY) };
            let dense = ConvF32 {
                weights: &weights,
                half,
                bias: &bias,
                in_channels: geometry.inputs,
                out_channels: geometry.outputs,
                kernel_rows: 1,
                kernel_width: 1,
                stride: geometry.stride.0,
                dilation: 1,
                pad_left: 0,
                groups: 1,
                min,
                max,
            };
            let want = reals(&run(&dense.pack(), std::slice::from_ref(&input), shape).unwrap());
            for block in Block::ALL {
                let (weights, bias, stride) = (&weights[..], &bias[..], geometry.stride.0);
                let layer = SpmmF32 { weights, half, bias, out_channels: geometry.outputs, stride, min, max };
                let found =
                    reals(&run(&layer.pack(block, strip), std::slice::from_ref(&input), shape).unwrap());
                for (found, want) in found.iter().zip(&want) {
                    let error = (found - want).abs();
                    assert!(error <= 1e-4 * want.abs().max(1.0), "{geometry:?} {block:?}: {found} {want}");
                }
            }
        }
    }
}

fn signed(codes: Vec<i8>) -> Vec<u8> {
    codes.into_iter().map(|code| code as u8).collect()
}

fn reals(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Blocks of four: 1.25 bytes for each weight; single weights: 2 bytes. Nothing else grows with them.
#[test]
fn streams_are_as_small_as_promised() {
    let mut random = Random(13);
    for (inputs, outputs) in [(32, 64), (256, 512), (1024, 1024)] {
        for tenths in [1, 2, 3] {
            for (height, most) in [(1, 2.0), (2, 1.5), (4, 1.25)] {
                let mut weights = vec![0i8; inputs * outputs];
                for (o, i) in (0..outputs).step_by(height).flat_map(|o| (0..inputs).map(move |i| (o, i))) {
                    if random.next() % 10 < tenths {
                        (o..o + height)
                            .for_each(|o| weights[o * inputs + i] = 1 + (random.next() % 100) as i8);
                    }
                }
                let used = weights.iter().filter(|&&w| w != 0).count();
                let requant =
                    Requant { factors: vec![0.01], zero_point: 0, min: -128, max: 127, rounding: SINGLE };
                let layer = SpmmS8 {
                    weights: &weights,
                    bias: &[],
                    out_channels: outputs,
                    stride: 1,
                    input_zero_point: 0,
                    requant: &requant,
                };
                let packed = layer.pack(Block::of(height, 1), 16);
                let bytes = packed.blobs[0].len() as f64 / used as f64;
                assert!(
                    bytes <= most,
                    "{inputs} {outputs}: {bytes} bytes for a weight in blocks of {height}"
                );
                assert_eq!(packed.blobs[1].len(), outputs * 12, "as the dense kernel's");
            }
        }
    }
}

fn is_accepted(file: &[u8]) -> bool {
    let mut words = vec![0u128; file.len().div_ceil(16)];
    let bytes = &mut bytemuck::cast_slice_mut::<_, u8>(&mut words)[..file.len()];
    bytes.copy_from_slice(file);
    Plan::parse(bytes).is_ok_and(|plan| PORTABLE.check_plan(&plan).is_ok())
}

/// Whatever a stream says, it is refused or runs.
#[test]
fn lying_streams_are_refused() {
    let mut random = Random(14);
    let geometry = geometry(1, 9, 20, 8, (1, 1));
    let requant = Requant { factors: vec![0.01], zero_point: 0, min: -128, max: 127, rounding: SINGLE };
    let weights = geometry.weights(&mut random, 30);
    let reals: Vec<f32> = weights.iter().map(|&w| w.into()).collect();
    let input = geometry.input(DType::I8, signed(random.codes(9 * 20)));
    let input_f32 = geometry.input(DType::F32, vec![0; 9 * 20 * 4]);
    let (shape, shape_f32) = (Shape::s8(1, 72), Shape { dtype: DType::F32, ..Shape::s8(1, 72) });
    let mut refused = 0;
    for round in 0..4000 {
        let block = Block::ALL[round % 5];
        let float = round % 2 == 1;
        let mut packed = if float {
            let (min, max) = (0.0, 6.0);
            let weights = &reals;
            SpmmF32 { weights, half: false, bias: &[], out_channels: 8, stride: 1, min, max }.pack(block, 8)
        } else {
            let (weights, requant) = (&weights, &requant);
            SpmmS8 { weights, bias: &[], out_channels: 8, stride: 1, input_zero_point: 3, requant }
                .pack(block, 8)
        };
        let which = random.next() as usize % (packed.blobs.len() + 1);
        let bytes = if which == packed.blobs.len() { &mut packed.args } else { &mut packed.blobs[which] };
        let at = random.next() as usize % bytes.len();
        match random.next() % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.next() as u8),
            _ => bytes[at] = random.next() as u8,
        }
        let (input, shape) = if float { (&input_f32, shape_f32) } else { (&input, shape) };
        let accepted = is_accepted(&build(&packed, std::slice::from_ref(input), shape));
        // A kernel that finds its step wrong while it runs has a check that is too weak.
        assert_eq!(run(&packed, std::slice::from_ref(input), shape).is_ok(), accepted, "{round}: {packed:?}");
        refused += usize::from(!accepted);
    }
    assert!(refused > 1000, "{refused}");
    // A step to the last input channel is right, one more is not.
    let mut last = vec![0i8; 20];
    last[19] = 1;
    let layer = SpmmS8 {
        weights: &last,
        bias: &[],
        out_channels: 1,
        stride: 1,
        input_zero_point: 0,
        requant: &requant,
    };
    let mut packed = layer.pack(Block::of(1, 1), 4);
    let shape = Shape::s8(1, 9);
    assert_eq!(packed.blobs[0], [19, 1]);
    assert!(run(&packed, std::slice::from_ref(&input), shape).is_ok());
    packed.blobs[0][0] = 20;
    assert!(run(&packed, &[input], shape).is_err());
}
