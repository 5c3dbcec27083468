//! Linear forms over features from samples.

use mote_compiler::cost::{ENGINE, Feature, Work};
use std::collections::{BTreeMap, BTreeSet};

/// One step of a measured network, or what a network needed beside its steps.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sample {
    /// The network, where it counts as one; samples of the same name are one plan's.
    pub network: Option<String>,
    pub work: Work,
    /// Measured.
    pub value: f64,
    /// Measured, in estimated cycles.
    pub cycles: Option<f64>,
}

/// Of each of some kernels that differ in their rounding only, by name: factors, none of them negative, with the least sum of
/// squared errors; features that gain nothing are left out. What all do alike has one factor for all, so that samples of
/// one serve the others; [`OWN`] features have a factor of each kernel on top. Errors count nearly as relative ones, so
/// that small layers matter almost as much as large ones; those below `FLOOR` less.
pub fn fit(samples: &[(Work, f64)]) -> BTreeMap<&'static str, BTreeMap<Feature, f64>> {
    const FLOOR: f64 = 300.0;
    let kernels: BTreeSet<&'static str> = samples.iter().map(|(work, _)| work.kernel).collect();
    let features = features(samples);
    let mut columns: Vec<(Option<&str>, Feature)> = features.iter().map(|&feature| (None, feature)).collect();
    if kernels.len() > 1 {
        let own = features.iter().filter(|feature| OWN.contains(feature));
        columns.extend(own.flat_map(|&feature| kernels.iter().map(move |&kernel| (Some(kernel), feature))));
    }
    let rows: Vec<(Vec<f64>, f64)> = samples
        .iter()
        .map(|(work, value)| {
            let weight = value.abs().max(FLOOR).powf(-0.8);
            let entry = |(kernel, feature): &(Option<&str>, Feature)| match kernel {
                Some(kernel) if *kernel != work.kernel => 0.0,
                _ => feature.of(work) * weight,
            };
            (columns.iter().map(entry).collect(), value * weight)
        })
        .collect();
    let count = columns.len();
    // Normal equations, each feature scaled to a mean square of 1.
    let norm =
        |j: usize| (rows.iter().map(|(x, _)| x[j] * x[j]).sum::<f64>() / rows.len() as f64).sqrt().max(1e-12);
    let norms: Vec<f64> = (0..count).map(norm).collect();
    let mut gram = vec![vec![0.0; count]; count];
    let mut right = vec![0.0; count];
    for (x, y) in &rows {
        for i in 0..count {
            right[i] += x[i] / norms[i] * y;
            for j in 0..count {
                gram[i][j] += x[i] / norms[i] * x[j] / norms[j];
            }
        }
    }
    // A trace of ridge keeps features that are nearly the same from growing against each other.
    let ridge = 1e-6 * (0..count).map(|i| gram[i][i]).sum::<f64>() / count.max(1) as f64;
    (0..count).for_each(|i| gram[i][i] += ridge);
    let factors = non_negative(&gram, &right);
    let mut figures: BTreeMap<_, BTreeMap<Feature, f64>> =
        kernels.iter().map(|&kernel| (kernel, BTreeMap::new())).collect();
    for (((own, feature), factor), norm) in columns.into_iter().zip(factors).zip(norms) {
        for (kernel, factors) in &mut figures {
            if factor > 1e-9 && own.is_none_or(|own| own == *kernel) {
                *factors.entry(feature).or_default() += factor / norm;
            }
        }
    }
    figures
}

/// What roundings may differ in.
const OWN: &[Feature] = &[
    Feature::Calls,
    Feature::Positions,
    Feature::Outputs,
    Feature::Inputs,
    Feature::Macs,
    Feature::Quads,
    Feature::Lanes,
];

/// Features that may matter for the kernels: all, but for the engine those that it has, and none that are the same as
/// another one in every sample.
fn features(samples: &[(Work, f64)]) -> Vec<Feature> {
    let engine = samples.first().is_some_and(|(work, _)| work.kernel == ENGINE);
    let candidates: &[Feature] =
        if engine { &[Feature::Calls, Feature::Rows, Feature::Positions] } else { Feature::ALL };
    let mut kept: Vec<Feature> = Vec::new();
    for &feature in candidates {
        let same = |other: &Feature| samples.iter().all(|(work, _)| feature.of(work) == other.of(work));
        let nothing = samples.iter().all(|(work, _)| feature.of(work) == 0.0);
        if !nothing && !kept.iter().any(same) {
            kept.push(feature);
        }
    }
    kept
}

/// Least squares without negative factors: the active-set method of Lawson and Hanson (Solving Least Squares Problems,
/// chapter 23) on the normal equations.
fn non_negative(gram: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let count = right.len();
    let mut factors = vec![0.0; count];
    let mut free = vec![false; count];
    let least = 1e-9 * right.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
    for _ in 0..5 * count {
        let slope = |i: usize| right[i] - gram[i].iter().zip(&factors).map(|(g, f)| g * f).sum::<f64>();
        let steepest = (0..count).filter(|&i| !free[i]).max_by(|&a, &b| slope(a).total_cmp(&slope(b)));
        let Some(next) = steepest.filter(|&i| slope(i) > least) else { break };
        free[next] = true;
        loop {
            let set: Vec<usize> = (0..count).filter(|&i| free[i]).collect();
            let solution = solve(gram, right, &set);
            let blocked = set.iter().zip(&solution).filter(|(_, value)| **value <= 0.0);
            let step = blocked.map(|(&i, value)| factors[i] / (factors[i] - value)).fold(1.0, f64::min);
            for (&i, value) in set.iter().zip(&solution) {
                factors[i] += step * (value - factors[i]);
            }
            if step >= 1.0 {
                break;
            }
            for &i in &set {
                if factors[i] <= 1e-12 {
                    (free[i], factors[i]) = (false, 0.0);
                }
            }
        }
    }
    factors
}

/// Solves the equations of a subset of unknowns, which are positive definite, by Cholesky's factorization.
fn solve(gram: &[Vec<f64>], right: &[f64], set: &[usize]) -> Vec<f64> {
    let count = set.len();
    let mut lower = vec![vec![0.0; count]; count];
    let mut half = vec![0.0; count];
    for i in 0..count {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest: f64 = gram[set[i]][set[j]] - known;
            lower[i][j] = if i == j { rest.max(1e-15).sqrt() } else { rest / lower[j][j] };
        }
        let known: f64 = (0..i).map(|k| lower[i][k] * half[k]).sum();
        half[i] = (right[set[i]] - known) / lower[i][i];
    }
    let mut solution = vec![0.0; count];
    for i in (0..count).rev() {
        let known: f64 = (i + 1..count).map(|k| lower[k][i] * solution[k]).sum();
        solution[i] = (half[i] - known) / lower[i][i];
    }
    solution
}
