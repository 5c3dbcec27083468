//! Operators that take codes and give codes.

use super::{Fuser, demand, dequantized};
use crate::graph::{
    Activation, BinaryFn, DType, Data, Node, Op, PoolKind, Quant, ReduceFn, ResizeMode, Rounding, Tensor,
    TensorId,
};

/// What every int8 softmax gives.
const SOFTMAX: (f32, i32) = (1.0 / 256.0, -128);

impl Fuser {
    /// Movement of elements, done on codes. The output's reals are the dequantized codes exactly.
    pub(super) fn moves_codes(&mut self, node: &Node) -> bool {
        if !demand::moves(&node.op) {
            return false;
        }
        let y = node.outputs[0];
        let mut inputs = node.inputs.clone();
        if let Op::Concat { .. } = node.op {
            let Some(parts) = self.concat_operands(node) else { return false };
            inputs = parts;
        } else {
            match self.codes.get(&inputs[0]) {
                Some(&codes) if self.graph.tensor(codes).quant.as_ref().is_some_and(|q| q.axis.is_none()) => {
                    inputs[0] = codes;
                }
                _ => return false,
            }
        }
        if self.graph.tensor(inputs[0]).is_constant() && node.inputs.len() == 1 {
            return false;
        }
        let first = self.graph.tensor(inputs[0]);
        let (Some(quant), dtype) = (first.quant.clone(), first.dtype) else { return false };
        let codes = self.new_codes(y, quant, dtype);
        self.push(node.name.clone(), node.op.clone(), inputs, codes);
        self.codes.insert(y, codes);
        self.dequantized(codes, y);
        true
    }

    /// Codes of all parts in one quantization: that of the readers, or the one that all parts have.
    fn concat_operands(&mut self, node: &Node) -> Option<Vec<TensorId>> {
        let parts: Vec<TensorId> = node.inputs.iter().map(|id| self.int8(*id)).collect::<Option<_>>()?;
        let target = match self.wanted.get(&node.outputs[0]) {
            Some((quant, DType::I8)) => quant.clone(),
            _ => {
                let quant = self.graph.tensor(parts[0]).quant.clone()?;
                let alike = |&id: &TensorId| self.graph.tensor(id).quant.as_ref() == Some(&quant);
                parts.iter().all(alike).then_some(quant)?
            }
        };
        let mut same = Vec::new();
        for (part, real) in parts.into_iter().zip(&node.inputs) {
            same.push(if self.graph.tensor(part).quant.as_ref() == Some(&target) {
                part
            } else {
                self.requantized(*real, part, target.clone())
            });
        }
        Some(same)
    }

    fn requantized(&mut self, of: TensorId, codes: TensorId, quant: Quant) -> TensorId {
        let y = self.new_codes(of, quant, DType::I8);
        if !self.emit_table(of, y) {
            let name = format!("{}_requantize", self.graph.tensor(of).name);
            self.push(name, Op::Requantize, vec![codes], y);
        }
        y
    }

    /// Layers, sums, products, pools and the like between codes.
    pub(super) fn computes_with_integers(&mut self, node: &Node) -> bool {
        let y = node.outputs[0];
        // Readers want codes behind the node, or behind the clamp that follows it.
        let (target, activation) = match (self.wanted.get(&y), self.clamps.get(&y)) {
            (Some(_), _) => (y, Activation::None),
            (None, Some(clamp)) if can_clamp(&node.op) => (clamp.output, clamp.activation),
            _ => return false,
        };
        let Some((quant, DType::I8)) = self.wanted.get(&target).cloned() else { return false };
        if quant.axis.is_some() {
            return false;
        }
        let form = match node.op {
            Op::BatchNorm { .. } => self.batch_norm(node),
            _ => self.integer_operands(node, &quant).map(|inputs| (node.op.clone(), inputs)),
        };
        let Some((op, inputs)) = form else { return false };
        // Some kernels keep their operand's quantization, or have one of their own.
        let own = match &node.op {
            Op::Pool { .. } | Op::Resize { .. } => self.graph.tensor(inputs[0]).quant.clone(),
            Op::Softmax { .. } => Some(Quant::per_tensor(SOFTMAX.0, SOFTMAX.1)),
            _ => None,
        };
        let computed = own.unwrap_or_else(|| quant.clone());
        let mut codes = self.new_codes(target, computed.clone(), DType::I8);
        let mut integer = Node::new(node.name.clone(), op, inputs, vec![codes]);
        integer.activation = activation;
        integer.rounding = Rounding::Single;
        self.graph.nodes.push(integer);
        if computed != quant {
            let from = codes;
            codes = self.new_codes(target, quant, DType::I8);
            self.push(format!("{}_requantize", node.name), Op::Requantize, vec![from], codes);
        }
        self.codes.insert(target, codes);
        true
    }

