//! Bias correction: what quantization adds to each layer's output in the mean goes into its bias.
//!
//! Layer by layer, the int8 network runs on the samples with the layers before already corrected. A layer that reads
//! `x` then errs by `sum(W_q * mean(x_q)) - sum(W * mean(x))` per output: by its own rounded weights, and by what all
//! layers before have clipped and rounded. Padding is counted: a tap that lies outside at some positions
//! weighs less.

use super::QuantizeError;
use super::activations::{Activations, Evaluator, network};
use super::observe::Observed;
use super::rewrite::Layer;
use super::weights::Weights;
use crate::graph::{Data, Graph, Op, Spatial, Tensor, TensorId};
use std::collections::HashMap;

/// Samples that the int8 network runs on; all of them at once, layer by layer.
pub(super) const SAMPLES: usize = 32;

/// Values of a tensor for each sample.
type Batch = Vec<Vec<f32>>;

/// Corrects the biases of `int8`, the quantized form of `float`, whose tensors keep their indices; marks the layers, by
/// index of the float node. `observed` is what the float network showed on these samples.
pub(super) fn biases(
    float: &Graph,
    int8: &mut Graph,
    observed: &Observed,
    samples: &[Vec<Vec<f32>>],
    layers: &mut HashMap<usize, Layer>,
) -> Result<(), QuantizeError> {
    let mut live: HashMap<TensorId, Batch> = HashMap::new();
    for (k, &id) in int8.inputs.iter().enumerate() {
        live.insert(id, samples.iter().map(|inputs| inputs[k].clone()).collect());
    }
    for index in 0..int8.nodes.len() {
        let output = int8.nodes[index].outputs[0];
        let origin = float.producer(output).filter(|origin| layers.contains_key(origin));
        if let Some(origin) = origin {
            let x = float.nodes[origin].inputs[0];
            let means = |batch: &Batch| channel_means(batch, int8.tensor(x).shape.last().copied());
            let quantized = live.get(&int8.nodes[index].inputs[0]).map(means);
            if let (Some(quantized), Some(seen)) = (quantized, observed.get(&x)) {
                correct(float, origin, int8, index, &quantized, &seen.means());
                layers.entry(origin).and_modify(|layer| layer.corrected = true);
            }
        }
        run(int8, index, samples.len(), &mut live)?;
        let read_later = |id: &TensorId| int8.nodes[index + 1..].iter().any(|node| node.inputs.contains(id));
        live.retain(|id, _| read_later(id));
    }
    Ok(())
}

/// Runs one node on all samples.
fn run(
    int8: &Graph,
    index: usize,
    samples: usize,
    live: &mut HashMap<TensorId, Batch>,
) -> Result<(), QuantizeError> {
    let node = int8.nodes[index].clone();
    let mut inputs = Vec::new();
    for &id in node.inputs.iter().filter(|&&id| !int8.tensor(id).is_constant()) {
        if !live.contains_key(&id) {
            return Ok(()); // integers that no layer reads
        }
        if !inputs.contains(&id) {
            inputs.push(id);
        }
    }
    let outputs = node.outputs.clone();
    let alone = Graph { nodes: vec![node], inputs: inputs.clone(), outputs: outputs.clone(), ..int8.clone() };
    // Rows of a table depend on no input.
    let mut network =
        if inputs.is_empty() { Box::new(Evaluator(&alone)) as Box<dyn Activations> } else { network(&alone) };
    for sample in 0..samples {
        let given: Vec<Vec<f32>> = inputs.iter().map(|id| live[id][sample].clone()).collect();
        let mut found = Vec::new();
        network.run(&given, &mut |id, values| {
            if outputs.contains(&id) {
                found.push((id, values.to_vec()));
            }
        })?;
        for (id, values) in found {
            live.entry(id).or_default().push(values);
        }
    }
    Ok(())
}

