//! A layer of random weights, dense and sparse, and its times.

use crate::support::{Input, ONE, Random, Shape, build};
use mote_runtime::engine::KernelFn;
use mote_runtime::kernels::PORTABLE;
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::{Geometry, Packed, Packer, Requant};
use mote_runtime::kernels::requantize::{SINGLE, steady};
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use mote_runtime::plan::DType;
use mote_runtime::{Engine, Plan};
use std::time::Instant;

/// Rounds in which both kernels run.
const ROUNDS: usize = 7;

/// One layer, packed in both ways.
pub struct Layer {
    pub dense: Packed,
    pub sparse: Packed,
    pub entries: usize,
    pub input: Input,
    pub shape: Shape,
}

impl Layer {
    /// Of `percent` zeros in blocks; with room for `strip` positions.
    pub fn new(
        float: bool,
        (positions, inputs, outputs): (usize, usize, usize),
        percent: u64,
        block: Block,
        strip: usize,
        packer: &dyn Packer,
    ) -> Self {
        let mut random = Random(percent * 31 + outputs as u64);
        // Blocks of four input channels are for kernels that want weights of seven bits.
        let largest = if block.inputs == 4 { 63 } else { 126 };
        let mut weights = vec![0i8; inputs * outputs];
        for first in (0..outputs).step_by(block.outputs) {
            for group in (0..inputs).step_by(block.inputs) {
                if random.next() % 100 >= percent {
                    for o in first..outputs.min(first + block.outputs) {
                        for i in group..inputs.min(group + block.inputs) {
                            weights[o * inputs + i] = 1 + (random.next() % largest) as i8;
                        }
                    }
                }
            }
        }
        let (dense, sparse) = if float {
            reals(&weights, outputs, block, strip, packer)
        } else {
            codes(&weights, (positions, outputs), block, strip, packer)
        };
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
    pub fn stream_bytes(&self) -> usize {
        match self.sparse.blobs.len() {
            4 => self.sparse.blobs[0].len() + self.sparse.blobs[1].len() + self.sparse.blobs[3].len(),
            _ => self.sparse.blobs[0].len(),
        }
    }

    /// Microseconds of the dense and of the sparse kernel.
    pub fn measure(&self) -> (f64, f64) {
        let files = [&self.dense, &self.sparse]
            .map(|packed| build(packed, std::slice::from_ref(&self.input), self.shape));
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

fn codes(
    weights: &[i8],
    (positions, outputs): (usize, usize),
    block: Block,
    strip: usize,
    packer: &dyn Packer,
) -> (Packed, Packed) {
    let in_channels = weights.len() / outputs;
    // As the compiler makes them.
    let factors = vec![steady(0.001, [-131, 124]); outputs];
    let requant = Requant { factors, zero_point: 3, min: -128, max: 127, rounding: SINGLE };
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
    let geometry = Geometry { width: positions, columns: positions };
    (packer.conv_s8(&dense, geometry), packer.spmm_s8(&sparse, block, strip))
}

fn reals(
    weights: &[i8],
    outputs: usize,
    block: Block,
    strip: usize,
    packer: &dyn Packer,
) -> (Packed, Packed) {
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
    (packer.conv_f32(&dense), packer.spmm_f32(&sparse, block, strip))
}
