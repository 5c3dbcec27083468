//! Checks that a linked image holds only the kernels that its plan calls.
//!
//! Every folder of `runtime/src/kernels` is a kernel; functions of a folder whose kernels the plan does not name must
//! not be in the image. (Files beside the folders are what kernels share.) Those of `targets/cortex-m` share code among
//! each other; of them it is only checked that the plan's own are there.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSymbol, SymbolKind};

use crate::{models::Facts, workspace::root};

/// Kernels that share a folder of another name.
const FOLDERS: &[(&str, &[&str])] = &[
    ("binary_s8", &["add_s8", "sub_s8", "mul_s8", "maximum_s8", "minimum_s8"]),
    ("reduce_s8", &["mean_s8"]),
    ("quantize", &["dequantize_s8_f32", "requantize_s8"]),
    ("running_sum", &["average_of_sums_s8", "mean_of_sums_s8"]),
    ("recurrent_f32", &["gru_f32", "gru_f32_w16", "lstm_f32", "lstm_f32_w16"]),
];

/// Fails if the image of this plan holds another kernel, or none of its own.
pub fn check(image: &Path, facts: &Facts) -> Result<()> {
    let called: BTreeSet<&str> = facts.steps.iter().map(|step| step.kernel.as_str()).collect();
    let mut own = 0;
    let mut others = BTreeSet::new();
    let target = held(image, "mote_cortex_m::kernels::")?;
    own += called.iter().filter(|kernel| target.iter().any(|folder| lives_in(kernel, folder))).count();
    let held = held(image, "mote_runtime::kernels::")?;
    for folder in folders()? {
        if !held.contains(&folder) {
            continue;
        }
        if called.iter().any(|kernel| lives_in(kernel, &folder)) {
            own += 1;
        } else {
            others.insert(folder);
        }
    }
    if !others.is_empty() {
        bail!("{} holds kernels that its plan does not call: {others:?}", image.display());
    }
    if own == 0 {
        bail!("{} holds none of its plan's kernels {called:?}: nothing was checked", image.display());
    }
    Ok(())
}

fn lives_in(kernel: &str, folder: &str) -> bool {
    kernel.contains(folder)
        || FOLDERS.iter().any(|(name, kernels)| *name == folder && kernels.contains(&kernel))
}

fn folders() -> Result<Vec<String>> {
    let entries = fs::read_dir(root().join("runtime/src/kernels"))?.collect::<Result<Vec<_>, _>>()?;
    let folders = entries.iter().filter(|entry| entry.path().is_dir());
    Ok(folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Modules of a crate's kernels that have a function in the image.
fn held(image: &Path, kernels: &str) -> Result<BTreeSet<String>> {
    let data = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let file = object::File::parse(&*data)?;
    let names = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text).filter_map(|symbol| {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
        let (_, rest) = name.split_once(kernels)?;
        Some(rest.split(':').next()?.to_owned())
    });
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_know_their_folders() {
        assert!(lives_in("average_pool_s8", "pool_s8") && lives_in("mul_s8", "binary_s8"));
        assert!(lives_in("conv2d_s8", "conv2d_s8") && !lives_in("conv2d_s8", "conv2d_f32"));
    }
}
