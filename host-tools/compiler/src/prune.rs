//! Magnitude pruning: the smallest weights of each 1x1 convolution become zero.
//!
//! By layers, so that none of them loses everything, and in blocks of neighbouring output channels, which kernels load
//! an input once for (Elsen, Dukhan, Gale, Simonyan: Fast Sparse ConvNets, 2019, section 4.2), or of neighbouring input channels,
//! whose products some machines add as they make them. Without training behind it
//! a network bears little of this; networks that were trained sparse need none of it.

use crate::graph::{Data, Graph, Node, Op, TensorId};
use mote_runtime::kernels::sparse::Block;

/// What to prune.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prune {
    /// Share of a layer's weights that shall be zero, from 0 up to, without, 1.
    pub share: f64,
    /// Neighbouring channels whose weights become zero together.
    pub block: Block,
    /// The first convolution and the classifier, too, which are few weights and much accuracy.
    pub ends: bool,
}

/// What became of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    pub node: String,
    pub weights: usize,
    /// Zeros before and behind.
    pub before: usize,
    pub zeros: usize,
    /// Share of the sum of squares that is still there.
    pub kept: f64,
}

/// Prunes a network, float or int8. The layers in their order.
pub fn prune(graph: &mut Graph, options: &Prune) -> Vec<Pruned> {
    let mut report = Vec::new();
    let mut done: Vec<TensorId> = Vec::new();
    for (node, weights) in layers(graph, options.ends) {
        let shared = done.contains(&weights);
        let sizes = graph.tensor(weights).shape.clone();
        let outputs = sizes.first().copied().unwrap_or(1).max(1);
        let scales: Vec<f32> =
            graph.tensor(weights).quant.as_ref().map_or_else(Vec::new, |quant| quant.scales.clone());
        let tensor = graph.tensor_mut(weights);
        let Some(data) = tensor.data.as_ref() else { continue };
        if shared {
            continue;
        }
        let reals = data.to_f32();
        let inputs = reals.len() / outputs;
        let scale = |o: usize| scales.get(o).or(scales.first()).copied().unwrap_or(1.0);
        let magnitudes: Vec<f64> = reals
            .iter()
            .enumerate()
            .map(|(at, w)| f64::from(w * scale(at / inputs.max(1))).powi(2))
            .collect();
        let keep = keep(&magnitudes, outputs, options);
        let Some(pruned) = masked(data, &keep) else { continue };
        let zeros = |values: &[f32]| values.iter().filter(|&&w| w == 0.0).count();
        let kept: f64 = magnitudes.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(m, _)| m).sum();
        let all: f64 = magnitudes.iter().sum();
        report.push(Pruned {
            node,
            weights: reals.len(),
            before: zeros(&reals),
            zeros: zeros(&pruned.to_f32()),
            kept: if all > 0.0 { kept / all } else { 1.0 },
        });
        tensor.data = Some(pruned);
        done.push(weights);
    }
    report
}

/// Layers to prune: their names and weights.
fn layers(graph: &Graph, ends: bool) -> Vec<(String, TensorId)> {
    let weighted = |node: &&Node| {
        matches!(node.op, Op::Conv { .. } | Op::Dense)
            && node.inputs.get(1).is_some_and(|&weights| graph.tensor(weights).is_constant())
    };
    let all: Vec<&Node> = graph.nodes.iter().filter(weighted).collect();
    let first = all.iter().position(|node| matches!(node.op, Op::Conv { .. }));
    let is_end = |at: usize, node: &Node| Some(at) == first || !leads_to_weights(graph, node, &all);
    let layers = all.iter().enumerate().filter(|(at, node)| {
        let pointwise = match &node.op {
            Op::Conv { spatial, groups } => *groups == 1 && spatial.size == [1, 1, 1],
            _ => false,
        };
        if is_end(*at, node) { ends } else { pointwise }
    });
    layers.map(|(_, node)| (node.name.clone(), node.inputs[1])).collect()
}

/// Whether any other layer with weights comes behind this one.
fn leads_to_weights(graph: &Graph, node: &Node, weighted: &[&Node]) -> bool {
    let mut reached = node.outputs.clone();
    // The nodes stand in the order in which they run.
    for next in &graph.nodes {
        if next.inputs.iter().any(|input| reached.contains(input)) {
            if weighted.iter().any(|layer| layer.outputs == next.outputs) {
                return true;
            }
            reached.extend(&next.outputs);
        }
    }
    false
}

