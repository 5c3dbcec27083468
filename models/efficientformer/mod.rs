//! EfficientFormer V1 (arXiv 2206.01191) and V2 (2212.08059): convolutional stages with attention at their end.
//!
//! Both learn an attention bias for each distance of two positions, so a network's weights belong to one input size; at
//! another size the tables have other lengths.

pub mod v1;
pub mod v2;

use crate::common::Role;
use crate::common::builder::{Builder, Conv};
use mote_compiler::graph::{BinaryFn, TensorId};

/// A convolution with bias and its norm, `<name>.<conv>` and `<name>.<norm>`.
fn conv_norm(b: &mut Builder, [conv, norm]: [&str; 2], x: TensorId, layer: Conv) -> TensorId {
    let x = b.conv(conv, x, layer.with_bias());
    b.batch_norm(norm, x)
}

/// The mean of two heads, one of which learned from a teacher.
fn two_heads(b: &mut Builder, x: TensorId, classes: usize) -> TensorId {
    let own = b.dense("head", x, classes);
    let taught = b.dense("head_dist", x, classes);
    let sum = b.binary("heads", BinaryFn::Add, own, taught);
    b.times("mean_of_heads", sum, 0.5)
}

/// Positions of queries and keys on one grid.
struct Grid {
    rows: usize,
    columns: usize,
    /// Queries stand at every such position, keys at each.
    step: usize,
}

impl Grid {
    /// `[heads, queries, keys]` from a learned table `[heads, rows * columns]` of what each distance adds to a score.
    fn bias(&self, b: &mut Builder, name: &str, heads: usize) -> TensorId {
        let &Grid { rows, columns, step } = self;
        let name = format!("{name}.attention_biases");
        let table = b.parameter(name.clone(), vec![heads, rows * columns], Role::AttentionBias);
        let places =
            |step| (0..rows).step_by(step).flat_map(move |y| (0..columns).step_by(step).map(move |x| (y, x)));
        let distance =
            |(y, x): (usize, usize), (v, u): (usize, usize)| y.abs_diff(v) * columns + x.abs_diff(u);
        let (queries, keys) = (places(step).count(), places(1).count());
        let values = table.map(|table| {
            let of_head = |head: usize| {
                let table = &table[head * keys..];
                places(step).flat_map(move |query| places(1).map(move |key| table[distance(query, key)]))
            };
            (0..heads).flat_map(of_head).collect()
        });
        b.constant(&name, vec![heads, queries, keys], values)
    }
}
