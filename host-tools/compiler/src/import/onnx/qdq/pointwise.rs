//! Functions of single codes.
//!
//! A tensor of reals that follows element by element from one int8 tensor is known by 256 numbers. They are
//! computed in single precision, node by node and rounding by rounding, as a runtime of reals would; so the table
//! that replaces the chain holds exactly what the chain would give.

use super::Fuser;
use crate::graph::{BinaryFn, DType, Node, Op, TensorId, unary_value};
use std::sync::Arc;

/// Reals as a function of the codes of `root`: one number for each code from -128 on.
#[derive(Clone, Debug)]
pub(super) struct Function {
    root: TensorId,
    values: Arc<[f32; 256]>,
    /// The chain is only a `Dequantize`, or that and one operator.
    steps: Steps,
}

#[derive(Clone, Debug, PartialEq)]
enum Steps {
    Dequantize,
    One(Op),
    Many,
}

/// Codes as a function of the codes of `root`.
#[derive(Clone, Debug)]
pub(super) struct Table {
    root: TensorId,
    codes: Arc<[i8]>,
}

impl Fuser {
    /// The reals `y` are the codes `codes`, dequantized.
    pub(super) fn dequantized(&mut self, codes: TensorId, y: TensorId) {
        let tensor = self.graph.tensor(codes);
        if tensor.dtype != DType::I8 || tensor.is_constant() {
            return;
        }
        let Some((scale, zero_point)) = self.quant(codes) else { return };
        let real = |code: i8| (i32::from(code) - zero_point) as f32 * scale;
        let function = match self.tables.get(&codes) {
            Some(table) => {
                let values = std::array::from_fn(|i| real(table.codes[i]));
                Function { root: table.root, values: Arc::new(values), steps: Steps::Many }
            }
            None => {
                let values = std::array::from_fn(|i| real((i as i32 - 128) as i8));
                Function { root: codes, values: Arc::new(values), steps: Steps::Dequantize }
            }
        };
        self.functions.insert(y, function);
    }

    /// Notes the function that an elementwise node computes, if its operands are functions of the same codes.
    pub(super) fn learn_function(&mut self, node: &Node) {
        let y = node.outputs[0];
        if let Some(function) = self.function_of_node(node) {
            self.functions.insert(y, function);
        }
    }

    pub(super) fn function_of_node(&self, node: &Node) -> Option<Function> {
        let y = self.graph.tensor(*node.outputs.first()?);
        self.continued(node).filter(|function| self.graph.tensor(function.root).shape == y.shape)
    }

    fn continued(&self, node: &Node) -> Option<Function> {
        let x = self.functions.get(node.inputs.first()?);
        match node.op {
            Op::Unary(f) => {
                let x = x?;
                let value = |i: usize| unary_value(f, x.values[i].into()) as f32;
                Some(x.then(node, std::array::from_fn(value)))
            }
            Op::Binary(f) => {
                let (a, b) = (node.inputs[0], *node.inputs.get(1)?);
                match (x, self.functions.get(&b), self.single(a), self.single(b)) {
                    (Some(a), _, _, Some(b)) => {
                        Some(a.then(node, std::array::from_fn(|i| binary_value(f, a.values[i], b))))
                    }
                    (_, Some(b), Some(a), _) => {
                        Some(b.then(node, std::array::from_fn(|i| binary_value(f, a, b.values[i]))))
                    }
                    (Some(a), Some(b), _, _) if a.root == b.root => {
                        let values = std::array::from_fn(|i| binary_value(f, a.values[i], b.values[i]));
                        Some(a.then(node, values))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Computes the codes `y` of the reals `x` by a table, if they are a function of other codes.
    pub(super) fn emit_table(&mut self, x: TensorId, y: TensorId) -> bool {
        let tensor = self.graph.tensor(y);
        let (Some((scale, zero_point)), DType::I8) = (self.quant(y), tensor.dtype) else { return false };
        let Some(function) = self.functions.get(&x).cloned() else { return false };
        // A change of scale alone is a `Requantize`.
        if function.steps == Steps::Dequantize {
            return false;
        }
        let code = |&v: &f32| {
            let code = (v / scale).round_ties_even() + zero_point as f32;
            if code.is_nan() { -128 } else { code.clamp(-128.0, 127.0) as i8 }
        };
        let codes: Arc<[i8]> = function.values.iter().map(code).collect();
        let name = self.graph.tensor(x).name.clone();
        let op = match function.steps {
            Steps::One(op @ Op::Unary(_)) => op,
            _ => Op::Lookup { table: codes.clone() },
        };
        self.push(name, op, vec![function.root], y);
        self.tables.insert(y, Table { root: function.root, codes });
        true
    }

    /// The only element of a constant, dequantized if need be.
    fn single(&self, id: TensorId) -> Option<f32> {
        let tensor = self.graph.tensor(self.codes.get(&id).copied().unwrap_or(id));
        let data = tensor.data.as_ref().filter(|data| data.len() == 1)?;
        match &tensor.quant {
            Some(quant) => super::dequantized(data, quant, &tensor.shape).first().copied(),
            None => data.as_f32()?.first().copied(),
        }
    }
}

impl Function {
    /// The function continued by `node`.
    fn then(&self, node: &Node, values: [f32; 256]) -> Function {
        let steps = match self.steps {
            Steps::Dequantize => Steps::One(node.op.clone()),
            _ => Steps::Many,
        };
        Function { root: self.root, values: Arc::new(values), steps }
    }
}

fn binary_value(f: BinaryFn, a: f32, b: f32) -> f32 {
    match f {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Max => a.max(b),
        BinaryFn::Min => a.min(b),
        BinaryFn::SquaredDifference => (a - b) * (a - b),
        BinaryFn::Pow => a.powf(b),
    }
}
