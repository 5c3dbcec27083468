//! Signal-to-noise of the int8 network's tensors.

use super::activations::network;
use super::domain::consumers;
use super::{Calibration, QuantizeError, is_activation, ranges};
use crate::graph::{Graph, TensorId};
use std::collections::HashMap;

/// Samples that are compared.
const SAMPLES: usize = 16;

/// Energies of a tensor, summed over samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Energy {
    pub signal: f64,
    pub noise: f64,
}

impl Energy {
    pub fn add(&mut self, signal: &[f32], other: &[f32]) {
        for (&x, &y) in signal.iter().zip(other) {
            self.signal += f64::from(x) * f64::from(x);
            self.noise += (f64::from(x) - f64::from(y)).powi(2);
        }
    }

    /// In decibels; infinite if there is no noise.
    pub fn decibels(self) -> f64 {
        10.0 * (self.signal / self.noise).log10()
    }
}

/// Runs both networks, tensor by tensor.
pub(super) fn compare(
    float: &Graph,
    int8: &Graph,
    calibration: &Calibration,
) -> Result<HashMap<TensorId, Energy>, QuantizeError> {
    let (mut reference, mut network) = (network(float), network(int8));
    let mut energies: HashMap<TensorId, Energy> = HashMap::new();
    let readers = consumers(float);
    for inputs in calibration.samples.iter().take(SAMPLES) {
        let mut expected = HashMap::new();
        reference.run(inputs, &mut |id, values| {
            if id.0 < float.tensors.len() && is_activation(float, id) {
                expected.insert(id, values.to_vec());
            }
        })?;
        network.run(inputs, &mut |id, values| {
            if let Some(signal) = expected.get(&id) {
                // Where a table is the only reader, errors count as it passes them on: it may well flatten what
                // the range has clipped.
                let energy = energies.entry(id).or_default();
                match ranges::only_reader(float, &readers, id) {
                    Some(function) => {
                        energy.add(&ranges::apply(function, signal), &ranges::apply(function, values))
                    }
                    None => energy.add(signal, values),
                }
            }
        })?;
    }
    Ok(energies)
}
