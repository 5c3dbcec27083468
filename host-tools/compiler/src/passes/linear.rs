//! Convolutions and dense layers with constant float weights, whose rows and columns other passes scale.

use super::edit::Editor;
use crate::graph::{Activation, Node, Op, TensorId, shape};

/// A convolution or dense layer with constant float weights; `weights` are `rows` times the same number.
pub(crate) struct Linear {
    pub slot: usize,
    rows: usize,
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// The layer in `slot`.
    pub fn at(editor: &Editor, slot: usize) -> Option<Linear> {
        let node = editor.node(slot)?;
        if !matches!(node.op, Op::Conv { .. } | Op::Dense) || !editor.all_float(node) {
            return None;
        }
        let &weights = node.inputs.get(1)?;
        let &rows = editor.shape(weights).first()?;
        let bias = match node.inputs.get(2) {
            Some(&bias) => Some(editor.constant(bias)?),
            None => None,
        };
        let fits = rows > 0 && bias.as_ref().is_none_or(|bias| bias.len() == rows);
        let weights = editor.constant(weights)?;
        (fits && !weights.is_empty()).then_some(Linear { slot, rows, weights, bias })
    }

    /// The layer that makes `id`, if nobody else reads its result and no clamp follows.
    pub fn making(editor: &Editor, id: TensorId) -> Option<Linear> {
        let (slot, node) = editor.maker(id)?;
        (node.activation == Activation::None && editor.is_private(id)).then(|| Self::at(editor, slot))?
    }

    /// `y * scale + shift` for each output channel, as new weights and bias.
    pub fn scale_rows(&self, editor: &mut Editor, scale: &[f64], shift: &[f64]) {
        let length = self.weights.len() / self.rows;
        let scaled = self.weights.iter().enumerate().map(|(i, &w)| (f64::from(w) * scale[i / length]) as f32);
        let old = |row: usize| self.bias.as_ref().map_or(0.0, |bias| f64::from(bias[row]));
        let bias = (0..self.rows).map(|row| (old(row) * scale[row] + shift[row]) as f32).collect();
        self.replace(editor, scale.iter().any(|&s| s != 1.0).then(|| scaled.collect()), Some(bias));
    }

    /// Whether an input of the form `x * scale + shift`, per input channel, can be taken up: padding is not shifted.
    fn takes_columns(&self, editor: &Editor, channels: usize, shifts: bool) -> bool {
        let Some(node) = editor.node(self.slot) else { return false };
        let (groups, padded) = match &node.op {
            Op::Conv { groups, spatial } => (*groups, spatial.pad != [(0, 0); 3]),
            _ => (1, false),
        };
        let depth = editor.shape(node.inputs[1]).last().copied().unwrap_or(0);
        groups > 0 && depth * groups == channels && self.rows.is_multiple_of(groups) && !(padded && shifts)
    }

    /// Takes up `x * scale + shift`; [`Linear::takes_columns`] has agreed.
    fn scale_columns(&self, editor: &mut Editor, scale: &[f64], shift: &[f64]) {
        let Some(node) = editor.node(self.slot) else { return };
        let groups = if let Op::Conv { groups, .. } = node.op { groups } else { 1 };
        let depth = scale.len() / groups;
        let shifts = shift.iter().any(|&t| t != 0.0);
        let length = self.weights.len() / self.rows;
        let channel = |i: usize| i / length / (self.rows / groups) * depth + i % depth;
        let mut bias: Vec<f64> =
            (0..self.rows).map(|row| self.bias.as_ref().map_or(0.0, |bias| bias[row].into())).collect();
        let mut weights = Vec::with_capacity(self.weights.len());
        for (i, &w) in self.weights.iter().enumerate() {
            bias[i / length] += f64::from(w) * shift[channel(i)];
            weights.push((f64::from(w) * scale[channel(i)]) as f32);
        }
        let bias = shifts.then(|| bias.into_iter().map(|b| b as f32).collect());
        self.replace(editor, Some(weights), bias);
    }

