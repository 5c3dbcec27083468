//! Whole networks on the host, for the package's tests to compare with: one plan, run by `mote run` and in each module.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    golden,
    models::{self, Found},
    npy,
    workspace::target,
};

/// Short names of bundled networks, and what they are converted with.
const NETWORKS: &[(&str, &[&str])] = &[
    ("mobilenet", INT8),
    ("mobilenet", SEVEN),
    ("mobilenet", F32),
    ("sparse90", &["--sparse=fast"]),
    ("sparse90", &["--dtype=f32", "--sparse=fast"]),
    ("sparse90_block4", &["--sparse=fast"]),
    ("efficientformer", INT8),
    ("efficientformer", F32),
    ("tinynet", INT8),
    ("tinynet", SEVEN),
    ("tinynet", F32),
    ("tinynet", &["--dtype=f16"]),
];
const INT8: &[&str] = &[];
const SEVEN: &[&str] = &["--weight-bits=7"];
const F32: &[&str] = &["--dtype=f32"];
const TARGETS: &[&str] = &["wasm", "wasm-relaxed"];
/// Random inputs of each.
const COUNT: usize = 8;

/// Converts the networks, runs them on the host, and gives the file that lists plans, inputs and outputs. Once: tests in
/// Node and in the browser share it.
pub fn write() -> Result<&'static Path> {
    static WRITTEN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(file) = WRITTEN.get() {
        return Ok(file);
    }
    let folder = target()?.join("wasm-networks");
    fs::create_dir_all(&folder)?;
    let mut list = Vec::new();
    for &target in TARGETS {
        for &(name, arguments) in NETWORKS {
            let Found::Here(network) = models::find(name)? else { bail!("{name} is missing") };
            let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
            let plan = network.convert_for(target, target, &arguments)?;
            let name = [&[name.into(), target.into()], &arguments[..]].concat().join(" ");
            list.push(on_host(&name, list.len(), &plan, &folder)?);
        }
    }
    let file = folder.join("networks.json");
    fs::write(&file, serde_json::to_vec(&list)?)?;
    Ok(WRITTEN.get_or_init(|| file))
}

/// Runs a plan on random inputs.
fn on_host(name: &str, number: usize, plan: &Path, folder: &Path) -> Result<Value> {
    const SEED: u64 = 7;
    let facts = models::facts(plan)?;
    let (dtype, mut shape) = facts.input()?;
    if let Some(count) = shape.first_mut() {
        *count = COUNT;
    }
    let numbers = 0..shape.iter().product();
    let (code, bytes): (_, Vec<u8>) = match dtype {
        "int8" => ("|i1", numbers.map(|index| (golden::word(SEED, index) >> 56) as u8).collect()),
        // From -2 to 2, as normalized pictures are.
        _ => {
            let real = |index| (golden::word(SEED, index) >> 40) as f32 / (1u64 << 22) as f32 - 2.0;
            ("<f4", numbers.flat_map(|index| f32::to_le_bytes(real(index))).collect())
        }
    };
    let outputs = models::outputs(plan, &npy::write(code, &shape, &bytes)?, folder)?;
    let kept = |suffix: &str, bytes: &[u8]| -> Result<String> {
        let file = format!("{number}.{suffix}");
        fs::write(folder.join(&file), bytes)?;
        Ok(file)
    };
    Ok(json!({
        "name": name,
        "plan": kept("mote", &fs::read(plan)?)?,
        "inputs": kept("inputs", &bytes)?,
        "outputs": kept("outputs", &outputs)?,
    }))
}
