//! A slow, plain evaluator of graphs.
//!
//! It says what a graph means: every operator is computed in `f64` straight from its definition and rounded once,
//! to the element type of its output. Constant folding uses it, and tests compare graphs before and after a pass.
//! Quantized tensors are computed in real numbers and rounded to their output's codes; that is within one step of
//! the integer kernels, not equal to them. Moving elements about (transpose, slice, gather, ..) is exact.
//!
//! Shapes come from the graph. A graph whose shapes contradict its operators yields an error, not a panic.

mod algebra;
mod attention;
mod elementwise;

pub use elementwise::unary_value;
mod movement;
mod recurrent;
mod window;

use super::{Activation, DType, Data, Graph, Node, Op, Quant, Tensor, TensorId};
use half::f16;

/// Why a graph could not be evaluated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvalError {
    #[error("{given} inputs given, the graph has {expected}")]
    InputCount { given: usize, expected: usize },
    #[error("input `{input}` has {given} elements, its shape needs {expected}")]
    InputLength { input: String, given: usize, expected: usize },
    #[error("node `{node}` reads `{tensor}`, which has no value")]
    Missing { node: String, tensor: String },
    #[error("node `{node}` ({op}): {reason}")]
    Node { node: String, op: &'static str, reason: &'static str },
}

/// The graph's outputs for these inputs (in the order of [`Graph::inputs`], codes where quantized).
pub fn evaluate(graph: &Graph, inputs: &[Data]) -> Result<Vec<Data>, EvalError> {
    let values = evaluate_all(graph, inputs)?;
    let missing = |&id: &TensorId| EvalError::Missing {
        node: "graph output".into(),
        tensor: graph.tensor(id).name.clone(),
    };
    graph.outputs.iter().map(|id| values[id.0].clone().ok_or_else(|| missing(id))).collect()
}

/// The elements of every tensor, by index; `None` for tensors that no node computes.
pub fn evaluate_all(graph: &Graph, inputs: &[Data]) -> Result<Vec<Option<Data>>, EvalError> {
    if inputs.len() != graph.inputs.len() {
        return Err(EvalError::InputCount { given: inputs.len(), expected: graph.inputs.len() });
    }
    let mut values: Vec<Option<Array>> = vec![None; graph.tensors.len()];
    for (&id, data) in graph.inputs.iter().zip(inputs) {
        let tensor = graph.tensor(id);
        if data.len() != tensor.len() {
            let (given, expected) = (data.len(), tensor.len());
            return Err(EvalError::InputLength { input: tensor.name.clone(), given, expected });
        }
        values[id.0] = Some(Array::load(tensor, data));
    }
    for node in &graph.nodes {
        for &id in &node.inputs {
            if values[id.0].is_none()
                && let Some(data) = &graph.tensor(id).data
            {
                values[id.0] = Some(Array::load(graph.tensor(id), data));
            }
        }
        let operand = |&id: &TensorId| {
            let tensor = graph.tensor(id);
            let missing = || EvalError::Missing { node: node.name.clone(), tensor: tensor.name.clone() };
            Ok(Operand { tensor, array: values[id.0].as_ref().ok_or_else(missing)? })
        };
        let operands = node.inputs.iter().map(operand).collect::<Result<Vec<_>, EvalError>>()?;
        let &[output] = &node.outputs[..] else {
            return Err(failure(node, "more or less than one output"));
        };
        let result = compute(graph, node, &operands, graph.tensor(output))?;
        values[output.0] = Some(result);
    }
    let stored = |(id, value): (usize, Option<Array>)| value.map(|value| value.store(&graph.tensors[id]));
    Ok(values.into_iter().enumerate().map(stored).collect())
}

/// The output of one node whose operands are all constants; `None` if they are not, or if it can't be computed.
pub fn evaluate_node(graph: &Graph, node: &Node) -> Option<Data> {
    let load = |&id: &TensorId| {
        let tensor = graph.tensor(id);
        Some((tensor, Array::load(tensor, tensor.data.as_ref()?)))
    };
    let loaded = node.inputs.iter().map(load).collect::<Option<Vec<_>>>()?;
    let operands: Vec<_> = loaded.iter().map(|&(tensor, ref array)| Operand { tensor, array }).collect();
    let &[output] = &node.outputs[..] else { return None };
    let output = graph.tensor(output);
    Some(compute(graph, node, &operands, output).ok()?.store(output))
}

/// Real numbers in row-major order.
#[derive(Clone, Debug)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// An operand: its value and what the graph says about it.
struct Operand<'a> {
    tensor: &'a Tensor,
    array: &'a Array,
}

/// Reason of a failure within one operator.
type Outcome = Result<Array, &'static str>;

