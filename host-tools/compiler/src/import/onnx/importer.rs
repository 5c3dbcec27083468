//! The state of one import: the graph being built, what each name of the file stands for, and the helpers that
//! translations share.
//!
//! An activation stands in the file's axis order (`[N, C, H, W]`). Many also have a **twin**: the same numbers,
//! channels last, that a spatial operator computed or needs. Spatial and elementwise operators work on twins, so
//! that most of the transposes between them never become nodes that anybody reads.

use super::call::{Call, MAX_RANK, Reject, Res, Value, broadcast_shapes, elements, reject, reject_for};
use super::literal::Literal;
use crate::graph::{DType, Data, Graph, Node, Op, Quant, Tensor, TensorId, UnaryFn};
use crate::import::Refusal;
use std::collections::HashMap;
use std::rc::Rc;

pub(super) struct Importer<'m> {
    pub graph: Graph,
    pub values: HashMap<&'m str, Value>,
    pub refusals: Vec<Refusal>,
    /// File order -> channels last.
    twins: HashMap<TensorId, TensorId>,
    /// Constants that already stand in the graph, by the address of their literal (which is kept alive).
    materialized: HashMap<*const Literal, (Rc<Literal>, TensorId)>,
    /// Elements that constants made by folding and weight conversion may still hold. It grows with the file, so
    /// that a small hostile file cannot cost much memory or time.
    budget: usize,
}

impl<'m> Importer<'m> {
    pub fn new(name: String, file_bytes: usize) -> Self {
        Self {
            graph: Graph { name, ..Graph::default() },
            values: HashMap::new(),
            refusals: Vec::new(),
            twins: HashMap::new(),
            materialized: HashMap::new(),
            budget: file_bytes.saturating_mul(4).saturating_add(1 << 22),
        }
    }

