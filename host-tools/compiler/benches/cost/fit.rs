//! Linear forms over features from samples.

use mote_compiler::cost::{ENGINE, Feature, Work};
use std::collections::BTreeMap;

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

/// Factors, none of them negative, with the least sum of squared errors; features that gain nothing are left out. Errors
/// count nearly as relative ones, so that small layers matter almost as much as large ones; those below `FLOOR` less.
pub fn fit(samples: &[(Work, f64)]) -> BTreeMap<Feature, f64> {
    const FLOOR: f64 = 300.0;
    let features = features(samples);
    let rows: Vec<(Vec<f64>, f64)> = samples
        .iter()
        .map(|(work, value)| {
            let weight = value.abs().max(FLOOR).powf(-0.8);
            (features.iter().map(|feature| feature.of(work) * weight).collect(), value * weight)
        })
        .collect();
    let count = features.len();
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
    let factors = non_negative(&gram, &right);
    let scaled = factors.iter().zip(&norms).map(|(factor, norm)| factor / norm);
    features.iter().copied().zip(scaled).filter(|(_, factor)| *factor > 1e-6).collect()
}

/// Features that may matter for the kernel: all, but for the engine those that it has, and none that are the same as
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

/// Least squares without negative factors, by coordinate descent on the normal equations.
fn non_negative(gram: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut factors = vec![0.0; right.len()];
    // A trace of ridge keeps features that are nearly the same from growing against each other.
    let ridge =
        1e-6 * gram.iter().enumerate().map(|(i, row)| row[i]).sum::<f64>() / right.len().max(1) as f64;
    for _ in 0..100_000 {
        let mut moved: f64 = 0.0;
        for i in 0..right.len() {
            let others: f64 =
                gram[i].iter().zip(&factors).map(|(g, f)| g * f).sum::<f64>() - gram[i][i] * factors[i];
            let next = ((right[i] - others) / (gram[i][i] + ridge)).max(0.0);
            moved = moved.max((next - factors[i]).abs());
            factors[i] = next;
        }
        if moved < 1e-10 {
            break;
        }
    }
    factors
}