/// Which weights stay: the largest blocks. What is zero already counts as pruned.
fn keep(magnitudes: &[f64], outputs: usize, options: &Prune) -> Vec<bool> {
    let inputs = magnitudes.len() / outputs;
    let Block { outputs: height, inputs: width } = options.block;
    let (down, across) = (outputs.div_ceil(height), inputs.div_ceil(width));
    let members = |block: usize| {
        let (first, left) = (block / across * height, block % across * width);
        let row = move |o: usize| (left..inputs.min(left + width)).map(move |i| o * inputs + i);
        (first..outputs.min(first + height)).flat_map(row)
    };
    let mut blocks: Vec<(f64, usize)> = (0..down * across)
        .map(|block| {
            let sum: f64 = members(block).map(|at| magnitudes[at]).sum();
            (sum / members(block).count() as f64, block)
        })
        .collect();
    blocks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let goal = (options.share.clamp(0.0, 1.0) * magnitudes.len() as f64).round() as usize;
    let mut keep = vec![true; magnitudes.len()];
    let mut pruned = 0;
    for (_, block) in blocks {
        if pruned + members(block).count() > goal {
            break;
        }
        for at in members(block) {
            keep[at] = false;
            pruned += 1;
        }
    }
    keep
}

/// The data with zeros for what does not stay; `None` for types that weights do not have.
fn masked(data: &Data, keep: &[bool]) -> Option<Data> {
    fn of<T: Copy + Default>(values: &[T], keep: &[bool]) -> std::sync::Arc<[T]> {
        values.iter().zip(keep).map(|(value, keep)| if *keep { *value } else { T::default() }).collect()
    }
    Some(match data {
        Data::F32(values) => Data::F32(of(values, keep)),
        Data::F16(values) => Data::F16(of(values, keep)),
        Data::I8(values) => Data::I8(of(values, keep)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_blocks_go() {
        // Two blocks of two output channels, three inputs each; a last channel alone.
        let magnitudes = [9.0, 1.0, 4.0, 9.0, 1.0, 0.0, 2.0, 2.0, 2.0, 9.0, 0.0, 2.0, 7.0, 0.5, 8.0];
        let options = Prune { share: 0.34, block: Block::of(2, 1), ends: false };
        let keep = keep(&magnitudes, 5, &options);
        // 0.34 * 15 = 5: the single 0.5, then the block of 1 and 1, then that of 2 and 0.
        let gone: Vec<usize> = (0..15).filter(|&at| !keep[at]).collect();
        assert_eq!(gone, [1, 4, 7, 10, 13]);
        // Three outputs of five inputs in blocks of four and of one: the 0, then the last block of four, then no other fits.
        let magnitudes = [9.0, 1.0, 4.0, 9.0, 1.0, 5.0, 2.0, 2.0, 2.0, 9.0, 0.0, 2.0, 7.0, 0.5, 0.5];
        let gone: Vec<usize> = {
            let keep =
                super::keep(&magnitudes, 3, &Prune { share: 0.45, block: Block::of(1, 4), ends: false });
            (0..15).filter(|&at| !keep[at]).collect()
        };
        assert_eq!(gone, [4, 10, 11, 12, 13, 14]);
    }

    #[test]
    fn shares_are_met() {
        let magnitudes: Vec<f64> = (0..64 * 32).map(|i| f64::from(i * 7919 % 2053)).collect();
        let blocks =
            [(0.0, [1, 1]), (0.8, [1, 1]), (0.9, [4, 1]), (0.7, [2, 1]), (0.9, [1, 4]), (0.5, [1, 2])];
        for (share, [outputs, inputs]) in blocks {
            let block = Block::of(outputs, inputs);
            let keep = keep(&magnitudes, 64, &Prune { share, block, ends: false });
            let gone = keep.iter().filter(|keep| !**keep).count();
            assert!((gone as f64 / 2048.0 - share).abs() <= block.len() as f64 / 2048.0, "{share} {gone}");
        }
    }
}