    /// Adds the weights and bias of `other`, which has the same shape.
    pub fn add(&self, editor: &mut Editor, other: &Linear) {
        let weights = self.weights.iter().zip(&other.weights).map(|(a, b)| a + b).collect();
        let bias = match (&self.bias, &other.bias) {
            (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(a, b)| a + b).collect()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        self.replace(editor, Some(weights), bias);
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    fn replace(&self, editor: &mut Editor, weights: Option<Vec<f32>>, bias: Option<Vec<f32>>) {
        let Some(node) = editor.node(self.slot) else { return };
        let name = node.name.clone();
        let mut inputs = node.inputs.clone();
        if let Some(weights) = weights {
            let old = editor.tensor(inputs[1]);
            let (old_name, shape) = (old.name.clone(), old.shape.clone());
            inputs[1] = editor.add_constant(old_name, shape, weights);
        }
        if let Some(bias) = bias {
            let old = inputs.get(2).map(|&id| editor.tensor(id).name.clone());
            let bias =
                editor.add_constant(old.unwrap_or_else(|| format!("{name}.bias")), vec![self.rows], bias);
            inputs.truncate(2);
            inputs.push(bias);
        }
        editor.update(self.slot, |node| node.inputs = inputs);
    }
}

/// Lets the layers that read `output`, which is `x * scale + shift` per channel, compute it themselves and read `x`.
/// Nobody else may read it.
pub(crate) fn into_layers_after(
    editor: &mut Editor,
    output: TensorId,
    x: TensorId,
    scale: &[f64],
    shift: &[f64],
) -> Option<()> {
    let readers = editor.readers(output);
    if readers.is_empty() || editor.is_output(output) {
        return None;
    }
    let shifts = shift.iter().any(|&t| t != 0.0);
    let layers: Vec<Linear> = readers.iter().map(|&slot| Linear::at(editor, slot)).collect::<Option<_>>()?;
    for layer in &layers {
        let inputs = &editor.node(layer.slot)?.inputs;
        let once = inputs.first() == Some(&output) && inputs.iter().filter(|&&id| id == output).count() == 1;
        (once && layer.takes_columns(editor, scale.len(), shifts)).then_some(())?;
    }
    for layer in &layers {
        layer.scale_columns(editor, scale, shift);
        editor.update(layer.slot, |node| node.inputs[0] = x);
    }
    Some(())
}

/// A constant operand as one number per last-axis channel of a result of the given shape; `None` if it varies
/// along other axes.
pub(crate) fn per_channel(editor: &Editor, id: TensorId, result: &[usize]) -> Option<Vec<f64>> {
    let values = editor.constant(id)?;
    let &channels = result.last()?;
    let own = shape::aligned(editor.shape(id), result.len());
    let (&last, others) = own.split_last()?;
    if own.len() != result.len() || others.iter().any(|&length| length != 1) {
        return None;
    }
    match last {
        1 => Some(vec![f64::from(*values.first()?); channels]),
        _ if last == channels => Some(values.into_iter().map(f64::from).collect()),
        _ => None,
    }
}

/// The two operands of a binary float node as (dynamic, constant per channel, whether the constant comes first).
/// The dynamic one has the shape of the result.
pub(crate) fn with_channel_constant(editor: &Editor, node: &Node) -> Option<(TensorId, Vec<f64>, bool)> {
    let (&[a, b], &[output]) = (&node.inputs[..], &node.outputs[..]) else { return None };
    if !editor.all_float(node) {
        return None;
    }
    let result = editor.shape(output);
    let fits = |id: TensorId| editor.shape(id) == result && !editor.tensor(id).is_constant();
    if let (true, Some(c)) = (fits(a), per_channel(editor, b, result)) {
        return Some((a, c, false));
    }
    if let (true, Some(c)) = (fits(b), per_channel(editor, a, result)) {
        return Some((b, c, true));
    }
    None
}
