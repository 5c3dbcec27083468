//! The compiler's cost model of dense and sparse layers from measured ones: for each kernel a linear form in weights (or
//! entries), input channels and output channels at one position, never with a negative factor, so that what is larger
//! never costs less; the sum of squared relative errors is least.

use crate::workspace::root;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::{fs, path::PathBuf};

/// The profiles whose tables there are.
pub const HOST: &str = "portable";
pub const WASM: &str = "wasm";
pub const CORTEX_M4: &str = "cortex-m4";
pub const CORTEX_M55: &str = "cortex-m55";

/// What a kernel does at one position of a layer, and what that costs.
#[derive(Clone)]
pub struct Sample {
    pub kernel: String,
    /// Weights or entries, input channels, output channels.
    pub work: [f64; 3],
    pub cost: f64,
}

/// Of a profile.
#[derive(Deserialize, Serialize)]
struct Table {
    unit: String,
    kernels: BTreeMap<String, Figures>,
}

/// Factors of a kernel; what is not there is 0.
#[derive(Default, Deserialize, Serialize)]
struct Figures {
    #[serde(skip_serializing_if = "Option::is_none")]
    macs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<f64>,
}

/// Replaces the figures of all kernels that were measured, by profile; the others stay.
pub fn write(measured: &[(&str, Vec<Sample>)]) -> Result<()> {
    let path = path();
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut tables: BTreeMap<String, Table> =
        serde_json::from_str(&text).context("reading the cost model")?;
    for (profile, samples) in measured {
        let table = tables.get_mut(*profile).with_context(|| format!("no table of {profile}"))?;
        let mut by_kernel: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
        samples.iter().for_each(|sample| by_kernel.entry(&sample.kernel).or_default().push(sample));
        println!("{profile}: {}, at one position", table.unit);
        for (kernel, samples) in by_kernel {
            let Some((factors, error)) = fit(&samples) else { bail!("{kernel}: no fit") };
            println!(
                "  {kernel:22} {} layers: {:.4} a weight or entry, {:.4} an input, {:.4} an output; off by {:.1} % (root mean square)",
                samples.len(),
                factors[0],
                factors[1],
                factors[2],
                100.0 * error
            );
            table.kernels.insert(kernel.into(), figures(kernel, factors));
        }
    }
    let text = serde_json::to_string_pretty(&tables)? + "\n";
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

fn path() -> PathBuf {
    root().join("host-tools/compiler/src/cost/tables/sparse.json")
}

/// To four digits.
fn figures(kernel: &str, factors: [f64; 3]) -> Figures {
    let digits = |x: f64| (x > 0.0).then(|| format!("{x:.3e}").parse().unwrap_or(x));
    let [weights, inputs, outputs] = factors.map(digits);
    let sparse = kernel.starts_with("spmm");
    let (macs, entries) = if sparse { (None, weights) } else { (weights, None) };
    Figures { macs, entries, inputs, outputs }
}

/// The factors with the least error, and that error, of the costs. All sets of factors that are not 0 are tried.
fn fit(samples: &[&Sample]) -> Option<([f64; 3], f64)> {
    let all = (1usize..8).filter_map(|set| {
        let used: Vec<usize> = (0..3).filter(|i| set >> i & 1 == 1).collect();
        let solved = solve(samples, &used)?;
        let mut factors = [0.0; 3];
        used.iter().zip(solved).for_each(|(&i, factor)| factors[i] = factor);
        factors.iter().all(|&factor| factor >= 0.0).then(|| (factors, error(samples, &factors)))
    });
    all.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// Root of the mean of squared relative errors.
fn error(samples: &[&Sample], factors: &[f64; 3]) -> f64 {
    let off = |sample: &&Sample| {
        let cost: f64 = sample.work.iter().zip(factors).map(|(x, factor)| x * factor).sum();
        (cost / sample.cost - 1.0).powi(2)
    };
    (samples.iter().map(off).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// Least squares by the normal equations; `None` if the samples do not tell the factors apart.
fn solve(samples: &[&Sample], used: &[usize]) -> Option<Vec<f64>> {
    let n = used.len();
    let mut rows = vec![vec![0.0; n + 1]; n];
    for sample in samples {
        let x: Vec<f64> = used.iter().map(|&i| sample.work[i] / sample.cost).collect();
        for (row, xi) in rows.iter_mut().zip(&x) {
            row.iter_mut().zip(x.iter().chain([&1.0])).for_each(|(sum, xj)| *sum += xi * xj);
        }
    }
    let largest = rows.iter().zip(0..).map(|(row, i): (&Vec<f64>, usize)| row[i]).fold(0.0, f64::max);
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, pivot);
        if rows[i][i].abs() <= 1e-12 * largest {
            return None;
        }
        let row = rows[i].clone();
        for (_, other) in rows.iter_mut().enumerate().filter(|(k, _)| *k != i) {
            let factor = other[i] / row[i];
            other.iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
        }
    }
    Some((0..n).map(|i| rows[i][n] / rows[i][i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(work: [f64; 3], factors: [f64; 3]) -> Sample {
        let cost = work.iter().zip(factors).map(|(x, factor)| x * factor).sum();
        Sample { kernel: "spmm_s8/1x1".into(), work, cost }
    }

    const WORK: [[f64; 3]; 4] =
        [[200.0, 32.0, 64.0], [800.0, 64.0, 128.0], [900.0, 128.0, 64.0], [9e3, 256.0, 512.0]];

    #[test]
    fn factors_are_found_again() {
        let samples = WORK.map(|work| sample(work, [5.0, 1.5, 50.0]));
        let (factors, error) = fit(&samples.each_ref()).unwrap();
        assert!(factors.iter().zip([5.0, 1.5, 50.0]).all(|(a, b)| (a / b - 1.0).abs() < 1e-6), "{factors:?}");
        assert!(error < 1e-6);
    }

    #[test]
    fn no_factor_is_negative() {
        let samples = WORK.map(|work| sample(work, [5.0, -1.0, 50.0]));
        let (factors, error) = fit(&samples.each_ref()).unwrap();
        assert!(factors[1] == 0.0 && factors[0] > 0.0 && error > 0.0, "{factors:?}");
        // What is left out is not far off.
        assert!(error < 0.2, "{error}");
    }

    #[test]
    fn four_digits_are_kept_and_zeros_left_out() {
        let figures = figures("conv2d_s8", [0.123_456, 0.0, 1234.56]);
        assert_eq!((figures.macs, figures.entries), (Some(0.1235), None));
        assert_eq!((figures.inputs, figures.outputs), (None, Some(1235.0)));
    }

    #[test]
    fn the_committed_table_has_all_profiles() -> Result<()> {
        let tables: BTreeMap<String, Table> = serde_json::from_str(&fs::read_to_string(path())?)?;
        assert!([HOST, WASM, CORTEX_M4, CORTEX_M55].iter().all(|profile| tables.contains_key(*profile)));
        Ok(())
    }
}
