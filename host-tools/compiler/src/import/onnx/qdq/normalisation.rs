//! Batch normalisation between codes.
//!
//! Usually it was folded into the layer before it. Where it could not be (behind a sum, say), it is a multiplication
//! and an addition per channel: a depthwise convolution over single positions, with one scale per channel, so that
//! each weight is the largest code or its negative and loses nothing.

use super::Fuser;
use crate::graph::{Data, Node, Op, Quant, Spatial, Tensor, TensorId};

/// Largest code of a weight.
const WEIGHT: f64 = 127.0;

impl Fuser {
    /// The convolution of integers that a batch normalisation of codes is, with its operands.
    pub(super) fn batch_norm(&mut self, node: &Node) -> Option<(Op, Vec<TensorId>)> {
        let (Op::BatchNorm { epsilon }, &[x, ref parameters @ ..]) = (&node.op, &node.inputs[..]) else {
            return None;
        };
        let codes = self.int8(x)?;
        let (input_scale, _) = self.quant(codes)?;
        let &[_, _, _, channels] = &self.graph.tensor(codes).shape[..] else { return None };
        let constants: Vec<TensorId> = parameters.iter().map(|&id| self.real(id)).collect();
        let values = |&id: &TensorId| self.graph.tensor(id).data.as_ref()?.as_f32().map(<[f32]>::to_vec);
        let [gamma, beta, mean, variance] = &constants.iter().map(values).collect::<Option<Vec<_>>>()?[..]
        else {
            return None;
        };
        let (mut weights, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        for c in 0..channels {
            let deviation = (f64::from(*variance.get(c)?) + f64::from(*epsilon)).sqrt();
            let factor = f64::from(*gamma.get(c)?) / deviation;
            let scale = (factor.abs() / WEIGHT) as f32;
            if !(scale.is_normal() && scale.is_finite()) {
                return None; // a channel that is off, or a file that makes no sense: stays in reals
            }
            let bias = f64::from(*beta.get(c)?) - f64::from(*mean.get(c)?) * factor;
            let bias = (bias / (f64::from(input_scale) * f64::from(scale))).round_ties_even();
            if bias.abs() >= f64::from(1 << 30) {
                return None;
            }
            weights.push(WEIGHT.copysign(factor) as i8);
            scales.push(scale);
            biases.push(bias as i32);
        }
        let name = |what: &str| format!("{}.{what}", node.name);
        let quant = Quant { zero_points: vec![0; channels], scales, axis: Some(0) };
        let weights = Tensor::constant(name("scale"), vec![channels, 1, 1, 1, 1], Data::I8(weights.into()));
        let weights = self.graph.add_tensor(weights.with_quant(quant));
        let bias = Tensor::constant(name("shift"), vec![channels], Data::I32(biases.into()));
        let bias = self.graph.add_tensor(bias);
        let spatial = Spatial { size: [1; 3], stride: [1; 3], dilation: [1; 3], pad: [(0, 0); 3] };
        Some((Op::Conv { spatial, groups: channels }, vec![codes, weights, bias]))
    }
}
