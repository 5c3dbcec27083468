//! Sparse constants (the format's "CSR" with optional blocks) to dense ones.

use super::refused::{Refused, refuse};
use crate::graph::Data;
use std::sync::Arc;
use tract_tflite::tflite as schema;

/// One level of the traversal.
enum Level {
    Dense(usize),
    /// `segments[p]..segments[p + 1]` are the children of position `p`; `indices` their coordinates.
    Sparse {
        segments: Vec<usize>,
        indices: Vec<usize>,
    },
}

/// Position in the dense tensor of each stored value, in the order of storage.
///
/// `stored` is how many values there are; fewer or more positions than that are refused.
pub(super) fn positions(
    sparsity: schema::SparsityParameters<'_>,
    shape: &[usize],
    stored: usize,
) -> Result<Vec<usize>, Refused> {
    let numbers = |v: Option<flatbuffers::Vector<'_, i32>>| -> Option<Vec<usize>> {
        v.map(|v| v.iter().take(64).map(|x| usize::try_from(x).ok()).collect()).unwrap_or(Some(Vec::new()))
    };
    let metadata: Vec<_> = sparsity.dim_metadata().map(|v| v.iter().take(64).collect()).unwrap_or_default();
    let (Some(order), Some(block_map)) = (numbers(sparsity.traversal_order()), numbers(sparsity.block_map()))
    else {
        return refuse("its sparsity has negative axes");
    };
    let rank = shape.len();
    let depth = metadata.len();
    let mut seen = vec![false; depth];
    let order_is_sound = order.len() == depth
        && depth == rank + block_map.len()
        && order.iter().enumerate().all(|(level, &axis)| {
            let fresh = seen.get_mut(axis).is_some_and(|s| !std::mem::replace(s, true));
            fresh && (axis < rank) == (level < rank)
        });
    if !order_is_sound || block_map.iter().any(|&axis| axis >= rank) {
        return refuse("its sparsity does not fit its shape");
    }

    // Length of each level: blocks divide the axis that they belong to.
    let mut lengths = shape.to_vec();
    let mut block_sizes = vec![1; block_map.len()];
    for (level, &axis) in order.iter().enumerate().skip(rank) {
        let block = axis - rank;
        let size = usize::try_from(metadata[level].dense_size()).unwrap_or(0);
        let owner = block_map[block];
        if size == 0 || !lengths[owner].is_multiple_of(size) {
            return refuse("the blocks of its sparsity do not divide its shape");
        }
        lengths[owner] /= size;
        block_sizes[block] = size;
    }
    let mut levels = Vec::with_capacity(depth);
    let mut parents = 1usize;
    for (meta, &axis) in metadata.iter().zip(&order) {
        let length = if axis < rank { lengths[axis] } else { block_sizes[axis - rank] };
        let level = read_level(meta, length, parents)?;
        parents = match &level {
            Level::Dense(n) => parents.saturating_mul(*n),
            Level::Sparse { indices, .. } => indices.len(),
        };
        if parents > shape.iter().product() {
            return refuse("its sparsity names more places than its shape has");
        }
        levels.push(level);
    }
    if parents != stored {
        return refuse(format!("it stores {stored} values, its sparsity names {parents}"));
    }

    // Level by level: the dense position of every path so far. Strides follow from the axis and its blocks.
    let mut stride = vec![1usize; rank];
    for axis in (0..rank.saturating_sub(1)).rev() {
        stride[axis] = stride[axis + 1] * shape[axis + 1];
    }
    let mut block_stride = vec![0usize; block_map.len()];
    let mut axis_stride = stride.clone();
    for &axis in order.iter().skip(rank).rev() {
        let owner = block_map[axis - rank];
        block_stride[axis - rank] = axis_stride[owner];
        axis_stride[owner] *= block_sizes[axis - rank];
    }
    let mut paths = vec![0usize];
    for (level, &axis) in levels.iter().zip(&order) {
        let step = if axis < rank { axis_stride[axis] } else { block_stride[axis - rank] };
        paths = match level {
            Level::Dense(n) => paths.iter().flat_map(|p| (0..*n).map(move |i| p + i * step)).collect(),
            Level::Sparse { segments, indices } => paths
                .iter()
                .zip(segments.windows(2))
                .flat_map(|(p, s)| indices[s[0]..s[1]].iter().map(move |i| p + i * step))
                .collect(),
        };
    }
    Ok(paths)
}

fn read_level(meta: &schema::DimensionMetadata<'_>, length: usize, parents: usize) -> Result<Level, Refused> {
    if meta.format() == schema::DimensionType::DENSE {
        return match usize::try_from(meta.dense_size()) {
            Ok(size) if size == length => Ok(Level::Dense(size)),
            _ => refuse("a dense axis of its sparsity has another length than its shape"),
        };
    }
    if meta.format() != schema::DimensionType::SPARSE_CSR {
        return refuse("its sparsity has an unknown format");
    }
    let segments = if let Some(v) = meta.array_segments_as_int_32_vector() {
        signed(v.values())
    } else if let Some(v) = meta.array_segments_as_uint_16_vector() {
        v.values().map(|v| v.iter().map(usize::from).collect())
    } else {
        meta.array_segments_as_uint_8_vector()
            .and_then(|v| v.values())
            .map(|v| v.iter().map(usize::from).collect())
    };
    let indices = if let Some(v) = meta.array_indices_as_int_32_vector() {
        signed(v.values())
    } else if let Some(v) = meta.array_indices_as_uint_16_vector() {
        v.values().map(|v| v.iter().map(usize::from).collect())
    } else {
        meta.array_indices_as_uint_8_vector()
            .and_then(|v| v.values())
            .map(|v| v.iter().map(usize::from).collect())
    };
    let (Some(segments), Some(indices)): (Option<Vec<usize>>, Option<Vec<usize>>) = (segments, indices)
    else {
        return refuse("its sparsity lacks segments or indices");
    };
    let sound = Some(segments.len()) == parents.checked_add(1)
        && segments.first() == Some(&0)
        && segments.last() == Some(&indices.len())
        && segments.is_sorted()
        && indices.iter().all(|&i| i < length);
    if sound {
        Ok(Level::Sparse { segments, indices })
    } else {
        refuse("the segments of its sparsity are damaged")
    }
}

fn signed(values: Option<flatbuffers::Vector<'_, i32>>) -> Option<Vec<usize>> {
    values?.iter().map(|x| usize::try_from(x).ok()).collect()
}

/// The dense data; places that no value is stored for hold `rest` (integers) or 0.
pub(super) fn scatter(stored: &Data, positions: &[usize], count: usize, rest: i8) -> Data {
    fn spread<T: Copy>(values: &[T], positions: &[usize], count: usize, rest: T) -> Arc<[T]> {
        let mut dense = vec![rest; count];
        for (&value, &position) in values.iter().zip(positions) {
            if let Some(slot) = dense.get_mut(position) {
                *slot = value;
            }
        }
        dense.into()
    }
    match stored {
        Data::F32(v) => Data::F32(spread(v, positions, count, 0.0)),
        Data::F16(v) => Data::F16(spread(v, positions, count, half::f16::ZERO)),
        Data::I8(v) => Data::I8(spread(v, positions, count, rest)),
        Data::U8(v) => Data::U8(spread(v, positions, count, 0)),
        Data::I16(v) => Data::I16(spread(v, positions, count, 0)),
        Data::I32(v) => Data::I32(spread(v, positions, count, 0)),
        Data::I64(v) => Data::I64(spread(v, positions, count, 0)),
        Data::Bool(v) => Data::Bool(spread(v, positions, count, false)),
    }
}
