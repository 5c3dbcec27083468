//! A plan that runs layers in turn, dense and sparse, on one input: instructions or times of each step are measured
//! elsewhere.

use crate::layer::Layer;
use crate::{BLOCKS, LAYERS, Shape};
use mote_cortex_m::kernels::CORTEX_M;
use mote_cortex_m::kernels::mve::pack::Helium;
use mote_cortex_m::kernels::pack::Dsp;
use mote_runtime::kernels::pack::{Packed, Packer, Portable};
use mote_runtime::kernels::sparse::{Block, LEAST};
use mote_runtime::kernels::{Library, PORTABLE};
use mote_runtime::plan::{
    DType, NONE, OperandRecord, PlanWriter, RegionKind, StepEntry, TensorRecord, target,
};
use mote_wasm::kernels::WASM;
use mote_wasm::kernels::pack::Simd128;

/// What there is room for.
struct Core {
    code: u16,
    own: &'static dyn Packer,
    library: &'static Library,
    /// Positions of a layer at most: some rows of the picture.
    positions: usize,
    /// Weights of a layer at most: dense and sparse, all have to fit the memory of an emulated board.
    weights: usize,
    blocks: &'static [Block],
}

impl Core {
    fn named(name: &str) -> Option<Self> {
        let (positions, weights, blocks, library) = (224, 512 * 1024, &BLOCKS[..], &CORTEX_M);
        Some(match name {
            "m4" => Self { code: target::CORTEX_M4, own: &Dsp, library, positions, weights, blocks },
            "m55" => Self { code: target::CORTEX_M55, own: &Helium, library, positions, weights, blocks },
            "wasm" => Self {
                code: target::WASM,
                own: &Simd128,
                library: &WASM,
                positions: 28 * 28,
                weights: 1024 * 1024,
                blocks: &SINGLES_AND_FOURS,
            },
            _ => return None,
        })
    }
}

/// What kernels for SIMD128 have loops for.
const SINGLES_AND_FOURS: [Block; 2] = [Block::of(1, 1), Block::of(1, 4)];

/// The layer that is measured with other shares of zeros, too.
const VARIED: Shape = (14 * 14, 256, 512);

/// Writes the plan of a core's own kernels, or of the portable ones, in floats or in int8, and tells its steps on standard
/// output, a line of JSON each.
pub fn write(file: &str, core: &str, is_own: bool, float: bool, quick: bool) {
    let core = Core::named(core).unwrap_or_else(|| panic!("there is no plan for {core}"));
    let packer = if is_own { core.own } else { &Portable };
    let size = if float { 4 } else { 1 };
    let mut steps: Vec<(Packed, usize, usize)> = Vec::new();
    let mut add = |packed: &Packed, told: String, (positions, inputs, outputs): Shape| {
        let name = core.library.find(packed.kernel).map_or("", |entry| entry.name);
        let bytes = packed.blobs[0].len();
        println!(
            r#"{{"kernel": "{name}", "positions": {positions}, "inputs": {inputs}, "outputs": {outputs}, "bytes": {bytes}, {told}}}"#
        );
        steps.push((packed.clone(), size * positions * inputs, size * positions * outputs));
    };
    let layers = if quick { &LAYERS[1..5] } else { &LAYERS };
    let shapes = layers.iter().filter(|layer| layer.1 * layer.2 <= core.weights);
    let shapes = shapes.map(|&(positions, inputs, outputs, _)| (positions, inputs, outputs));
    for whole in shapes {
        let shape = (whole.0.min(core.positions), whole.1, whole.2);
        let percents: &[u64] = if whole == VARIED { &[70, 80, 90, 95] } else { &[90] };
        let dense = Layer::new(float, shape, 90, BLOCKS[0], LEAST, packer).dense;
        add(&dense, r#""percent": 0, "block": "", "entries": 0"#.into(), shape);
        for (&percent, &block) in
            percents.iter().flat_map(|percent| core.blocks.iter().map(move |block| (percent, block)))
        {
            let longest = match (is_own, float) {
                (false, _) => LEAST,
                (true, false) => packer.strip_s8(block),
                (true, true) => packer.strip_f32(block),
            };
            let mut strips = vec![LEAST, longest];
            strips.dedup();
            for strip in strips {
                let layer = Layer::new(float, shape, percent, block, strip, packer);
                if is_own && PORTABLE.find(layer.sparse.kernel).is_some() {
                    continue; // measured with the portable ones
                }
                let told = format!(
                    r#""percent": {percent}, "block": "{}x{}", "entries": {}, "short": {}"#,
                    block.outputs,
                    block.inputs,
                    layer.entries,
                    strip < longest
                );
                add(&layer.sparse, told, shape);
            }
        }
    }
    let dtype = if float { DType::F32 } else { DType::I8 };
    std::fs::write(file, plan(core.code, dtype, &steps)).expect("the plan can be written");
}

/// All steps read the same input and write the same output, as far as they need it. Each: what it does, bytes that it
/// reads, bytes that it writes.
fn plan(code: u16, dtype: DType, steps: &[(Packed, usize, usize)]) -> Vec<u8> {
    let most = |of: &dyn Fn(&(Packed, usize, usize)) -> usize| steps.iter().map(of).max().unwrap_or(0) as u32;
    let (reads, writes, scratch) = (most(&|s| s.1), most(&|s| s.2), most(&|s| s.0.scratch));
    let mut writer = PlanWriter::new(code);
    let output_at = reads.next_multiple_of(16);
    let scratch_at = output_at + writes.next_multiple_of(16);
    writer.arena_bytes = scratch_at + scratch.next_multiple_of(16);
    let tensor = |offset: u32, bytes: u32| TensorRecord {
        dtype: dtype as u8,
        space: 0,
        rank: 1,
        flags: 0,
        quant: NONE,
        reserved: 0,
        offset,
        bytes,
        shape: [bytes / dtype.size() as u32, 1, 1, 1, 1, 1],
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
