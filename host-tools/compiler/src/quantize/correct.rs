//! Rounding of weights and bias correction, layer by layer.
//!
//! The int8 network runs on the samples with the layers before already treated. What a layer reads there decides how
//! its weights are rounded ([`round`]); what then remains in the mean goes into its bias:
//! `sum(W_q * mean(x_q)) - sum(W * mean(x))` per output, caused by its own rounded weights and by what all layers
//! before have clipped and rounded (Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight
//! Equalization and Bias Correction, 2019, section 4.2). Padding is counted: a tap that lies outside at some positions
//! weighs less.

use super::activations::{Activations, Evaluator, network};
use super::measure::Energy;
use super::observe::Observed;
use super::rewrite::Layer;
use super::round::{LONGEST, round};
use super::weights::Weights;
use super::windows::{Batch, Windows};
use super::{Calibration, QuantizeError};
use crate::graph::{Data, Graph, Tensor, TensorId};
use std::collections::HashMap;

/// Samples that the int8 network runs on; all of them at once, layer by layer.
pub(super) const SAMPLES: usize = 32;

/// Corrects the layers of `int8`, the quantized form of `float`, whose tensors keep their indices. `layers` are the
/// quantized layers, by index of the float node; what is done with them is noted there. `observed` is what the float
/// network showed on the first [`SAMPLES`].
pub(super) fn correct(
    float: &Graph,
    int8: &mut Graph,
    observed: &Observed,
    calibration: &Calibration,
    layers: &mut HashMap<usize, Layer>,
) -> Result<(), QuantizeError> {
    let nodes = float.nodes.iter().enumerate();
    let producers: HashMap<TensorId, usize> =
        nodes.flat_map(|(index, node)| node.outputs.iter().map(move |&id| (id, index))).collect();
    let mut network = Stepwise::new(int8, &calibration.samples[..calibration.samples.len().min(SAMPLES)]);
    for index in 0..int8.nodes.len() {
        let node = &int8.nodes[index];
        let origin = node.outputs.first().and_then(|id| producers.get(id)).copied();
        if let Some((origin, layer)) = origin.and_then(|origin| Some((origin, layers.get_mut(&origin)?)))
            && let Some(seen) = observed.get(&float.nodes[origin].inputs[0])
            && let Some(batch) = network.live.get(&node.inputs[0])
        {
            treat((float, origin), (int8, index), &seen.means(), batch, calibration, layer);
        }
        network.run(int8, index)?;
    }
    Ok(())
}

/// A network that runs node by node, all samples at once.
struct Stepwise {
    samples: usize,
    live: HashMap<TensorId, Batch>,
    /// Last node that reads a tensor.
    last: HashMap<TensorId, usize>,
}

impl Stepwise {
    fn new(graph: &Graph, samples: &[Vec<Vec<f32>>]) -> Self {
        let values = |k: usize| samples.iter().map(|inputs| inputs[k].clone()).collect();
        let live = graph.inputs.iter().enumerate().map(|(k, &id)| (id, values(k))).collect();
        let nodes = graph.nodes.iter().enumerate();
        let reads = nodes.flat_map(|(index, node)| node.inputs.iter().map(move |&id| (id, index)));
        Self { samples: samples.len(), live, last: reads.collect() }
    }

    fn run(&mut self, graph: &Graph, index: usize) -> Result<(), QuantizeError> {
        let node = graph.nodes[index].clone();
        let mut inputs = Vec::new();
        for &id in node.inputs.iter().filter(|&&id| !graph.tensor(id).is_constant()) {
            if !self.live.contains_key(&id) {
                return Ok(()); // integers that no layer reads
            }
            if !inputs.contains(&id) {
                inputs.push(id);
            }
        }
        let outputs = node.outputs.clone();
        let alone =
            Graph { nodes: vec![node], inputs: inputs.clone(), outputs: outputs.clone(), ..graph.clone() };
        // Rows of a table depend on no input.
        let mut network = if inputs.is_empty() {
            Box::new(Evaluator(&alone)) as Box<dyn Activations>
        } else {
            network(&alone)
        };
        for sample in 0..self.samples {
            let given: Vec<Vec<f32>> = inputs.iter().map(|id| self.live[id][sample].clone()).collect();
            let mut found = Vec::new();
            network.run(&given, &mut |id, values| {
                if outputs.contains(&id) {
                    found.push((id, values.to_vec()));
                }
            })?;
            for (id, values) in found {
                self.live.entry(id).or_default().push(values);
            }
        }
        let last = &self.last;
        self.live.retain(|id, _| last.get(id).is_some_and(|&last| last > index));
        Ok(())
    }
}