    /// The operands of the integer form, if it has one.
    fn integer_operands(&mut self, node: &Node, output: &Quant) -> Option<Vec<TensorId>> {
        let x = self.int8(node.inputs[0]);
        match &node.op {
            Op::Conv { .. } | Op::Dense => self.layer_operands(node),
            Op::MatMul { .. } => Some(vec![x?, self.int8(node.inputs[1])?]),
            Op::Binary(BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul) => {
                // A function of one tensor alone is a table.
                Some(vec![x?, self.int8(node.inputs[1])?]).filter(|_| !self.is_function(node))
            }
            Op::Binary(BinaryFn::Max | BinaryFn::Min) => {
                let both = vec![x?, self.int8(node.inputs[1])?];
                let alike = |&id: &TensorId| self.graph.tensor(id).quant.as_ref() == Some(output);
                (both.iter().all(alike) && !self.is_function(node)).then_some(both)
            }
            Op::Prelu => {
                let x = x?;
                Some(vec![x, self.slope(node.inputs[1])?])
            }
            Op::Pool { kind: PoolKind::Average { .. }, .. } => Some(vec![x?]),
            Op::Resize { mode: ResizeMode::Bilinear, .. } => Some(vec![x?]),
            Op::Reduce { function: ReduceFn::Mean | ReduceFn::Sum, .. } => Some(vec![x?]),
            // The kernel's own scale must not be coarser than the wanted one.
            Op::Softmax { .. } if output.scales[0] > SOFTMAX.0 * 0.9 => Some(vec![x?]),
            Op::LayerNorm { .. } => {
                let x = x?;
                let parameters: Vec<TensorId> = node.inputs[1..].iter().map(|&id| self.real(id)).collect();
                let known = parameters.iter().all(|&id| self.graph.tensor(id).is_constant());
                known.then(|| [vec![x], parameters].concat())
            }
            _ => None,
        }
    }

    /// Whether a node of two operands follows from the codes of one tensor.
    fn is_function(&self, node: &Node) -> bool {
        self.function_of_node(node).is_some()
    }

    /// Operand, int8 weights and int32 bias in the accumulator's scale.
    fn layer_operands(&mut self, node: &Node) -> Option<Vec<TensorId>> {
        let x = self.int8(node.inputs[0])?;
        let weights = *self.codes.get(&node.inputs[1])?;
        let tensor = self.graph.tensor(weights);
        let quant = tensor.quant.clone()?;
        if tensor.dtype != DType::I8 || !tensor.is_constant() || !matches!(quant.axis, None | Some(0)) {
            return None;
        }
        let Some(&bias) = node.inputs.get(2) else { return Some(vec![x, weights]) };
        let (scale, _) = self.quant(x)?;
        let scales: Vec<f64> = quant.scales.iter().map(|&s| f64::from(scale) * f64::from(s)).collect();
        let codes = self.bias_codes(bias, &scales)?;
        let name = self.graph.tensor(bias).name.clone();
        let bias = Tensor::constant(name, vec![codes.len()], Data::I32(codes.into()));
        Some(vec![x, weights, self.graph.add_tensor(bias)])
    }

    /// The bias in units of the accumulator. Usually the file holds exactly these integers.
    fn bias_codes(&self, bias: TensorId, scales: &[f64]) -> Option<Vec<i32>> {
        let stored = self.graph.tensor(self.codes.get(&bias).copied().unwrap_or(bias));
        let data = stored.data.as_ref()?;
        let per = |all: &[f64], i: usize| all.get(i).or(all.first()).copied().unwrap_or(0.0);
        if let (Some(quant), Data::I32(codes)) = (&stored.quant, data) {
            let own: Vec<f64> = quant.scales.iter().map(|&s| s.into()).collect();
            let same = |i: usize| (per(&own, i) - per(scales, i)).abs() <= 1e-5 * per(scales, i).abs();
            if quant.zero_points.iter().all(|&z| z == 0) && (0..codes.len()).all(same) {
                return Some(codes.to_vec());
            }
        }
        let reals = match &stored.quant {
            Some(quant) => dequantized(data, quant, &stored.shape),
            None => data.as_f32()?.to_vec(),
        };
        let code = |(i, v): (usize, f32)| {
            let scale = per(scales, i);
            let code = if scale > 0.0 { (f64::from(v) / scale).round_ties_even() } else { 0.0 };
            (code.abs() < f64::from(i32::MAX)).then_some(code as i32)
        };
        reals.into_iter().enumerate().map(code).collect()
    }

    /// An int8 slope; one of reals is quantized symmetrically.
    fn slope(&mut self, id: TensorId) -> Option<TensorId> {
        if let Some(codes) = self.int8(id) {
            return Some(codes);
        }
        let tensor = self.graph.tensor(id).clone();
        let reals = tensor.data.as_ref()?.as_f32()?.to_vec();
        let largest = reals.iter().fold(0f32, |m, v| m.max(v.abs()));
        if !largest.is_finite() {
            return None;
        }
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let codes = reals.iter().map(|v| (v / scale).round_ties_even() as i8).collect();
        let slope = Tensor::constant(tensor.name, tensor.shape, Data::I8(codes));
        Some(self.graph.add_tensor(slope.with_quant(Quant::per_tensor(scale, 0))))
    }
}

/// Integer kernels that clamp their result.
fn can_clamp(op: &Op) -> bool {
    match op {
        Op::Conv { .. } | Op::Dense => true,
        Op::Binary(f) => matches!(f, BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul),
        _ => false,
    }
}
