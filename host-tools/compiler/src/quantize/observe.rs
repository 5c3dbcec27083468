//! Statistics of the float network's activations on the calibration samples.

use super::activations::network;
use super::histogram::Histogram;
use super::{QuantizeError, is_activation};
use crate::graph::{Graph, TensorId};
use std::collections::HashMap;

/// What was seen of one tensor.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub histogram: Histogram,
    /// Sum over all positions and samples, per last-axis channel.
    sums: Vec<f64>,
    /// Positions that were summed.
    positions: u64,
}

/// What was seen of all tensors.
pub(super) type Observed = HashMap<TensorId, Seen>;

impl Seen {
    fn new(channels: usize) -> Self {
        Self { histogram: Histogram::new(), sums: vec![0.0; channels.max(1)], positions: 0 }
    }

    fn add(&mut self, values: &[f32]) {
        self.histogram.add(values);
        for position in values.chunks(self.sums.len()) {
            self.sums.iter_mut().zip(position).for_each(|(sum, &x)| *sum += f64::from(x));
            self.positions += 1;
        }
    }

    /// Mean of each channel.
    pub fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.positions.max(1) as f64).collect()
    }
}

/// Runs all samples.
pub(super) fn observe(graph: &Graph, samples: &[Vec<Vec<f32>>]) -> Result<Observed, QuantizeError> {
    let mut network = network(graph);
    let mut observed = Observed::new();
    for (sample, inputs) in samples.iter().enumerate() {
        let mut bad = None;
        network.run(inputs, &mut |id, values| {
            if id.0 >= graph.tensors.len() || !is_activation(graph, id) {
                return;
            }
            match values.iter().find(|x| !x.is_finite()) {
                Some(&value) => bad = bad.take().or(Some((id, value))),
                None => {
                    let channels = graph.tensor(id).shape.last().copied().unwrap_or(1);
                    observed.entry(id).or_insert_with(|| Seen::new(channels)).add(values);
                }
            }
        })?;
        if let Some((id, value)) = bad {
            let node = graph.producer(id).map(|i| graph.nodes[i].name.clone()).unwrap_or_default();
            return Err(QuantizeError::Overflow {
                node,
                tensor: graph.tensor(id).name.clone(),
                sample,
                value,
            });
        }
    }
    Ok(observed)
}