impl Array {
    /// The real numbers behind stored elements.
    fn load(tensor: &Tensor, data: &Data) -> Array {
        let mut values: Vec<f64> = match data {
            Data::F32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::F16(v) => v.iter().map(|x| x.to_f64()).collect(),
            Data::I8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::U8(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I16(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I32(v) => v.iter().map(|&x| x.into()).collect(),
            Data::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Data::Bool(v) => v.iter().map(|&x| if x { 1.0 } else { 0.0 }).collect(),
        };
        if let Some(quant) = &tensor.quant {
            for_each_code(quant, &tensor.shape, &mut values, |code, scale, zero| scale * (code - zero));
        }
        Array { shape: tensor.shape.clone(), values }
    }

    /// Rounds to what `tensor` can hold.
    fn settle(mut self, tensor: &Tensor) -> Array {
        if let Some(quant) = &tensor.quant {
            let (low, high) = code_range(tensor.dtype);
            for_each_code(quant, &tensor.shape, &mut self.values, |x, scale, zero| {
                scale * (((x / scale).round_ties_even() + zero).clamp(low, high) - zero)
            });
            return self;
        }
        match tensor.dtype {
            DType::F32 => self.values.iter_mut().for_each(|x| *x = f64::from(*x as f32)),
            DType::F16 => self.values.iter_mut().for_each(|x| *x = f16::from_f64(*x).to_f64()),
            DType::Bool => self.values.iter_mut().for_each(|x| *x = f64::from(u8::from(*x != 0.0))),
            _ => self.values.iter_mut().for_each(|x| *x = x.trunc()),
        }
        self
    }

    /// The elements as `tensor` stores them.
    fn store(mut self, tensor: &Tensor) -> Data {
        if let Some(quant) = &tensor.quant {
            for_each_code(quant, &tensor.shape, &mut self.values, |x, scale, zero| {
                (x / scale).round_ties_even() + zero
            });
        }
        let v = &self.values;
        match tensor.dtype {
            DType::F32 => Data::F32(v.iter().map(|&x| x as f32).collect()),
            DType::F16 => Data::F16(v.iter().map(|&x| f16::from_f64(x)).collect()),
            DType::I8 => Data::I8(v.iter().map(|&x| x as i8).collect()),
            DType::U8 => Data::U8(v.iter().map(|&x| x as u8).collect()),
            DType::I16 => Data::I16(v.iter().map(|&x| x as i16).collect()),
            DType::I32 => Data::I32(v.iter().map(|&x| x as i32).collect()),
            DType::I64 => Data::I64(v.iter().map(|&x| x as i64).collect()),
            DType::Bool => Data::Bool(v.iter().map(|&x| x != 0.0).collect()),
        }
    }
}

fn failure(node: &Node, reason: &'static str) -> EvalError {
    EvalError::Node { node: node.name.clone(), op: node.op.name(), reason }
}

fn compute(graph: &Graph, node: &Node, operands: &[Operand], output: &Tensor) -> Result<Array, EvalError> {
    let bias_scales = || implied_bias_scales(graph, node);
    let mut result = dispatch(node, operands, output, bias_scales).map_err(|reason| failure(node, reason))?;
    if result.shape != output.shape || result.values.len() != output.len() {
        return Err(failure(node, "the output's shape contradicts the operands"));
    }
    if node.activation != Activation::None {
        let (low, high) = node.activation.limits();
        let (low, high) = (f64::from(low), f64::from(high));
        result.values.iter_mut().for_each(|x| *x = x.max(low).min(high));
    }
    Ok(result.settle(output))
}

fn dispatch(
    node: &Node,
    operands: &[Operand],
    output: &Tensor,
    bias_scales: impl Fn() -> Option<Vec<f64>>,
) -> Outcome {
    let get = |index: usize| operands.get(index).map(|operand| operand.array).ok_or("an operand is missing");
    let bias = || {
        let bias = get(2).ok().cloned();
        match (bias, bias_scales()) {
            (Some(mut bias), Some(scales)) => {
                let scale = |index: usize| scales.get(index).or(scales.first()).copied().unwrap_or(1.0);
                bias.values.iter_mut().enumerate().for_each(|(i, x)| *x *= scale(i));
                Some(bias)
            }
            (bias, _) => bias,
        }
    };
    let shape = &output.shape;
    match &node.op {
        Op::Conv { spatial, groups } => {
            window::conv(get(0)?, get(1)?, bias().as_ref(), spatial, *groups, shape)
        }
        Op::Dense => algebra::dense(get(0)?, get(1)?, bias().as_ref()),
        Op::MatMul { transpose_a, transpose_b } => {
            algebra::matmul(get(0)?, get(1)?, *transpose_a, *transpose_b)
        }
        Op::Attention(layout) => attention::attention(get(0)?, get(1)?, get(2)?, get(3).ok(), layout, shape),
        Op::Binary(function) => elementwise::binary(*function, get(0)?, get(1)?),
        Op::Unary(function) => Ok(elementwise::unary(*function, get(0)?)),
        Op::Lookup { table } => {
            let operand = operands.first().ok_or("an operand is missing")?;
            elementwise::lookup(operand.array, operand.tensor, table, output)
        }
        Op::Prelu => elementwise::prelu(get(0)?, get(1)?),
        Op::Pool { kind, spatial } => window::pool(get(0)?, *kind, spatial, shape),
        Op::Reduce { function, axes, keep_dims } => algebra::reduce(get(0)?, *function, axes, *keep_dims),
        Op::Softmax { axis, beta } => algebra::softmax(get(0)?, *axis, f64::from(*beta)),
        Op::LayerNorm { axes, epsilon } => {
            algebra::layer_norm(get(0)?, get(1)?, get(2)?, *axes, f64::from(*epsilon))
        }
        Op::BatchNorm { epsilon } => {
            let parameters = [get(1)?, get(2)?, get(3)?, get(4)?];
            algebra::batch_norm(get(0)?, parameters, f64::from(*epsilon))
        }
        Op::Concat { axis } => {
            let parts: Vec<&Array> = operands.iter().map(|operand| operand.array).collect();
            movement::concat(&parts, *axis)
        }
        Op::Slice { starts, steps } => movement::slice(get(0)?, starts, steps, shape),
        Op::Pad { pads, value } => movement::pad(get(0)?, pads, f64::from(*value)),
        Op::Transpose { perm } => movement::transpose(get(0)?, perm),
        Op::Reshape | Op::Collect => movement::reshape(get(0)?, shape),
        Op::Gru { reset_before } => {
            recurrent::gru(get(0)?, [get(1)?, get(2)?, get(3)?], *reset_before, shape)
        }
        Op::Lstm => recurrent::lstm(get(0)?, [get(1)?, get(2)?], shape),
        Op::BroadcastTo => movement::broadcast_to(get(0)?, shape),
        Op::Resize { mode, coordinates } => window::resize(get(0)?, *mode, *coordinates, shape),
        Op::Gather { axis } => movement::gather(get(0)?, get(1)?, *axis),
        Op::Recycle { axis } => movement::recycle(get(0)?, *axis, shape),
        Op::Quantize | Op::Dequantize | Op::Requantize => get(0).cloned(),
        Op::Cast => match operands.first() {
            Some(operand) if operand.tensor.quant.is_none() && output.quant.is_none() => {
                Ok(operand.array.clone())
            }
            _ => Err("a cast of quantized codes"),
        },
    }
}

/// What a constant operand of a node stands for, quantized or not.
pub(crate) fn real(graph: &Graph, node: &Node, operand: usize) -> Option<Vec<f64>> {
    let tensor = graph.tensor(*node.inputs.get(operand)?);
    let mut values = Array::load(tensor, tensor.data.as_ref()?).values;
    if let Some(scales) = (operand == 2).then(|| implied_bias_scales(graph, node)).flatten() {
        let count = scales.len().max(1);
        values.iter_mut().enumerate().for_each(|(i, v)| *v *= scales.get(i % count).copied().unwrap_or(1.0));
    }
    Some(values)
}

/// An `i32` bias without a quantization of its own has the scale of the accumulator.
fn implied_bias_scales(graph: &Graph, node: &Node) -> Option<Vec<f64>> {
    let &[x, weights, bias] = &node.inputs[..] else { return None };
    let (x, weights, bias) = (graph.tensor(x), graph.tensor(weights), graph.tensor(bias));
    let (scale, _) = x.quant.as_ref()?.uniform()?;
    let weights = weights.quant.as_ref()?;
    (bias.quant.is_none() && !bias.dtype.is_float())
        .then(|| weights.scales.iter().map(|&s| f64::from(s) * f64::from(scale)).collect())
}

fn for_each_code(quant: &Quant, shape: &[usize], values: &mut [f64], f: impl Fn(f64, f64, f64) -> f64) {
    let axis = quant.axis.unwrap_or(0);
    let count = quant.scales.len().max(1);
    let inner: usize = match quant.axis {
        Some(axis) => shape.iter().skip(axis + 1).product(),
        None => values.len().max(1),
    };
    debug_assert!(axis <= shape.len());
    for (i, value) in values.iter_mut().enumerate() {
        let channel = (i / inner.max(1)) % count;
        let scale = quant.scales.get(channel).copied().unwrap_or(1.0);
        let zero = quant.zero_points.get(channel).copied().unwrap_or(0);
        *value = f(*value, scale.into(), zero.into());
    }
}

fn code_range(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::I8 => (-128.0, 127.0),
        DType::U8 => (0.0, 255.0),
        DType::I16 => (-32768.0, 32767.0),
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        _ => (f64::MIN, f64::MAX),
    }
}

#[cfg(test)]
mod tests;
