//! Sparse 1x1 convolutions beside dense ones, on the host, one thread: `cargo xtask bench sparse`.
//!
//! The 1x1 layers of MobileNetV1 (224 x 224) with random weights, of which a share is zero, by blocks of output
//! channels. Both kernels of a layer run in turn, again and again; the best round of each counts. `--samples` prints
//! each measured layer on a line of its own (JSON), for the fit of the cost model.

#[path = "../tests/support/mod.rs"]
mod support;

use mote_runtime::engine::KernelFn;
use mote_runtime::kernels::PORTABLE;
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::requantize::SINGLE;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use mote_runtime::plan::DType;
use mote_runtime::{Engine, Plan};
use std::time::Instant;
use support::{Input, ONE, Random, Shape, build};

/// Positions, input channels, output channels, how often the network has it.
const LAYERS: [(usize, usize, usize, usize); 9] = [
    (112 * 112, 32, 64, 1),
    (56 * 56, 64, 128, 1),
    (56 * 56, 128, 128, 1),
    (28 * 28, 128, 256, 1),
    (28 * 28, 256, 256, 1),
    (14 * 14, 256, 512, 1),
    (14 * 14, 512, 512, 5),
    (7 * 7, 512, 1024, 1),
    (7 * 7, 1024, 1024, 1),
];

const BLOCKS: [Block; 3] = [Block::of(1, 1), Block::of(2, 1), Block::of(4, 1)];

/// Positions that the host's plans have room for.
const STRIP: usize = 32;

/// Rounds in which both kernels run.
const ROUNDS: usize = 7;

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| options.iter().any(|option| option == name);
    let samples = wanted("--samples");
    let layers = if wanted("--quick") { &LAYERS[4..7] } else { &LAYERS };
    for float in [true, false] {
        if wanted(if float { "--int8" } else { "--f32" }) {
            continue;
        }
        let dtype = if float { "f32" } else { "int8" };
        if !samples {
            println!(
                "{dtype}: 1x1 layers of MobileNetV1, times as fast as dense; blocks of 1, 2, 4 output channels"
            );
        }
        let mut crossing: [Vec<(f64, f64)>; 3] = Default::default();
        let percents: &[u64] = if wanted("--quick") { &[90] } else { &[0, 30, 50, 70, 80, 90, 95] };
        for &percent in percents {
            for (block, crossing) in BLOCKS.into_iter().zip(&mut crossing) {
                let (mut dense_total, mut sparse_total, mut bytes, mut dense_bytes) = (0.0, 0.0, 0, 0);
                let mut by_layer = Vec::new();
                for &(positions, inputs, outputs, times) in layers {
                    let layer = Layer::new(float, positions, inputs, outputs, percent, block);
                    let (dense, sparse) = layer.measure();
                    dense_total += dense * times as f64;
                    sparse_total += sparse * times as f64;
                    bytes += layer.stream_bytes() * times;
                    dense_bytes += layer.dense.blobs[0].len() * times;
                    by_layer.push(dense / sparse);
                    if samples {
                        println!(
                            r#"{{"dtype": "{dtype}", "positions": {positions}, "inputs": {inputs}, "outputs": {outputs}, "block": {}, "entries": {}, "dense_us": {dense:.2}, "sparse_us": {sparse:.2}}}"#,
                            block.outputs, layer.entries
                        );
                    }
                }
                crossing.push((percent as f64, dense_total / sparse_total));
                if !samples {
                    let each: Vec<String> = by_layer.iter().map(|ratio| format!("{ratio:5.2}")).collect();
                    println!(
                        "  {percent:2} % zeros, {}x1: {:5.2} x ({:8.0} -> {:8.0} us), weights {:.3} of the bytes; layers {}",
                        block.outputs,
                        dense_total / sparse_total,
                        dense_total,
                        sparse_total,
                        bytes as f64 / dense_bytes as f64,
                        each.join(" ")
                    );
                }
            }
        }
        for (block, points) in BLOCKS.into_iter().zip(&crossing) {
            if samples {
                break;
            }
            let at = points.windows(2).find(|pair| pair[0].1 < 1.0 && pair[1].1 >= 1.0).map(|pair| {
                pair[0].0 + (pair[1].0 - pair[0].0) * (1.0 - pair[0].1) / (pair[1].1 - pair[0].1)
            });
            match at {
                Some(at) => {
                    println!("  blocks of {}x1 are as fast as dense at {at:.0} % zeros", block.outputs)
                }
                None => println!("  blocks of {}x1: no crossing within what was measured", block.outputs),
            }
        }
    }
}

/// One layer, packed in both ways.
struct Layer {
    dense: Packed,
    sparse: Packed,
    entries: usize,
    input: Input,
    shape: Shape,
}

