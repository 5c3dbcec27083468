//! The measured figures of a target.
//!
//! A file of `tables/` is a JSON object:
//!
//! ```json
//! {"target": "cortex-m4", "unit": "instructions", "measured": "cortex-m4, emulated mps2-an386",
//!  "error": 0.05, "float_error": 0.2, "networks": {"kws": {"measured": 100, "estimated": 102}},
//!  "kernels": {"conv_s8_dsp": {"samples": 80, "error": 0.02, "cost": {"calls": 190, "block_macs": 1.1},
//!                              "cycles": {"calls": 260, "block_macs": 1.6}}}}
//! ```
//!
//! `cost` is in the table's `unit`; `cycles` stands only where cycles can be estimated. A kernel of several
//! functions has figures for all (`unary_f32`) and for each (`unary_f32/7`). One that was measured in one rounding only serves the others, too: `conv_s8_dsp` is asked where `conv_s8_dsp_double` has no entry.

use super::{Feature, Work};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The committed tables: target, file.
const FILES: &[(&str, &str)] = &[
    ("cortex-m4", include_str!("tables/cortex-m4.json")),
    ("cortex-m33", include_str!("tables/cortex-m33.json")),
    ("cortex-m55", include_str!("tables/cortex-m55.json")),
];

/// Figures of one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Name of the target's profile.
    pub target: String,
    /// Of [`Cost::units`].
    pub unit: String,
    /// What was measured, for people.
    pub measured: String,
    /// Largest relative error of an int8 network's total, each network estimated by figures made without it: the error bar
    /// of estimates.
    pub error: f64,
    /// The same of networks that compute in floating point.
    pub float_error: f64,
    /// Networks that were measured, each estimated by figures made without it.
    pub networks: BTreeMap<String, Checked>,
    pub kernels: BTreeMap<String, Figures>,
}

/// A network's total, measured and estimated.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Checked {
    pub measured: f64,
    pub estimated: f64,
}

impl Checked {
    /// Above 0 where the estimate is too high.
    pub fn error(&self) -> f64 {
        self.estimated / self.measured.max(1.0) - 1.0
    }
}

/// Figures of one kernel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Layers that they were made from.
    pub samples: usize,
    /// Mean relative error of these layers.
    pub error: f64,
    pub cost: BTreeMap<Feature, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cycles: BTreeMap<Feature, f64>,
}

impl Figures {
    /// How far they may be off, relative: few samples can be met without error by accident.
    pub fn doubt(&self) -> f64 {
        self.error + (self.samples.max(1) as f64).sqrt().recip()
    }
}

/// What a step costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// In the table's unit.
    pub units: f64,
    /// Estimated cycles, where the table has them.
    pub cycles: Option<f64>,
}

/// The table of a target, if it was measured.
pub fn table(target: &str) -> Option<&'static Table> {
    static TABLES: OnceLock<Vec<Table>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        let parsed = FILES.iter().filter_map(|(_, text)| serde_json::from_str(text).ok());
        parsed.collect()
    });
    tables.iter().find(|table| table.target == target)
}

/// Names of the measured targets.
pub fn measured() -> Vec<&'static str> {
    FILES.iter().map(|(target, _)| *target).collect()
}

impl Table {
    /// What some work costs; `None` if its kernel was not measured.
    pub fn cost(&self, work: &Work) -> Option<Cost> {
        let figures = self.function(work).or_else(|| self.figures(work.kernel))?;
        let cycles = (!figures.cycles.is_empty()).then(|| sum(&figures.cycles, work));
        Some(Cost { units: sum(&figures.cost, work), cycles })
    }

    /// Figures of one function of a kernel, or of the same with another rounding: `unary_f32/7`.
    fn function(&self, work: &Work) -> Option<&Figures> {
        let of = |kernel| self.kernels.get(&key(kernel, work.function));
        if work.function == 0 { None } else { of(work.kernel).or_else(|| of(plain(work.kernel))) }
    }

    /// Figures of a kernel, or of the same kernel with another rounding.
    pub fn figures(&self, kernel: &str) -> Option<&Figures> {
        self.kernels.get(kernel).or_else(|| self.kernels.get(plain(kernel)))
    }
}

/// The name of a kernel without that of its rounding.
pub fn plain(kernel: &str) -> &str {
    ["_double", "_relu"].iter().find_map(|rounding| kernel.strip_suffix(rounding)).unwrap_or(kernel)
}

/// Key of a function's own figures, beside those of all functions of its kernel.
pub fn key(kernel: &str, function: u32) -> String {
    format!("{kernel}/{function}")
}

fn sum(factors: &BTreeMap<Feature, f64>, work: &Work) -> f64 {
    factors.iter().map(|(feature, factor)| factor * feature.of(work)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets;

    #[test]
    fn the_committed_tables_are_read() {
        for (target, text) in FILES {
            let parsed: Table = serde_json::from_str(text).unwrap();
            assert!(parsed.target == *target && targets::by_name(target).is_some(), "{target}");
            assert!(
                parsed.kernels.values().all(|figures| figures.cost.values().all(|&factor| factor >= 0.0))
            );
            let most = parsed.error.max(parsed.float_error) + 1e-3;
            assert!(parsed.networks.values().all(|network| network.error().abs() <= most));
            assert!(table(target).is_some());
        }
        assert!(table("no such target").is_none());
    }

    #[test]
    fn a_kernel_stands_in_for_its_other_roundings() {
        let text = r#"{"target": "t", "unit": "u", "measured": "", "error": 0.1, "float_error": 0.1, "networks": {},
            "kernels": {"conv": {"samples": 1, "error": 0, "cost": {"calls": 100, "outputs": 2}}}}"#;
        let table: Table = serde_json::from_str(text).unwrap();
        let work = Work {
            kernel: "conv_double",
            calls: 1.0,
            rows: 2.0,
            columns: 3.0,
            channels: 4.0,
            ..Work::nothing()
        };
        assert_eq!(table.cost(&work), Some(Cost { units: 148.0, cycles: None }));
        assert_eq!(table.cost(&Work { kernel: "other", ..work }), None);
    }
}
