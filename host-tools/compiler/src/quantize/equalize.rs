//! Cross-layer equalization: scales move between neighbouring layers, so that the channels between them use similar
//! ranges of weights. The float function stays the same. On request only: with a scale per output channel it gains where
//! channels differ widely, and may cost elsewhere (Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization
//! Through Weight Equalization and Bias Correction, 2019, section 4.1).

use super::domain::consumers;
use crate::graph::{Activation, Data, Graph, Op, TensorId};

const ROUNDS: usize = 20;

/// Equalizes all chains of convolutions and dense layers that nothing but a ReLU separates. Returns the pairs.
pub(super) fn equalize(graph: &mut Graph) -> usize {
    let pairs = pairs(graph);
    for _ in 0..ROUNDS {
        let mut largest_change = 0.0f32;
        for pair in &pairs {
            largest_change = largest_change.max(pair.equalize(graph));
        }
        if largest_change < 1e-3 {
            break;
        }
    }
    pairs.len()
}

/// Two layers with constants of their own.
struct Pair {
    weights: TensorId,
    bias: Option<TensorId>,
    next: TensorId,
    /// The second layer is depthwise.
    depthwise: bool,
    channels: usize,
}

fn pairs(graph: &mut Graph) -> Vec<Pair> {
    let readers = consumers(graph);
    let mut found = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let layer = matches!(node.op, Op::Conv { .. } | Op::Dense);
        if !layer || !matches!(node.activation, Activation::None | Activation::Relu) {
            continue;
        }
        let output = node.outputs[0];
        let [reader] = readers[output.0][..] else { continue };
        let next = &graph.nodes[reader];
        if graph.outputs.contains(&output) || next.inputs.first() != Some(&output) {
            continue;
        }
        let constants = |inputs: &[TensorId]| {
            let float = |&id: &TensorId| matches!(graph.tensor(id).data, Some(Data::F32(_)));
            inputs.len() > 1 && inputs[1..].iter().all(float)
        };
        if !constants(&node.inputs) || !constants(&next.inputs) {
            continue;
        }
        let channels = graph.tensor(node.inputs[1]).shape[0];
        let depthwise = match next.op {
            Op::Conv { groups: 1, .. } | Op::Dense => false,
            Op::Conv { groups, .. } if groups == channels => true,
            _ => continue,
        };
        let inputs = if depthwise { Some(&channels) } else { graph.tensor(next.inputs[1]).shape.last() };
        if inputs == Some(&channels) {
            found.push((index, reader, depthwise, channels));
        }
    }
    let pair = |(first, second, depthwise, channels): (usize, usize, bool, usize)| Pair {
        weights: own(graph, first, 1),
        bias: (graph.nodes[first].inputs.len() > 2).then(|| own(graph, first, 2)),
        next: own(graph, second, 1),
        depthwise,
        channels,
    };
    found.into_iter().map(pair).collect()
}

/// A node's constant as one that no other node reads.
fn own(graph: &mut Graph, node: usize, operand: usize) -> TensorId {
    let id = graph.nodes[node].inputs[operand];
    if graph.consumers(id).len() == 1 {
        return id;
    }
    let copy = graph.tensor(id).clone();
    let copy = graph.add_tensor(copy);
    graph.nodes[node].inputs[operand] = copy;
    copy
}

impl Pair {
    /// One step; the largest relative change of a scale.
    fn equalize(&self, graph: &mut Graph) -> f32 {
        let (mut weights, mut next) = (reals(graph, self.weights), reals(graph, self.next));
        let (outputs, inputs) = (self.first(&weights), self.second(graph));
        let largest = |values: &[f32], of: &dyn Fn(usize) -> usize| {
            let mut largest = vec![0.0f32; self.channels];
            for (i, x) in values.iter().enumerate() {
                largest[of(i)] = largest[of(i)].max(x.abs());
            }
            largest
        };
        let (r1, r2) = (largest(&weights, &outputs), largest(&next, &inputs));
        let factor = |(&a, &b): (&f32, &f32)| {
            if a > 0.0 && b > 0.0 { (a / b).sqrt().clamp(1e-4, 1e4) } else { 1.0 }
        };
        let factors: Vec<f32> = r1.iter().zip(&r2).map(factor).collect();
        weights.iter_mut().enumerate().for_each(|(i, w)| *w /= factors[outputs(i)]);
        next.iter_mut().enumerate().for_each(|(i, w)| *w *= factors[inputs(i)]);
        graph.tensor_mut(self.weights).data = Some(Data::F32(weights.into()));
        graph.tensor_mut(self.next).data = Some(Data::F32(next.into()));
        if let Some(bias) = self.bias {
            let values = reals(graph, bias).iter().zip(&factors).map(|(b, f)| b / f).collect();
            graph.tensor_mut(bias).data = Some(Data::F32(values));
        }
        factors.iter().fold(0.0, |change, f| change.max((f - 1.0).abs()))
    }

    /// Channel of each of the first layer's weights.
    fn first(&self, weights: &[f32]) -> impl Fn(usize) -> usize + use<> {
        let per_channel = (weights.len() / self.channels.max(1)).max(1);
        move |i| i / per_channel
    }

    /// Channel of each of the second layer's weights.
    fn second(&self, graph: &Graph) -> impl Fn(usize) -> usize + use<> {
        let tensor = graph.tensor(self.next);
        let per_channel = (tensor.len() / self.channels.max(1)).max(1);
        let (depthwise, channels) = (self.depthwise, self.channels);
        move |i| if depthwise { i / per_channel } else { i % channels }
    }
}

fn reals(graph: &Graph, id: TensorId) -> Vec<f32> {
    graph.tensor(id).data.as_ref().map(Data::to_f32).unwrap_or_default()
}
