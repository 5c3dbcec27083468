//! How much code the kernels of a plan are.
//!
//! Kernels share functions, so their sizes cannot simply be added. The files in `code/` come from a linked image that
//! holds every kernel of a target: the size of each function, and which functions each kernel can reach. The code of a
//! plan is the functions that its kernels reach, each counted once. `cargo xtask bench code` writes the files;
//! `cargo xtask test` compares what comes out here with images that hold a single plan.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The measured targets: name, file.
const TABLES: &[(&str, &str)] = &[
    ("cortex-m4", include_str!("../../code/cortex-m4.json")),
    ("cortex-m7", include_str!("../../code/cortex-m7.json")),
    ("cortex-m33", include_str!("../../code/cortex-m33.json")),
    ("cortex-m55", include_str!("../../code/cortex-m55.json")),
];

/// Code of a plan's kernels.
pub struct Code {
    /// Of all functions that the kernels reach.
    pub bytes: usize,
    /// Of what an image needs besides: engine, start-up, a small app.
    pub rest_bytes: usize,
    /// Number of different kernels.
    pub kernels: usize,
    /// Where the sizes come from.
    pub measured: String,
}

/// What a linked image of all kernels of a target told.
#[derive(Deserialize)]
struct Table {
    /// What was built.
    measured: String,
    /// Bytes of each function.
    functions: Vec<usize>,
    /// By name of the kernel: indices of the functions that it reaches, itself among them.
    kernels: BTreeMap<String, Vec<usize>>,
    /// Code of a small image that no kernel reaches.
    rest_bytes: usize,
}

impl Code {
    /// Code of these kernels; `None` if the target, or one of them, was not measured.
    pub fn of(target: &str, kernels: impl Iterator<Item = &'static str>) -> Option<Self> {
        let (_, text) = TABLES.iter().find(|(name, _)| *name == target)?;
        let table: Table = serde_json::from_str(text).ok()?;
        let kernels: BTreeSet<&str> = kernels.collect();
        let mut reached = BTreeSet::new();
        for kernel in &kernels {
            reached.extend(table.kernels.get(*kernel)?);
        }
        Some(Self {
            bytes: reached.iter().filter_map(|&&index| table.functions.get(index)).sum(),
            rest_bytes: table.rest_bytes,
            kernels: kernels.len(),
            measured: table.measured,
        })
    }
}

/// The measured targets, for people.
pub fn measured() -> String {
    TABLES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mote_compiler::targets;

    #[test]
    fn every_measured_kernel_has_code() {
        for (name, text) in TABLES {
            let table: Table = serde_json::from_str(text).unwrap();
            assert!(targets::by_name(name).is_some() && table.kernels.len() > 40, "{name}");
            for (kernel, reached) in &table.kernels {
                let bytes = reached.iter().map(|&index| table.functions[index]).sum::<usize>();
                assert!((20..100_000).contains(&bytes), "{kernel} on {name}: {bytes} bytes");
            }
        }
    }

    #[test]
    fn shared_functions_count_once() {
        let of = |kernels: &[&'static str]| Code::of("cortex-m4", kernels.iter().copied()).unwrap().bytes;
        let (one, other) = (of(&["max_pool_s8"]), of(&["average_pool_s8"]));
        let both = of(&["max_pool_s8", "average_pool_s8", "max_pool_s8"]);
        assert!(both >= one.max(other) && both <= one + other);
        assert!(Code::of("portable", ["copy"].into_iter()).is_none());
        assert!(Code::of("cortex-m4", ["no_such_kernel"].into_iter()).is_none());
    }
}
