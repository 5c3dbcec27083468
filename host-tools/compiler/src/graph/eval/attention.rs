//! Attention of several heads.

use super::{Array, Outcome, algebra::dot};
use crate::graph::{Attention, HeadLayout};

pub(super) fn attention(
    q: &Array,
    k: &Array,
    v: &Array,
    bias: Option<&Array>,
    layout: &Attention,
    shape: &[usize],
) -> Outcome {
    let Attention { heads, scale, query, key, value } = *layout;
    let (q, k, v) =
        (Vectors::new(q, query, heads)?, Vectors::new(k, key, heads)?, Vectors::new(v, value, heads)?);
    let (queries, keys) = (q.count(), k.count());
    if v.count() != keys || query.depth != key.depth {
        return Err("queries, keys and values don't fit each other");
    }
    if bias.is_some_and(|bias| bias.shape != [heads, queries, keys]) {
        return Err("the bias is not one number for each head, query and key");
    }
    let mut values = Vec::with_capacity(queries * heads * value.depth);
    for (i, h) in (0..queries).flat_map(|i| (0..heads).map(move |h| (i, h))) {
        let bias = |j: usize| bias.map_or(0.0, |bias| bias.values[(h * queries + i) * keys + j]);
        let score = |j: usize| f64::from(scale) * dot(q.head(i, h), k.head(j, h)) + bias(j);
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mixed =
            |d: usize| weights.iter().enumerate().map(|(j, w)| w * v.head(j, h)[d]).sum::<f64>() / sum;
        values.extend((0..value.depth).map(mixed));
    }
    Ok(Array { shape: shape.to_vec(), values })
}

struct Vectors<'a> {
    array: &'a Array,
    length: usize,
    layout: HeadLayout,
}

impl<'a> Vectors<'a> {
    fn new(array: &'a Array, layout: HeadLayout, heads: usize) -> Result<Self, &'static str> {
        let length = array.shape.last().copied().unwrap_or(1);
        if heads == 0 || length == 0 || layout.reach(heads) > length {
            return Err("the heads reach beyond the vectors");
        }
        Ok(Self { array, length, layout })
    }

    fn count(&self) -> usize {
        self.array.values.len() / self.length
    }

    fn head(&self, vector: usize, head: usize) -> &'a [f64] {
        let from = vector * self.length + self.layout.offset + head * self.layout.stride;
        &self.array.values[from..from + self.layout.depth]
    }
}
