//! Compares outputs of an emulated microcontroller with `tests/golden/mlperf`, whose README tells the
//! format.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;

use crate::{
    bench::code,
    board::Board,
    image::{App, Samples, Speed},
    kernels,
    models::{self, Model},
    panics,
    qemu::{self, Settings},
    steps::Tally,
    workspace::root,
};

#[derive(Deserialize)]
struct Golden {
    model: String,
    model_crc32: u32,
    output_tensor: usize,
    tensors: Vec<Tensor>,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Tensor {
    tensor: usize,
    shape: Vec<usize>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    seed: Option<u64>,
    count: usize,
    crc32: String,
}

/// Checks that the image of this model can't panic and holds no kernel too many, and runs it on the first `count` random samples; each
/// output that equals the reference in every byte is a test passed.
pub fn run(board: &Board, model: &Model, count: usize) -> Result<Tally> {
    let golden = find(model)?;
    let set = golden.sets.iter().find(|set| set.name == "random").context("no random samples")?;
    let seed = set.seed.context("random samples without a seed")?;
    let count = count.min(set.count);

    let plan = model.convert(board, &[])?;
    let console = checked_run(board, &plan, seed, count)?;

    let column = golden.tensors.iter().position(|tensor| tensor.tensor == golden.output_tensor);
    let column = column.context("the output is not among the tensors")?;
    let length: usize = golden.tensors[column].shape.iter().product();
    let references = base64(&set.crc32)?;
    let references = references.as_chunks::<4>().0.chunks(golden.tensors.len());
    if console.len() < count * length {
        bail!("{} bytes of output are missing", count * length - console.len());
    }
    let mut tally = CHECKED;
    for (i, (output, reference)) in console.chunks(length).zip(references).take(count).enumerate() {
        if crc32fast::hash(output) == u32::from_le_bytes(reference[column]) {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            eprintln!("{}: sample {i} differs: {output:?}", model.name);
        }
    }
    Ok(tally)
}

/// What [`checked_run`] counts as: no panic, no kernel too many, as much code as told.
pub const CHECKED: Tally = Tally { passed: 3, failed: 0 };

/// Checks that the image of this plan can't panic, holds no kernel too many and as much code as `mote inspect` tells,
/// and runs it on random samples; all outputs, one behind the other.
pub fn checked_run(board: &Board, plan: &Path, seed: u64, count: usize) -> Result<Vec<u8>> {
    let samples = Samples { seed, count };
    let app = App { board, plan, samples, log: false, speed: Speed::Fast };
    let image = app.build()?;
    panics::check(&image)?;
    let facts = models::facts(plan)?;
    kernels::check(&image, &facts)?;
    code::check(&image, &facts)?;
    let settings = Settings { count: false, echo: true, patience: Duration::from_secs(1800) };
    let outcome = qemu::emulate(board, &image, settings)?;
    if outcome.exit != 0 {
        bail!("the image ended with code {}", outcome.exit);
    }
    Ok(outcome.console)
}

/// Word `index` of stream `seed` of the random samples (`tests/golden/README.md`).
pub fn word(seed: u64, index: usize) -> u64 {
    let z = seed.wrapping_add((index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The golden file made from exactly this model file.
fn find(model: &Model) -> Result<Golden> {
    let file = model.path.file_name().context("a model without a name")?.to_string_lossy();
    let name = file.strip_suffix("_int8.tflite").context("golden outputs are of int8 networks")?;
    let path = root().join("tests/golden/mlperf").join(name).with_extension("json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let golden: Golden =
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    if golden.model != file || golden.model_crc32 != crc32fast::hash(&fs::read(&model.path)?) {
        bail!("{} was made from another file than {}", path.display(), model.path.display());
    }
    Ok(golden)
}

/// Decodes standard base64 with padding.
fn base64(text: &str) -> Result<Vec<u8>> {
    Ok(BASE64_STANDARD.decode(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_base64() -> Result<()> {
        assert_eq!(base64("TW90ZQ==")?, b"Mote");
        assert_eq!(base64("//79")?, [255, 254, 253]);
        assert!(base64("a b").is_err());
        Ok(())
    }
}
