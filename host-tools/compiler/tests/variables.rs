//! Real step-wise TFLite networks, which keep their rings in variables: every layer of every step against the format's
//! reference kernels (`tests/golden/README.md`).
//!
//! The networks are those of the PyPI package `pymicro-wakeword` (Apache-2.0), read from `$MOTE_CACHE/micro-wakeword`;
//! without them the test says so and passes.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mote_compiler::convert::{Options, compile, import};
use mote_compiler::executor::Executor;
use mote_runtime::engine::{Observer, Progress};
use serde::Deserialize;
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

// Its other readers are for other tests.
#[allow(dead_code)]
mod golden;

#[derive(Deserialize)]
struct Network {
    model: String,
    model_crc32: u32,
    seed: u64,
    steps: usize,
    input_shape: Vec<usize>,
    output_type: String,
    outputs: String,
    layers: Vec<Layer>,
}

/// A layer's output, all steps one behind the other.
#[derive(Deserialize)]
struct Layer {
    /// In the file.
    tensor: usize,
    crc32: u32,
}

#[test]
fn every_layer_of_every_step_equals_the_reference() {
    let networks: Vec<Network> = golden::load("micro_wakeword.json");
    assert_eq!(networks.len(), 4);
    for network in networks {
        let Some(model) = network.file() else {
            eprintln!("skipped: $MOTE_CACHE/micro-wakeword/{} is not there", network.model);
            continue;
        };
        assert_eq!(crc32fast::hash(&model), network.model_crc32, "{}", network.model);
        for no_passes in [true, false] {
            network.check(&model, no_passes);
        }
    }
}

impl Network {
    fn file(&self) -> Option<Vec<u8>> {
        let folder = PathBuf::from(std::env::var_os("MOTE_CACHE")?).join("micro-wakeword");
        std::fs::read(folder.join(&self.model)).ok()
    }

    /// The layers are compared where no pass has joined or moved them.
    fn check(&self, model: &[u8], no_passes: bool) {
        let options = Options { no_passes, ..Options::default() };
        let imported = import(model, &options).unwrap();
        let converted = compile(imported.graph, &options).unwrap();
        let sources: Vec<Option<usize>> = converted
            .steps
            .iter()
            .map(|step| imported.source_index.get(step.output.tensor.0).copied().flatten())
            .collect();
        let mut layers = Layers { sources, sums: HashMap::new() };
        let mut outputs = Vec::new();
        let mut executor = Executor::new(&converted.plan).unwrap();
        executor
            .with(|engine| {
                for frame in 0..self.steps {
                    let progress = engine.step_observed(&self.frame(frame), &mut layers)?;
                    assert_eq!(progress, Progress::Ready);
                    outputs.extend_from_slice(engine.output(0)?.bytes());
                }
                Ok(())
            })
            .unwrap();
        // What is uint8 in the file is int8 here.
        assert_eq!(self.output_type, "uint8");
        outputs.iter_mut().for_each(|code| *code ^= 0x80);
        assert_eq!(outputs, BASE64_STANDARD.decode(&self.outputs).unwrap(), "{}", self.model);
        if no_passes {
            for Layer { tensor, crc32 } in &self.layers {
                let own = layers.sums.remove(tensor).map(|hasher| hasher.finalize());
                assert_eq!(own, Some(*crc32), "{}: tensor {tensor}", self.model);
            }
        }
        println!(
            "{}: {} layers, {} steps equal; {} bytes of state, {} of arena",
            self.model,
            self.layers.len(),
            self.steps,
            converted.schedule.state_bytes,
            converted.schedule.arena
        );
    }

    /// Codes that rise and fall slowly, with noise.
    fn frame(&self, step: usize) -> Vec<u8> {
        let count: usize = self.input_shape.iter().product();
        let level = (step as i32 * 7) % 200 - 100;
        let noise = |i: usize| i32::from((golden::word(self.seed, i) >> 56) as u8 as i8) >> 2;
        (step * count..(step + 1) * count).map(|i| (noise(i) + level).clamp(-128, 127) as u8).collect()
    }
}

struct Layers {
    sources: Vec<Option<usize>>,
    sums: HashMap<usize, crc32fast::Hasher>,
}

impl Observer for Layers {
    fn after(&mut self, step: usize, _: Range<usize>, output: &[u8]) {
        if let Some(&Some(source)) = self.sources.get(step) {
            self.sums.entry(source).or_default().update(output);
        }
    }
}