/// Rounds one layer's weights and corrects its bias. `means` are those of the float layer's input, `batch` is what the
/// int8 layer reads.
fn treat(
    (float, origin): (&Graph, usize),
    (int8, index): (&mut Graph, usize),
    means: &[f64],
    batch: &Batch,
    calibration: &Calibration,
    layer: &mut Layer,
) {
    let (original, node) = (&float.nodes[origin], int8.nodes[index].clone());
    let (w, codes) = (float.tensor(original.inputs[1]), int8.tensor(node.inputs[1]));
    let input = int8.tensor(node.inputs[0]).quant.as_ref().and_then(|quant| quant.uniform());
    let (Some(reals), Some(quant), Some(Data::I8(stored)), Some((input_scale, _)), Some(windows)) =
        (w.data.as_ref().map(Data::to_f32), &codes.quant, &codes.data, input, Windows::of(float, original))
    else {
        return;
    };
    let mut weights = Weights {
        codes: stored.to_vec(),
        largest: calibration.weights.largest(&original.op),
        scales: quant.scales.clone(),
    };
    if calibration.round_by_error && windows.len() <= LONGEST {
        let (moments, positions) = windows.moments(batch);
        layer.rounded = round(&mut weights, &reals, &moments, positions);
        layer.weights = Energy::default();
        layer.weights.add(&reals, &weights.reals());
    }
    let channels = weights.scales.len();
    let given = original.inputs.get(2).and_then(|&id| float.tensor(id).data.as_ref());
    let mut bias: Vec<f64> =
        given.map_or(vec![0.0; channels], |data| data.to_f32().into_iter().map(f64::from).collect());
    if calibration.correct_bias {
        let errors = mean_errors(&windows, &reals, &weights, means, &windows.means(batch));
        bias.iter_mut().zip(errors).for_each(|(bias, error)| *bias -= error);
        layer.corrected = true;
    }
    let (bias_codes, bias_quant) = weights.bias(&bias, input_scale);
    let tensor = int8.tensor_mut(node.inputs[1]);
    tensor.quant = Some(weights.quant());
    tensor.data = Some(Data::I8(weights.codes.into()));
    let name = node.inputs.get(2).map(|&id| int8.tensor(id).name.clone());
    let name = name.unwrap_or_else(|| format!("{}/bias", node.name));
    let tensor = Tensor::constant(name, vec![channels], Data::I32(bias_codes.into())).with_quant(bias_quant);
    let tensor = int8.add_tensor(tensor);
    let inputs = &mut int8.nodes[index].inputs;
    inputs.truncate(2);
    inputs.push(tensor);
}

/// What the int8 layer's outputs are too large by in the mean.
fn mean_errors(
    windows: &Windows,
    reals: &[f32],
    weights: &Weights,
    real: &[f64],
    quantized: &[f64],
) -> Vec<f64> {
    let channels = weights.scales.len();
    let per_channel = (reals.len() / channels.max(1)).max(1);
    let per_group = (channels / windows.groups).max(1);
    let last = windows.len() / windows.taps();
    let shares = windows.shares();
    let mut errors = vec![0.0; channels];
    for (i, (&w, q)) in reals.iter().zip(weights.reals()).enumerate() {
        let (output, weight) = (i / per_channel, i % per_channel);
        let channel = output / per_group * last + weight % last;
        let mean = |means: &[f64]| means.get(channel).copied().unwrap_or(0.0);
        let error = f64::from(q) * mean(quantized) - f64::from(w) * mean(real);
        errors[output] += shares.get(weight / last).copied().unwrap_or(1.0) * error;
    }
    errors
}