impl Layer {
    fn new(float: bool, positions: usize, inputs: usize, outputs: usize, percent: u64, block: Block) -> Self {
        let mut random = Random(percent * 31 + outputs as u64);
        let mut weights = vec![0i8; inputs * outputs];
        for first in (0..outputs).step_by(block.outputs) {
            for i in 0..inputs {
                if random.next() % 100 >= percent {
                    for o in first..outputs.min(first + block.outputs) {
                        weights[o * inputs + i] = 1 + (random.next() % 126) as i8;
                    }
                }
            }
        }
        let (dense, sparse) =
            if float { reals(&weights, outputs, block) } else { codes(&weights, outputs, block) };
        let entries = if float { sparse.blobs[1].len() } else { sparse.blobs[0].len() / (block.len() + 1) };
        let dtype = if float { DType::F32 } else { DType::I8 };
        let codes = random.codes(positions * inputs);
        let bytes = if float {
            codes.iter().flat_map(|&x| (f32::from(x) / 64.0).to_le_bytes()).collect()
        } else {
            codes.iter().map(|&x| x as u8).collect()
        };
        let input = Input { dtype, slices: 1, rows: 1, bytes, outer: ONE, inner: ONE, in_place: false };
        let shape = Shape { dtype, slices: 1, rows: 1, row: positions * outputs };
        Self { dense, sparse, entries, input, shape }
    }

    /// Bytes that depend on the weights: without bias, multipliers and counts.
    fn stream_bytes(&self) -> usize {
        match self.sparse.blobs.len() {
            4 => self.sparse.blobs[0].len() + self.sparse.blobs[1].len() + self.sparse.blobs[3].len(),
            _ => self.sparse.blobs[0].len(),
        }
    }

    /// Microseconds of the dense and of the sparse kernel.
    fn measure(&self) -> (f64, f64) {
        let files =
            [&self.dense, &self.sparse].map(|packed| build(packed, &[self.input.clone()], self.shape));
        let files = files.map(|file| {
            let mut words = vec![0u128; file.len().div_ceil(16)];
            bytemuck::cast_slice_mut::<_, u8>(&mut words)[..file.len()].copy_from_slice(&file);
            (words, file.len())
        });
        let plans =
            files.each_ref().map(|(words, len)| Plan::parse(&bytemuck::cast_slice(words)[..*len]).unwrap());
        plans.iter().for_each(|plan| PORTABLE.check_plan(plan).unwrap());
        let kernels = plans.each_ref().map(|plan| {
            let found = (0..plan.kernels()).filter_map(|i| PORTABLE.find(plan.kernel(i)?));
            found.map(|entry| entry.run).collect::<Vec<KernelFn>>()
        });
        let mut arenas = plans.each_ref().map(|plan| vec![0u128; plan.arena_bytes() / 16]);
        let [first, second] = &mut arenas;
        let mut engines = [(0, first), (1, second)].map(|(which, arena)| {
            let arena = bytemuck::cast_slice_mut(arena);
            let mut engine = Engine::new(&plans[which], &kernels[which], arena, &mut []).unwrap();
            engine.input(0).unwrap().copy_from(&self.input.bytes).unwrap();
            engine.run().unwrap();
            engine
        });
        let mut best = [f64::MAX; 2];
        for _ in 0..ROUNDS {
            for (engine, best) in engines.iter_mut().zip(&mut best) {
                let start = Instant::now();
                let mut runs = 0;
                while runs == 0 || start.elapsed().as_micros() < 2000 {
                    engine.run().unwrap();
                    runs += 1;
                }
                *best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(runs));
            }
        }
        (best[0], best[1])
    }
}

fn codes(weights: &[i8], outputs: usize, block: Block) -> (Packed, Packed) {
    let in_channels = weights.len() / outputs;
    let requant =
        Requant { factors: vec![0.001; outputs], zero_point: 3, min: -128, max: 127, rounding: SINGLE };
    let dense = ConvS8 {
        weights,
        bias: &[],
        in_channels,
        out_channels: outputs,
        kernel_rows: 1,
        kernel_width: 1,
        stride: 1,
        dilation: 1,
        pad_left: 0,
        groups: 1,
        input_zero_point: 5,
        requant: requant.clone(),
    };
    let sparse = SpmmS8 {
        weights,
        bias: &[],
        out_channels: outputs,
        stride: 1,
        input_zero_point: 5,
        requant: &requant,
    };
    (dense.pack(), sparse.pack(block, STRIP))
}

fn reals(weights: &[i8], outputs: usize, block: Block) -> (Packed, Packed) {
    let weights: &[f32] = &weights.iter().map(|&w| f32::from(w) / 512.0).collect::<Vec<_>>();
    let (half, bias, min, max) = (false, &[][..], 0.0, 6.0);
    let dense = ConvF32 {
        weights,
        half,
        bias,
        in_channels: weights.len() / outputs,
        out_channels: outputs,
        kernel_rows: 1,
        kernel_width: 1,
        stride: 1,
        dilation: 1,
        pad_left: 0,
        groups: 1,
        min,
        max,
    };
    let sparse = SpmmF32 { weights, half, bias, out_channels: outputs, stride: 1, min, max };
    (dense.pack(), sparse.pack(block, STRIP))
}
