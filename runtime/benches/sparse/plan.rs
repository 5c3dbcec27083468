//! A plan that runs layers in turn, dense and sparse, on one input: instructions of each step are counted elsewhere.

use crate::layer::Layer;
use crate::{BLOCKS, LAYERS};
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::sparse::LEAST;
use mote_runtime::plan::{
    DType, NONE, OperandRecord, PlanWriter, RegionKind, StepEntry, TensorRecord, target,
};

/// Positions of a layer at most: some rows of the picture.
const MOST: usize = 224;

/// Weights of a layer at most: dense and sparse, all have to fit the memory of an emulated board.
const MOST_WEIGHTS: usize = 512 * 1024;

/// The layer that is measured with other shares of zeros, too.
const VARIED: (usize, usize, usize) = (14 * 14, 256, 512);

/// Writes the plan, and tells its steps on standard output, a line of JSON each.
pub fn write(file: &str, quick: bool) {
    let mut steps: Vec<(Packed, usize, usize)> = Vec::new();
    let mut add = |packed: &Packed,
                   entries: usize,
                   shape: (usize, usize, usize),
                   percent: u64,
                   block: usize| {
        let (positions, inputs, outputs) = shape;
        let bytes = packed.blobs[0].len();
        println!(
            r#"{{"positions": {positions}, "inputs": {inputs}, "outputs": {outputs}, "percent": {percent}, "block": {block}, "entries": {entries}, "bytes": {bytes}}}"#
        );
        steps.push((packed.clone(), positions * inputs, positions * outputs));
    };
    let layers = if quick { &LAYERS[1..5] } else { &LAYERS };
    for &(positions, inputs, outputs, _) in layers.iter().filter(|layer| layer.1 * layer.2 <= MOST_WEIGHTS) {
        let shape = (positions.min(MOST), inputs, outputs);
        let percents: &[u64] = if (positions, inputs, outputs) == VARIED { &[70, 80, 90, 95] } else { &[90] };
        add(&Layer::new(false, shape, 90, BLOCKS[0], LEAST).dense, 0, shape, 0, 0);
        for &percent in percents {
            for block in BLOCKS {
                let layer = Layer::new(false, shape, percent, block, LEAST);
                add(&layer.sparse, layer.entries, shape, percent, block.outputs);
            }
        }
    }
    std::fs::write(file, plan(&steps)).expect("the plan can be written");
}

/// All steps read the same input and write the same output, as far as they need it. Each: what it does, bytes that it
/// reads, bytes that it writes.
fn plan(steps: &[(Packed, usize, usize)]) -> Vec<u8> {
    let most = |of: &dyn Fn(&(Packed, usize, usize)) -> usize| steps.iter().map(of).max().unwrap_or(0) as u32;
    let (reads, writes, scratch) = (most(&|s| s.1), most(&|s| s.2), most(&|s| s.0.scratch));
    let mut writer = PlanWriter::new(target::CORTEX_M4);
    let output_at = reads.next_multiple_of(16);
    let scratch_at = output_at + writes.next_multiple_of(16);
    writer.arena_bytes = scratch_at + scratch.next_multiple_of(16);
    let tensor = |offset: u32, bytes: u32| TensorRecord {
        dtype: DType::I8 as u8,
        space: 0,
        rank: 1,
        flags: 0,
        quant: NONE,
        reserved: 0,
        offset,
        bytes,
        shape: [bytes, 1, 1, 1, 1, 1],
    };
    let input = writer.tensor(tensor(0, reads), "input");
    let output = writer.tensor(tensor(output_at, writes), "output");
    writer.port(0, "input", OperandRecord::rows(input, 1, reads), NONE);
    for (packed, reads, writes) in steps {
        writer.step(&StepEntry {
            name: "layer",
            macs: 0,
            packed,
            inputs: &[OperandRecord::rows(input, 1, *reads as u32)],
            output: OperandRecord::rows(output, 1, *writes as u32),
            flags: 0,
            scratch: scratch_at,
            every: 1,
            phase: 0,
            burst: 1,
        });
    }
    writer.region(RegionKind::Plain, NONE, 1, 0);
    let last = steps.len() as u16 - 1;
    writer.port(1, "output", OperandRecord::rows(output, 1, writes), last);
    writer.finish()
}
