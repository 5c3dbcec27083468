//! Products, reductions and normalisations.

use super::{Array, Outcome};
use crate::graph::ReduceFn;
use crate::graph::shape::{aligned, broadcast, strides};

pub(super) fn dense(x: &Array, weights: &Array, bias: Option<&Array>) -> Outcome {
    let (Some((&depth, leading)), &[columns, k]) = (x.shape.split_last(), &weights.shape[..]) else {
        return Err("dense weights have two axes");
    };
    if k != depth || bias.is_some_and(|bias| bias.values.len() != columns) {
        return Err("the weights don't fit the operand");
    }
    let mut shape = leading.to_vec();
    shape.push(columns);
    let mut values = Vec::with_capacity(shape.iter().product());
    for row in x.values.chunks(depth.max(1)) {
        for (n, weights) in weights.values.chunks(depth.max(1)).enumerate() {
            values.push(bias.map_or(0.0, |bias| bias.values[n]) + dot(row, weights));
        }
    }
    Ok(Array { shape, values })
}

pub(super) fn matmul(a: &Array, b: &Array, transpose_a: bool, transpose_b: bool) -> Outcome {
    if a.shape.len() < 2 || b.shape.len() < 2 {
        return Err("matrices have two axes at least");
    }
    let rank = a.shape.len().max(b.shape.len());
    let (a_shape, b_shape) = (aligned(&a.shape, rank), aligned(&b.shape, rank));
    let (a_batch, b_batch) = (&a_shape[..rank - 2], &b_shape[..rank - 2]);
    let batch = broadcast(a_batch, b_batch).ok_or("the batches don't broadcast")?;
    let dims = |shape: &[usize], swap: bool| {
        if swap { (shape[rank - 1], shape[rank - 2]) } else { (shape[rank - 2], shape[rank - 1]) }
    };
    let ((rows, depth), (depth_b, columns)) = (dims(&a_shape, transpose_a), dims(&b_shape, transpose_b));
    if depth != depth_b {
        return Err("the inner lengths differ");
    }
    let mut shape = batch.clone();
    shape.extend([rows, columns]);
    let mut values = vec![0.0; shape.iter().product()];
    let offset = |own: &[usize], index: usize| -> usize {
        let (from, to) = (strides(&batch), strides(own));
        (0..batch.len()).map(|i| (index / from[i]) % batch[i] % own[i].max(1) * to[i]).sum()
    };
    for i in 0..batch.iter().product() {
        let a_start = offset(a_batch, i) * rows * depth;
        let b_start = offset(b_batch, i) * depth * columns;
        for row in 0..rows {
            for column in 0..columns {
                let at = |k: usize| if transpose_a { k * rows + row } else { row * depth + k };
                let bt = |k: usize| if transpose_b { column * depth + k } else { k * columns + column };
                values[(i * rows + row) * columns + column] =
                    (0..depth).map(|k| a.values[a_start + at(k)] * b.values[b_start + bt(k)]).sum();
            }
        }
    }
    Ok(Array { shape, values })
}

pub(super) fn reduce(x: &Array, function: ReduceFn, axes: &[usize], keep_dims: bool) -> Outcome {
    let rank = x.shape.len();
    if axes.iter().any(|&axis| axis >= rank) {
        return Err("no such axis");
    }
    let kept: Vec<usize> = (0..rank).map(|i| if axes.contains(&i) { 1 } else { x.shape[i] }).collect();
    let (own, to) = (strides(&x.shape), strides(&kept));
    let start = if function == ReduceFn::Max { f64::NEG_INFINITY } else { 0.0 };
    let mut values = vec![start; kept.iter().product()];
    for (index, &value) in x.values.iter().enumerate() {
        let target: usize =
            (0..rank).filter(|&i| kept[i] != 1).map(|i| index / own[i] % x.shape[i] * to[i]).sum();
        values[target] =
            if function == ReduceFn::Max { values[target].max(value) } else { values[target] + value };
    }
    if function == ReduceFn::Mean {
        let count = x.values.len() as f64 / values.len().max(1) as f64;
        values.iter_mut().for_each(|value| *value /= count);
    }
    let shape =
        if keep_dims { kept } else { (0..rank).filter(|i| !axes.contains(i)).map(|i| x.shape[i]).collect() };
    Ok(Array { shape, values })
}

pub(super) fn softmax(x: &Array, axis: usize, beta: f64) -> Outcome {
    let Some(&length) = x.shape.get(axis) else { return Err("no such axis") };
    let inner: usize = x.shape[axis + 1..].iter().product();
    let mut values = x.values.clone();
    for block in values.chunks_mut((length * inner).max(1)) {
        for i in 0..inner {
            let lane = || (0..length).map(|k| k * inner + i);
            let most = lane().map(|k| beta * block[k]).fold(f64::NEG_INFINITY, f64::max);
            lane().for_each(|k| block[k] = (beta * block[k] - most).exp());
            let sum: f64 = lane().map(|k| block[k]).sum();
            lane().for_each(|k| block[k] /= sum);
        }
    }
    Ok(Array { shape: x.shape.clone(), values })
}

pub(super) fn layer_norm(x: &Array, gamma: &Array, beta: &Array, axes: usize, epsilon: f64) -> Outcome {
    if axes > x.shape.len() {
        return Err("no such axis");
    }
    let length: usize = x.shape[x.shape.len() - axes..].iter().product();
    if gamma.values.len() != length || beta.values.len() != length {
        return Err("gamma and beta don't fit the axes");
    }
    let mut values = x.values.clone();
    for row in values.chunks_mut(length.max(1)) {
        let mean = row.iter().sum::<f64>() / length as f64;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / length as f64;
        for (i, x) in row.iter_mut().enumerate() {
            *x = (*x - mean) / (variance + epsilon).sqrt() * gamma.values[i] + beta.values[i];
        }
    }
    Ok(Array { shape: x.shape.clone(), values })
}

/// `parameters`: gamma, beta, mean, variance.
pub(super) fn batch_norm(x: &Array, parameters: [&Array; 4], epsilon: f64) -> Outcome {
    let channels = x.shape.last().copied().unwrap_or(1);
    if parameters.iter().any(|p| p.values.len() != channels) {
        return Err("the parameters don't fit the channels");
    }
    let [gamma, beta, mean, variance] = parameters.map(|p| &p.values);
    let normalised = |(i, &x): (usize, &f64)| {
        let c = i % channels;
        (x - mean[c]) / (variance[c] + epsilon).sqrt() * gamma[c] + beta[c]
    };
    Ok(Array { shape: x.shape.clone(), values: x.values.iter().enumerate().map(normalised).collect() })
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
