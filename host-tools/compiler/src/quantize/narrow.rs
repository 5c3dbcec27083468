//! Weights of seven bits.
//!
//! Processors without an instruction for products of bytes and their sums multiply bytes in pairs, whose sums have 16 bits:
//! `255 * (64 + 64)` fits, `255 * (127 + 127)` does not. With weights of seven bits kernels for them give what all others
//! give. The choice is known from ONNX Runtime's quantizer as a reduced range.

use crate::graph::{Data, Graph, Node, Op, Quant};

/// Bits of the weights of layers that mix channels; those of depthwise layers always have eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightBits {
    #[default]
    Eight,
    Seven,
}

impl WeightBits {
    /// The largest code of a layer's weights.
    pub(super) fn largest(self, op: &Op) -> i8 {
        if self == Self::Seven && mixes(op) { 63 } else { i8::MAX }
    }
}

fn mixes(op: &Op) -> bool {
    matches!(op, Op::Conv { groups: 1, .. } | Op::Dense)
}

/// Halves the codes of weights that are int8 already, where they have more than seven bits, and doubles what they stand for.
/// How many tensors of weights were changed; those that other nodes read, too, and those with zero points stay.
pub fn narrow(graph: &mut Graph) -> usize {
    let mut changed = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let (true, Some(&weights)) = (mixes(&node.op), node.inputs.get(1)) else { continue };
        let bias = node.inputs.get(2).copied();
        let reads = |node: &&Node| node.inputs.iter().any(|&id| id == weights || Some(id) == bias);
        let readers = graph.nodes.iter().filter(reads).count();
        let tensor = graph.tensor(weights);
        let (Some(Data::I8(codes)), Some(quant)) = (&tensor.data, &tensor.quant) else { continue };
        let symmetric = quant.zero_points.iter().all(|&zero_point| zero_point == 0);
        if readers > 1 || !symmetric || codes.iter().all(|code| code.unsigned_abs() <= 64) {
            continue;
        }
        // Of two nearest codes the even one: neither smaller nor larger weights in the mean.
        let codes: Vec<i8> =
            codes.iter().map(|&code| (f32::from(code) / 2.0).round_ties_even() as i8).collect();
        let data = bias.and_then(|bias| graph.tensor(bias).data.clone());
        let tensor = graph.tensor_mut(weights);
        tensor.data = Some(Data::I8(codes.into()));
        tensor.quant.iter_mut().for_each(double);
        if let (Some(bias), Some(Data::I32(codes))) = (bias, data) {
            let halved = |&code: &i32| (f64::from(code) / 2.0).round_ties_even() as i32;
            let tensor = graph.tensor_mut(bias);
            tensor.data = Some(Data::I32(codes.iter().map(halved).collect()));
            tensor.quant.iter_mut().for_each(double);
        }
        changed += 1;
    }
    changed
}

fn double(quant: &mut Quant) {
    quant.scales.iter_mut().for_each(|scale| *scale *= 2.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Tensor};

    fn dense(weights: Vec<i8>, bias: Vec<i32>) -> Graph {
        let mut graph = Graph::default();
        let channels = bias.len();
        let inputs = weights.len() / channels;
        let scales: Vec<f32> = (0..channels).map(|c| 0.5 + c as f32).collect();
        let per_channel = |scale: f32| Quant {
            scales: scales.iter().map(|s| s * scale).collect(),
            zero_points: vec![0; channels],
            axis: Some(0),
        };
        let activation = |name: &str, len: usize| {
            Tensor::activation(name, vec![1, len], DType::I8).with_quant(Quant::per_tensor(0.1, 3))
        };
        let x = graph.add_tensor(activation("x", inputs));
        let w = Tensor::constant("w", vec![channels, inputs], Data::I8(weights.into()));
        let w = graph.add_tensor(w.with_quant(per_channel(1.0)));
        let b = Tensor::constant("b", vec![channels], Data::I32(bias.into()));
        let b = graph.add_tensor(b.with_quant(per_channel(0.1)));
        let y = graph.add_tensor(activation("y", channels));
        graph.nodes.push(Node::new("dense", Op::Dense, vec![x, w, b], vec![y]));
        graph
    }

    #[test]
    fn codes_are_halved_to_even_and_stand_for_twice_as_much() {
        let mut graph = dense(vec![-128, -127, 3, 127, 1, -1], vec![5, -1_000_001]);
        assert_eq!(narrow(&mut graph), 1);
        let of = |name: &str| graph.tensors.iter().find(|tensor| tensor.name == name).unwrap();
        let Some(Data::I8(codes)) = &of("w").data else { panic!("no codes") };
        assert_eq!(codes[..], [-64, -64, 2, 64, 0, 0]);
        assert_eq!(of("w").quant.as_ref().unwrap().scales, [1.0, 3.0]);
        let Some(Data::I32(codes)) = &of("b").data else { panic!("no codes") };
        assert_eq!(codes[..], [2, -500_000]);
        assert_eq!(of("b").quant.as_ref().unwrap().scales, [0.1, 0.3]);
        // Small enough already.
        assert_eq!(narrow(&mut graph), 0);
    }

    #[test]
    fn weights_with_two_readers_stay() {
        let mut graph = dense(vec![127; 4], vec![0; 2]);
        let again = graph.nodes[0].clone();
        graph.nodes.push(again);
        assert_eq!(narrow(&mut graph), 0);
    }
}
