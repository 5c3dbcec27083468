//! Operators that only move elements.

use super::{Array, Outcome};
use crate::graph::shape::{aligned, is_permutation, permuted, strides};

pub(super) fn transpose(x: &Array, perm: &[usize]) -> Outcome {
    if !is_permutation(perm, x.shape.len()) {
        return Err("not a permutation of the axes");
    }
    let shape = permuted(&x.shape, perm);
    let steps: Vec<usize> = permuted(&strides(&x.shape), perm);
    Ok(walk(x, shape, 0, &steps))
}

pub(super) fn reshape(x: &Array, shape: &[usize]) -> Outcome {
    Ok(Array { shape: shape.to_vec(), values: x.values.clone() })
}

pub(super) fn broadcast_to(x: &Array, shape: &[usize]) -> Outcome {
    let from = aligned(&x.shape, shape.len());
    if from.len() != shape.len() || from.iter().zip(shape).any(|(&a, &b)| a != b && a != 1) {
        return Err("the shapes don't broadcast");
    }
    let steps: Vec<usize> =
        strides(&from).into_iter().zip(&from).map(|(step, &n)| if n == 1 { 0 } else { step }).collect();
    Ok(walk(x, shape.to_vec(), 0, &steps))
}

pub(super) fn slice(x: &Array, starts: &[usize], steps: &[usize], shape: &[usize]) -> Outcome {
    let rank = x.shape.len();
    if starts.len() != rank || steps.len() != rank || shape.len() != rank {
        return Err("a slice needs a start, a step and a length for each axis");
    }
    for axis in 0..rank {
        let reach = shape[axis].saturating_sub(1).saturating_mul(steps[axis]).saturating_add(starts[axis]);
        if shape[axis] > 0 && reach >= x.shape[axis] {
            return Err("the slice leaves its operand");
        }
    }
    let own = strides(&x.shape);
    let first: usize = starts.iter().zip(&own).map(|(start, stride)| start * stride).sum();
    let steps: Vec<usize> = steps.iter().zip(&own).map(|(step, stride)| step * stride).collect();
    Ok(walk(x, shape.to_vec(), first, &steps))
}

pub(super) fn concat(parts: &[&Array], axis: usize) -> Outcome {
    let Some(first) = parts.first() else { return Err("nothing to concatenate") };
    let same = |part: &&Array| {
        part.shape.len() == first.shape.len()
            && (0..part.shape.len()).all(|i| i == axis || part.shape[i] == first.shape[i])
    };
    if axis >= first.shape.len() || !parts.iter().all(same) {
        return Err("the parts have different shapes");
    }
    let mut shape = first.shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let mut values = Vec::with_capacity(shape.iter().product());
    for i in 0..outer {
        for part in parts {
            let chunk = part.shape[axis] * inner;
            values.extend_from_slice(&part.values[i * chunk..(i + 1) * chunk]);
        }
    }
    Ok(Array { shape, values })
}

pub(super) fn pad(x: &Array, pads: &[(usize, usize)], value: f64) -> Outcome {
    if pads.len() != x.shape.len() {
        return Err("padding needs an entry for each axis");
    }
    let shape: Vec<usize> = x.shape.iter().zip(pads).map(|(n, (before, after))| n + before + after).collect();
    let own = strides(&shape);
    let mut values = vec![value; shape.iter().product()];
    let corner: usize = pads.iter().zip(&own).map(|((before, _), stride)| before * stride).sum();
    for (index, &x_value) in Indices::new(&x.shape, corner, &own).zip(&x.values) {
        values[index] = x_value;
    }
    Ok(Array { shape, values })
}

pub(super) fn gather(x: &Array, indices: &Array, axis: usize) -> Outcome {
    let Some(&length) = x.shape.get(axis) else { return Err("no such axis") };
    let wrap = |&index: &f64| {
        let index = if index < 0.0 { index + length as f64 } else { index };
        (index >= 0.0 && index < length as f64).then_some(index as usize)
    };
    let Some(picked) = indices.values.iter().map(wrap).collect::<Option<Vec<usize>>>() else {
        return Err("an index leaves the operand");
    };
    let outer: usize = x.shape[..axis].iter().product();
    let inner: usize = x.shape[axis + 1..].iter().product();
    let mut shape = x.shape[..axis].to_vec();
    shape.extend_from_slice(&indices.shape);
    shape.extend_from_slice(&x.shape[axis + 1..]);
    let mut values = Vec::with_capacity(outer * picked.len() * inner);
    for i in 0..outer {
        for &index in &picked {
            let start = (i * length + index) * inner;
            values.extend_from_slice(&x.values[start..start + inner]);
        }
    }
    Ok(Array { shape, values })
}

/// An array of `shape` that reads `x` from `first` on, `steps` apart along each axis.
fn walk(x: &Array, shape: Vec<usize>, first: usize, steps: &[usize]) -> Array {
    let values = Indices::new(&shape, first, steps).map(|index| x.values[index]).collect();
    Array { shape, values }
}

/// Counts through a shape in row-major order and yields the linear index under other strides.
pub(super) struct Indices {
    shape: Vec<usize>,
    steps: Vec<usize>,
    position: Vec<usize>,
    index: usize,
    left: usize,
}

impl Indices {
    pub(super) fn new(shape: &[usize], first: usize, steps: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            steps: steps.to_vec(),
            position: vec![0; shape.len()],
            index: first,
            left: shape.iter().product(),
        }
    }
}

impl Iterator for Indices {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let current = self.index;
        for axis in (0..self.shape.len()).rev() {
            self.position[axis] += 1;
            self.index += self.steps[axis];
            if self.position[axis] < self.shape[axis] {
                break;
            }
            self.index -= self.steps[axis] * self.shape[axis];
            self.position[axis] = 0;
        }
        Some(current)
    }
}

/// The first rows of a table, along `axis` of `shape`; axes before it have length 1.
pub(super) fn recycle(table: &Array, axis: usize, shape: &[usize]) -> Outcome {
    let (Some((&rows, row)), Some((before, &[count, ref behind @ ..]))) =
        (table.shape.split_first(), shape.split_at_checked(axis))
    else {
        return Err("no such axis");
    };
    let length: usize = row.iter().product();
    if count > rows || before.iter().any(|&n| n != 1) || behind.iter().product::<usize>() != length {
        return Err("the table doesn't fit the output");
    }
    Ok(Array { shape: shape.to_vec(), values: table.values[..count * length].to_vec() })
}
