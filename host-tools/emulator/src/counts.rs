//! Reads the log of `tests/bench/qemu-count` and estimates cycles.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde::Deserialize;

use crate::{Error, Result};

/// A whole log.
pub struct Log {
    pub sections: Vec<Section>,
}

pub struct Section {
    pub name: String,
    pub counts: Counts,
    pub laps: Vec<Counts>,
}

/// Numbers by field name.
#[derive(Clone)]
pub struct Counts {
    index: Arc<BTreeMap<String, usize>>,
    values: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
enum Record {
    Header { version: u32, fields: Vec<String> },
    Section { name: String, counts: Vec<u64>, laps: Vec<Vec<u64>> },
    Run {},
}

impl Log {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::file(path))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut index: Option<Arc<BTreeMap<String, usize>>> = None;
        let mut sections = Vec::new();
        for line in text.lines() {
            match serde_json::from_str(line).map_err(|error| wrong(error.to_string()))? {
                Record::Header { version: 1, fields } => {
                    index =
                        Some(Arc::new(fields.into_iter().enumerate().map(|(i, name)| (name, i)).collect()));
                }
                Record::Header { version, .. } => {
                    return Err(wrong(format!("the log has version {version}")));
                }
                Record::Section { name, counts, laps } => {
                    let index = index.as_ref().ok_or_else(|| wrong("the log has no header"))?;
                    let named = |values| Counts { index: index.clone(), values };
                    sections.push(Section {
                        name,
                        counts: named(counts),
                        laps: laps.into_iter().map(named).collect(),
                    });
                }
                Record::Run {} => {}
            }
        }
        Ok(Self { sections })
    }

    /// Takes section `n` (from 0) of this name out of the log.
    pub fn take(&mut self, name: &str, n: usize) -> Result<Section> {
        let mut named = self.sections.iter().enumerate().filter(|(_, section)| section.name == name);
        let (i, _) =
            named.nth(n).ok_or_else(|| wrong(format!("the image ended before {name} number {}", n + 1)))?;
        Ok(self.sections.remove(i))
    }
}

impl Counts {
    /// A field; an error if the log has no field of this name.
    pub fn get(&self, field: &str) -> Result<u64> {
        let value = self.index.get(field).and_then(|&i| self.values.get(i));
        value.copied().ok_or_else(|| wrong(format!("there is no field {field}")))
    }

    /// All executed instructions.
    pub fn total(&self) -> Result<u64> {
        self.get("total")
    }

    /// Adds counts of the same log.
    pub fn add(&mut self, other: &Self) {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
    }

    /// Of `part` out of `parts` equal ones that have together what `more` has more than `less`: counts without it.
    pub fn without_share(&self, more: &Self, less: &Self, part: usize, parts: usize) -> Self {
        let values = self.values.iter().zip(more.values.iter().zip(&less.values));
        let reduced = values.map(|(&value, (&more, &less))| {
            let excess = (i128::from(more) - i128::from(less)) * part as i128 / parts.max(1) as i128;
            u64::try_from(i128::from(value) - excess).unwrap_or(0)
        });
        Self { index: self.index.clone(), values: reduced.collect() }
    }

    /// Cycles on a Cortex-M4, estimated from the timings in its Technical Reference Manual with
    /// memory that never waits. Where the manual gives a range the estimate takes: divide 7 (2 to
    /// 12), refill of the pipeline after a taken branch 2 (1 to 3).
    pub fn m4_cycles(&self) -> Result<u64> {
        const WEIGHTS: &[(&str, u64)] = &[
            ("total", 1),
            // On top of the one cycle that each instruction takes:
            ("load", 1),
            ("multi_regs", 1),
            ("div", 6),
            ("fp_mac", 2),
            ("fp_div", 13),
            ("branches_taken", 2),
        ];
        WEIGHTS.iter().map(|(field, weight)| Ok(weight * self.get(field)?)).sum()
    }
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::Counts(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"record":"header","version":1,"fields":["total","load","multi_regs","div","fp_mac","fp_div","branches_taken"]}
{"record":"section","name":"inference","counts":[10,2,3,1,0,0,1],"laps":[[4,0,0,0,0,0,0],[6,2,3,1,0,0,1]]}
{"record":"run","counts":[20,2,3,1,0,0,1]}
"#;

    #[test]
    fn reads_sections_and_laps() -> Result<()> {
        let mut log = Log::parse(LOG)?;
        assert!(log.take("inference", 1).is_err());
        let section = log.take("inference", 0)?;
        assert_eq!(section.counts.total()?, 10);
        assert_eq!(section.laps.len(), 2);
        assert_eq!(section.laps[1].get("load")?, 2);
        assert!(section.counts.get("colour").is_err());
        let without = section.counts.without_share(&section.laps[1], &section.laps[0], 1, 2);
        assert_eq!((without.total()?, without.get("load")?), (9, 1));
        Ok(())
    }

    #[test]
    fn estimates_cycles() -> Result<()> {
        let mut log = Log::parse(LOG)?;
        assert_eq!(log.take("inference", 0)?.counts.m4_cycles()?, 10 + 2 + 3 + 6 + 2);
        Ok(())
    }
}