fn correct(float: &Graph, origin: usize, int8: &mut Graph, index: usize, quantized: &[f64], real: &[f64]) {
    let (original, node) = (&float.nodes[origin], int8.nodes[index].clone());
    let (weights, codes) = (float.tensor(original.inputs[1]), int8.tensor(node.inputs[1]));
    let input = int8.tensor(node.inputs[0]).quant.as_ref().and_then(|quant| quant.uniform());
    let (Some(reals), Some(quant), Some(Data::I8(stored)), Some((input_scale, _))) =
        (weights.data.as_ref().map(Data::to_f32), &codes.quant, &codes.data, input)
    else {
        return;
    };
    let rounded = Weights { codes: stored.to_vec(), scales: quant.scales.clone() };
    let channels = rounded.scales.len();
    let per_channel = (reals.len() / channels.max(1)).max(1);
    let last = weights.shape.last().copied().unwrap_or(1).max(1);
    let (shares, groups) = match &original.op {
        Op::Conv { spatial, groups } => {
            let shape = |id: TensorId| float.tensor(id).shape.as_slice();
            (shares(spatial, shape(original.inputs[0]), shape(original.outputs[0])), *groups)
        }
        _ => (vec![1.0], 1),
    };
    let per_group = (channels / groups.max(1)).max(1);
    let bias = original.inputs.get(2).and_then(|&id| float.tensor(id).data.as_ref());
    let mut exact =
        bias.map_or(vec![0.0; channels], |data| data.to_f32().into_iter().map(f64::from).collect());
    for (i, (&w, q)) in reals.iter().zip(rounded.reals()).enumerate() {
        let (output, weight) = (i / per_channel, i % per_channel);
        let channel = output / per_group * last + weight % last;
        let mean = |means: &[f64]| means.get(channel).copied().unwrap_or(0.0);
        let error = f64::from(q) * mean(quantized) - f64::from(w) * mean(real);
        exact[output] -= shares.get(weight / last).copied().unwrap_or(1.0) * error;
    }
    let (codes, quant) = rounded.bias(&exact, input_scale);
    let given = node.inputs.get(2).map(|&id| int8.tensor(id).name.clone());
    let name = given.unwrap_or_else(|| format!("{}/bias", node.name));
    let tensor = Tensor::constant(name, vec![channels], Data::I32(codes.into())).with_quant(quant);
    let tensor = int8.add_tensor(tensor);
    let inputs = &mut int8.nodes[index].inputs;
    inputs.truncate(2);
    inputs.push(tensor);
}

/// For each tap of a window: the share of output positions at which it lies inside the input.
fn shares(spatial: &Spatial, input: &[usize], output: &[usize]) -> Vec<f64> {
    // Lengths of time, rows and columns; axes that are not there are 1.
    let lengths = |shape: &[usize]| {
        let inner = &shape[1..shape.len().saturating_sub(1).max(1)];
        let mut lengths = [1; 3];
        lengths.iter_mut().rev().zip(inner.iter().rev()).for_each(|(length, &n)| *length = n);
        lengths
    };
    let (input, output) = (lengths(input), lengths(output));
    let share = |axis: usize, tap: usize| {
        let reach = tap * spatial.dilation[axis];
        let inside = |&o: &usize| {
            let at = o * spatial.stride[axis] + reach;
            at >= spatial.pad[axis].0 && at - spatial.pad[axis].0 < input[axis]
        };
        (0..output[axis]).filter(inside).count() as f64 / output[axis].max(1) as f64
    };
    let [times, rows, columns] = spatial.size;
    let taps = (0..times).flat_map(|t| (0..rows).flat_map(move |h| (0..columns).map(move |w| (t, h, w))));
    taps.map(|(t, h, w)| share(0, t) * share(1, h) * share(2, w)).collect()
}

/// Mean of each channel over samples and positions.
fn channel_means(batch: &Batch, channels: Option<usize>) -> Vec<f64> {
    let channels = channels.unwrap_or(1).max(1);
    let (mut sums, mut positions) = (vec![0.0; channels], 0usize);
    for position in batch.iter().flat_map(|values| values.chunks(channels)) {
        sums.iter_mut().zip(position).for_each(|(sum, &x)| *sum += f64::from(x));
        positions += 1;
    }
    sums.iter().map(|sum| sum / positions.max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_outside_count_less() {
        let spatial =
            Spatial { size: [1, 3, 3], stride: [1; 3], dilation: [1; 3], pad: [(0, 0), (1, 1), (1, 1)] };
        let shares = shares(&spatial, &[1, 4, 4, 2], &[1, 4, 4, 2]);
        let edge = 0.75;
        assert_eq!(shares, [edge * edge, edge, edge * edge, edge, 1.0, edge, edge * edge, edge, edge * edge]);
    }
}
