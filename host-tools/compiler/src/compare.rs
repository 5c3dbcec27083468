//! Two plans of one network beside each other: the signal-to-noise ratio of every tensor that both have.

use crate::executor::{AlignedBytes, Executor, encode};
use crate::record::Recorder;
use mote_runtime::plan::{DType, TensorRecord};
use mote_runtime::{Error, Plan};
use std::collections::HashMap;

/// How much of a tensor's signal survives in the second plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the tensor.
    pub name: String,
    /// `10 log10(sum x^2 / sum (x - y)^2)`.
    pub snr_db: f64,
    /// Fall of the ratio against the tensor before.
    pub lost_db: f64,
}

/// Runs both plans on the samples (real numbers of input 0) and compares all tensors that have the same name and
/// number of elements, in the order of the second plan's steps.
pub fn compare(reference: &[u8], other: &[u8], samples: &[Vec<f32>]) -> Result<Vec<Layer>, Error> {
    let mut sums: HashMap<String, (f64, f64)> = HashMap::new();
    let mut order = Vec::new();
    for sample in samples {
        let expected: HashMap<String, Vec<f32>> = tensors(reference, sample)?.into_iter().collect();
        for (name, values) in tensors(other, sample)? {
            let Some(truth) = expected.get(&name).filter(|truth| truth.len() == values.len()) else {
                continue;
            };
            if !sums.contains_key(&name) {
                order.push(name.clone());
            }
            let (signal, noise) = sums.entry(name).or_default();
            for (&x, &y) in truth.iter().zip(&values) {
                *signal += f64::from(x) * f64::from(x);
                *noise += f64::from(x - y) * f64::from(x - y);
            }
        }
    }
    let mut before = f64::INFINITY;
    let layers = order.into_iter().map(|name| {
        let (signal, noise) = sums[&name];
        let snr_db = 10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10();
        let lost_db = if before.is_finite() { before - snr_db } else { 0.0 };
        before = snr_db;
        Layer { name, snr_db, lost_db }
    });
    Ok(layers.collect())
}

/// Real values of every step's output for one sample, with the tensors' names, in order.
pub fn tensors(bytes: &[u8], sample: &[f32]) -> Result<Vec<(String, Vec<f32>)>, Error> {
    let aligned = AlignedBytes::from_slice(bytes);
    let plan = Plan::parse_unverified(aligned.as_ref())?;
    let mut recorder = Recorder::new(&plan);
    Executor::new(bytes)?.with(|engine| {
        let input = encode(&engine.input_format(0)?, sample)?;
        engine.run_on_observed(&[&input], &mut recorder)
    })?;
    let named = recorder.tensors().filter_map(|(index, bytes)| {
        let tensor = plan.tensor(index.into())?;
        Some((plan.tensor_name(index.into()).to_string(), reals(&plan, &tensor, bytes)?))
    });
    Ok(named.collect())
}

fn reals(plan: &Plan<'_>, tensor: &TensorRecord, bytes: &[u8]) -> Option<Vec<f32>> {
    let (scale, zero) = plan.quant(tensor.quant.into()).map_or((1.0, 0), |q| (q.scale, q.zero_point));
    match DType::from_code(tensor.dtype)? {
        DType::I8 => Some(bytes.iter().map(|&b| scale * (i32::from(b as i8) - zero) as f32).collect()),
        DType::F32 => Some(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
        _ => None,
    }
}
