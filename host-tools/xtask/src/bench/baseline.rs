//! The committed counts, `tests/bench/baseline.toml`: a count that grew by more than 1 % is a failure.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::root;

/// Instructions of one inference: by core, then by model.
#[derive(Default, Deserialize)]
struct Baseline(BTreeMap<String, BTreeMap<String, u64>>);

impl Baseline {
    fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    fn write(&self) -> Result<()> {
        let path = path();
        let mut text = String::from(
            "# Instructions of one inference, by core and model: cargo xtask bench mcu|aarch64 --write-baseline\n",
        );
        for (core, models) in &self.0 {
            writeln!(text, "\n[{core}]")?;
            for (model, instructions) in models {
                writeln!(text, "{model} = {instructions}")?;
            }
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    fn set(&mut self, core: &str, model: &str, instructions: u64) {
        self.0.entry(core.into()).or_default().insert(model.into(), instructions);
    }

    /// What is wrong with a count: how much it grew, if that is more than 1 %.
    fn complaint(&self, core: &str, model: &str, instructions: u64) -> Option<String> {
        let known = *self.0.get(core)?.get(model)?;
        let percent = 100.0 * (instructions as f64 / known.max(1) as f64 - 1.0);
        (instructions * 100 > known * 101).then(|| {
            format!("{model} on {core}: {instructions} instructions, {percent:.1} % more than {known}")
        })
    }
}

/// Fails if one of these counts (core, model, instructions) grew by more than 1 %; with `write` they become the committed
/// ones.
pub fn settle<'m>(counts: impl Iterator<Item = (String, &'m str, u64)>, write: bool) -> Result<()> {
    let mut baseline = Baseline::read()?;
    if write {
        counts.for_each(|(core, model, instructions)| baseline.set(&core, model, instructions));
        return baseline.write();
    }
    let complaints: Vec<_> = counts
        .filter_map(|(core, model, instructions)| baseline.complaint(&core, model, instructions))
        .collect();
    if !complaints.is_empty() {
        bail!("counts grew:\n{}", complaints.join("\n"));
    }
    Ok(())
}

fn path() -> PathBuf {
    root().join("tests/bench/baseline.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complains_of_more_than_a_hundredth() {
        let mut baseline = Baseline::default();
        baseline.set("m4", "kws", 1000);
        assert_eq!(baseline.complaint("m4", "kws", 1010), None);
        assert_eq!(baseline.complaint("m4", "vww", 5000), None);
        let complaint = baseline.complaint("m4", "kws", 1011);
        assert_eq!(complaint.as_deref(), Some("kws on m4: 1011 instructions, 1.1 % more than 1000"));
    }

    #[test]
    fn the_committed_file_is_read() -> Result<()> {
        assert!(Baseline::read()?.complaint("m4", "kws", u64::MAX / 200).is_some());
        Ok(())
    }
}