    /// Accounts for `n` elements of computed constants.
    pub fn charge(&mut self, n: usize) -> Res<()> {
        match self.budget.checked_sub(n) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => reject_for(
                "constants computed at import grow beyond the size that the file justifies",
                "simplify the model before (onnxsim, or onnxruntime's basic optimizations)",
            ),
        }
    }

    pub fn refuse(&mut self, call: &Call, why: Reject) {
        let (node, operator) = (call.name.clone(), call.op().to_string());
        self.refusals.push(Refusal { node, operator, reason: why.reason, instead: why.instead });
    }

    // ---- values as operands

    pub fn shape_of(&self, value: &Value) -> Res<Vec<usize>> {
        match value {
            Value::Const(literal) => Ok(literal.shape.clone()),
            Value::Tensor(id) => Ok(self.graph.tensor(*id).shape.clone()),
            Value::Unknown => reject("an operand is unknown"),
        }
    }

    pub fn is_float(&self, value: &Value) -> bool {
        match value {
            Value::Const(literal) => literal.is_float(),
            Value::Tensor(id) => self.graph.tensor(*id).dtype.is_float(),
            Value::Unknown => false,
        }
    }

    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }

    /// The value as an operand of a node; constants are added to the graph once. A quantized constant becomes
    /// its integers and a `Dequantize` behind them.
    pub fn operand(&mut self, value: &Value) -> Res<TensorId> {
        match value {
            Value::Tensor(id) => Ok(*id),
            Value::Const(literal) => self.constant(literal),
            Value::Unknown => reject("an operand is unknown"),
        }
    }

    pub fn constant(&mut self, literal: &Rc<Literal>) -> Res<TensorId> {
        if let Some((_, id)) = self.materialized.get(&Rc::as_ptr(literal)) {
            return Ok(*id);
        }
        let tensor = Tensor::constant(literal.name.clone(), literal.shape.clone(), literal.data.clone());
        let id = match &literal.quant {
            None => self.graph.add_tensor(tensor),
            Some(quant) => {
                let codes = self.graph.add_tensor(tensor.with_quant(quant.clone()));
                let name = format!("{}_dequantized", literal.name);
                self.node(&name, Op::Dequantize, vec![codes], literal.shape.clone())
            }
        };
        self.materialized.insert(Rc::as_ptr(literal), (literal.clone(), id));
        Ok(id)
    }

    pub fn new_constant(&mut self, literal: Literal) -> Res<TensorId> {
        self.charge(literal.data.len())?;
        self.constant(&Rc::new(literal))
    }

    /// The operand as an activation or constant of reals; integer arithmetic happens only at import.
    pub fn float_operand(&mut self, value: &Value) -> Res<TensorId> {
        if !self.is_float(value) {
            return reject_for(
                "it computes on integers at run time",
                "cast to float before, or export with fixed shapes so that it can be computed at import",
            );
        }
        self.operand(value)
    }

    // ---- nodes

    /// Adds a node with one new output of `shape` and answers that output. Element type and quantization follow
    /// from the operator and its first operand.
    pub fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>) -> TensorId {
        let first = self.graph.tensor(inputs[0]);
        let (dtype, quant) = match op {
            Op::Dequantize => (DType::F32, None),
            _ => (first.dtype, first.quant.clone()),
        };
        let mut output = Tensor::activation(name, shape, dtype);
        output.quant = quant;
        self.node_into(name, op, inputs, output)
    }

    pub fn node_into(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, output: Tensor) -> TensorId {
        let id = self.graph.add_tensor(output);
        let mut node = Node::new(name, op, inputs, vec![id]);
        node.rounding = crate::graph::Rounding::Single;
        self.graph.nodes.push(node);
        id
    }

    pub fn transpose_node(&mut self, x: TensorId, perm: &[usize], name: &str) -> TensorId {
        let shape = perm.iter().map(|&p| self.shape(x)[p]).collect();
        self.node(name, Op::Transpose { perm: perm.to_vec() }, vec![x], shape)
    }

    pub fn reshape_node(&mut self, x: TensorId, shape: &[usize], name: &str) -> TensorId {
        if self.shape(x) == shape {
            return x;
        }
        self.node(name, Op::Reshape, vec![x], shape.to_vec())
    }

    // ---- channels last

    pub fn twin(&self, x: TensorId) -> Option<TensorId> {
        self.twins.get(&x).copied()
    }

    /// `x` with channels last: `[N, C, L] -> [N, 1, L, C]`, `[N, C, H, W] -> [N, H, W, C]`,
    /// `[N, C, T, H, W] -> [N, T, H, W, C]`.
    pub fn channels_last(&mut self, x: TensorId) -> Res<TensorId> {
        if let Some(twin) = self.twin(x) {
            return Ok(twin);
        }
        let shape = self.shape(x).to_vec();
        let perm = to_last(shape.len())?;
        let name = format!("{}_channels_last", self.graph.tensor(x).name);
        let mut twin = self.transpose_node(x, &perm, &name);
        if let [n, c, l] = shape[..] {
            twin = self.reshape_node(twin, &[n, 1, l, c], &format!("{name}_rows"));
        }
        self.twins.insert(x, twin);
        Ok(twin)
    }

    /// The reverse, for a tensor of `rank` axes in the file.
    pub fn file_order(&mut self, twin: TensorId, rank: usize) -> Res<TensorId> {
        let name = self.graph.tensor(twin).name.clone();
        let mut x = twin;
        if rank == 3 {
            let [n, 1, l, c] = self.shape(twin)[..] else { return reject("a row with a height") };
            x = self.reshape_node(twin, &[n, l, c], &format!("{name}_row"));
        }
        let file = self.transpose_node(x, &to_first(rank)?, &format!("{name}_channels_first"));
        self.twins.insert(file, twin);
        Ok(file)
    }

    // ---- elementwise operators, on twins where there are any

    pub fn unary(&mut self, name: &str, f: UnaryFn, x: TensorId) -> Res<TensorId> {
        self.pointwise(name, Op::Unary(f), x, Tensor::activation(name, vec![], DType::F32))
    }

    /// A node of one operand and its shape; `like` gives the output's name, element type and quantization.
    pub fn pointwise(&mut self, name: &str, op: Op, x: TensorId, like: Tensor) -> Res<TensorId> {
        let run_on = self.twin(x).unwrap_or(x);
        let output = Tensor { shape: self.shape(run_on).to_vec(), ..like };
        let y = self.node_into(name, op, vec![run_on], output);
        if run_on == x { Ok(y) } else { self.file_order(y, self.shape(x).len()) }
    }

    /// A node of two operands that broadcast: arithmetic, parametric ReLU.
    pub fn elementwise(&mut self, name: &str, op: Op, a: &Value, b: &Value) -> Res<TensorId> {
        let shape = broadcast_shapes(&self.shape_of(a)?, &self.shape_of(b)?)?;
        if let (Some(a), Some(b)) = (self.twin_operand(a, shape.len())?, self.twin_operand(b, shape.len())?) {
            let last = broadcast_shapes(self.shape(a), self.shape(b))?;
            let y = self.node_into(name, op, vec![a, b], Tensor::activation(name, last, DType::F32));
            return self.file_order(y, shape.len());
        }
        let (a, b) = (self.float_operand(a)?, self.float_operand(b)?);
        Ok(self.node_into(name, op, vec![a, b], Tensor::activation(name, shape, DType::F32)))
    }

    /// The operand with channels last, if that costs no transpose at run time.
    fn twin_operand(&mut self, value: &Value, rank: usize) -> Res<Option<TensorId>> {
        match value {
            Value::Tensor(id) if self.shape(*id).len() == rank && self.is_float(value) => Ok(self.twin(*id)),
            Value::Const(literal) if literal.is_float() && (3..=5).contains(&rank) => {
                if literal.data.len() == 1 {
                    return self.constant(literal).map(Some);
                }
                if literal.shape.len() > rank {
                    return Ok(None);
                }
                let mut shape = vec![1; rank - literal.shape.len()];
                shape.extend(&literal.shape);
                let mut last = literal.reshaped(shape).transposed(&to_last(rank)?);
                if rank == 3 {
                    let [n, l, c] = last.shape[..] else { return Ok(None) };
                    last = last.reshaped(vec![n, 1, l, c]);
                }
                self.new_constant(last).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Bounds that every activation keeps.
    pub fn check_shape(&self, shape: &[usize]) -> Res<()> {
        match elements(shape)? {
            0 => reject(format!("an empty tensor of shape {shape:?}")),
            _ if shape.len() > MAX_RANK => reject(format!("{} axes", shape.len())),
            _ => Ok(()),
        }
    }
}

/// File order to channels last.
pub(super) fn to_last(rank: usize) -> Res<Vec<usize>> {
    match rank {
        3..=5 => Ok(std::iter::once(0).chain(2..rank).chain([1]).collect()),
        _ => reject_for(
            format!("an operand with {rank} axes"),
            "3 to 5 axes: batch, channels, and 1 to 3 more",
        ),
    }
}

fn to_first(rank: usize) -> Res<Vec<usize>> {
    match rank {
        3..=5 => Ok([0, rank - 1].into_iter().chain(1..rank - 1).collect()),
        _ => reject(format!("an operand with {rank} axes")),
    }
}

/// `uint8` codes and zero points moved to `int8`; changes no real value.
pub(super) fn shift_to_i8(data: &Data, zero_points: &mut [i32]) -> Data {
    match data {
        Data::U8(v) => {
            zero_points.iter_mut().for_each(|z| *z -= 128);
            Data::I8(v.iter().map(|&x| (x ^ 0x80) as i8).collect())
        }
        other => other.clone(),
    }
}

/// Quantization of a per-tensor or per-axis scale.
pub(super) fn quant_of(scales: Vec<f32>, zero_points: Vec<i32>, axis: usize) -> Quant {
    let axis = (scales.len() > 1).then_some(axis);
    Quant { scales, zero_points, axis }
}
