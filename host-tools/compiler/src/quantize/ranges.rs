//! Scales and zero points of activations.

use super::Method;
use super::domain::{Domain, Kind, consumers};
use super::observe::Observed;
use crate::graph::{Graph, Node, Op, Quant, TensorId, UnaryFn, unary_value};
use std::collections::HashMap;

/// Quantization of each group of tensors, by [`Domain::group`].
pub(super) struct Ranges<'a> {
    domain: &'a Domain,
    groups: HashMap<TensorId, (f32, i32)>,
}

impl Ranges<'_> {
    /// Scale and zero point of a tensor.
    pub fn of(&self, id: TensorId) -> (f32, i32) {
        self.groups.get(&self.domain.group(id)).copied().unwrap_or((1.0, 0))
    }

    pub fn quant(&self, id: TensorId) -> Quant {
        let (scale, zero_point) = self.of(id);
        Quant::per_tensor(scale, zero_point)
    }
}

/// Scale and zero point of an asymmetric int8 range that holds zero.
pub(super) fn affine(min: f32, max: f32) -> (f32, i32) {
    let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
    let scale = ((max - min) / 255.0) as f32;
    if !scale.is_normal() || scale < 1e-20 {
        return (1.0 / 128.0, 0);
    }
    let zero_point = (-128.0 - min / f64::from(scale)).round() as i32;
    (scale, zero_point.clamp(-128, 127))
}

/// Decides all ranges.
pub(super) fn choose<'a>(
    graph: &Graph,
    domain: &'a Domain,
    observed: &Observed,
    method: Method,
) -> Ranges<'a> {
    let consumers = consumers(graph);
    let mut limits: HashMap<TensorId, (f32, f32)> = HashMap::new();
    let mut fixed = HashMap::new();
    let mut own: HashMap<TensorId, (f32, f32)> = HashMap::new();
    let mut widen = |group: TensorId, (low, high): (f32, f32)| {
        let entry = limits.entry(group).or_insert((0.0, 0.0));
        *entry = (entry.0.min(low), entry.1.max(high));
    };
    let produced = graph.nodes.iter().flat_map(|node| &node.outputs);
    let results: Vec<TensorId> = graph.outputs.iter().map(|&id| domain.group(id)).collect();
    for &id in graph.inputs.iter().chain(produced) {
        if let Some(table) = domain.table(graph, id) {
            // All rows of it: a stream will see them.
            widen(domain.group(id), extremes(&table));
            continue;
        }
        let Some(seen) = observed.get(&id) else { continue };
        let node = domain.producer(id).map(|index| (&graph.nodes[index], &domain.nodes[index]));
        if domain.is_root(id) {
            let reader = only_reader(graph, &consumers, id);
            let read = |x: &[f32]| reader.map_or_else(|| x.to_vec(), |f| apply(f, x));
            let mut range =
                seen.histogram.range(method, reader.is_some().then_some(&read as &dyn Fn(&[f32]) -> _));
            if method == Method::Mse && results.contains(&domain.group(id)) {
                range = seen.histogram.expected();
            }
            if let Some((low, high)) = reader.and_then(sensitive) {
                range = (range.0.max(low), range.1.min(high));
            }
            if let Some((Node { op: Op::Unary(function), inputs, .. }, Ok(_))) = node
                && let Some(&(low, high)) = own.get(&inputs[0])
            {
                let image = image(*function, affine(low, high));
                range = (range.0.max(image.0), range.1.min(image.1));
            }
            own.insert(id, range);
            widen(domain.group(id), range);
        } else if let Some((Node { op: Op::Pad { value, .. }, .. }, _)) = node
            && value.is_finite()
        {
            widen(domain.group(id), (*value, *value));
        }
        match node {
            Some((_, Ok(Kind::Fixed))) => drop(fixed.insert(domain.group(id), (1.0 / 256.0, -128))),
            Some((node, Ok(Kind::Joint))) => {
                for &input in &node.inputs {
                    let range = match &graph.tensor(input).data {
                        Some(data) => extremes(&data.to_f32()),
                        None => {
                            observed.get(&input).map_or((0.0, 0.0), |seen| seen.histogram.range(method, None))
                        }
                    };
                    widen(domain.group(id), range);
                }
            }
            _ => {}
        }
    }
    let mut groups: HashMap<_, _> =
        limits.into_iter().map(|(group, (low, high))| (group, affine(low, high))).collect();
    groups.extend(fixed);
    Ranges { domain, groups }
}

/// Smallest and largest number, and zero.
pub(super) fn extremes(values: &[f32]) -> (f32, f32) {
    values.iter().fold((0.0, 0.0), |(low, high), &x| (low.min(x), high.max(x)))
}

/// The function that reads the tensor, if it is an elementwise one and nothing else does.
pub(super) fn only_reader(graph: &Graph, consumers: &[Vec<usize>], id: TensorId) -> Option<UnaryFn> {
    match (&consumers[id.0][..], graph.outputs.contains(&id)) {
        (&[reader], false) => match graph.nodes[reader].op {
            Op::Unary(function) => Some(function),
            _ => None,
        },
        _ => None,
    }
}

/// Beyond these limits the function does not change.
fn sensitive(function: UnaryFn) -> Option<(f32, f32)> {
    Some(match function {
        UnaryFn::Relu => (0.0, f32::INFINITY),
        UnaryFn::Relu6 => (0.0, 6.0),
        UnaryFn::Clip { min, max } => (min.min(0.0), max.max(0.0)),
        UnaryFn::HardSwish => (-3.0, f32::INFINITY),
        UnaryFn::HardSigmoid { slope, offset } if slope > 0.0 => {
            ((-offset / slope).min(0.0), ((1.0 - offset) / slope).max(0.0))
        }
        _ => return None,
    })
}

/// Limits of the function's results for all codes of a quantization, and zero.
fn image(function: UnaryFn, (scale, zero_point): (f32, i32)) -> (f32, f32) {
    let codes: Vec<f32> = (-128..128).map(|code| scale * (code - zero_point) as f32).collect();
    let results: Vec<f32> = apply(function, &codes).into_iter().filter(|y| y.is_finite()).collect();
    extremes(&results)
}

/// The function of some numbers.
pub(super) fn apply(function: UnaryFn, x: &[f32]) -> Vec<f32> {
    x.iter().map(|&x| unary_value(function, x.into()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_code_and_the_limits_fit() {
        for (min, max) in [(0.0, 6.0), (-1.0, 1.0), (-0.3, 8.9), (-5.0, 0.0), (0.2, 3.0), (-7.0, -2.0)] {
            let (scale, zero_point) = affine(min, max);
            assert!((-128..=127).contains(&zero_point));
            let real = |code: i32| scale * (code - zero_point) as f32;
            assert!(real(-128) <= min.min(0.0) + scale * 0.51 && real(127) >= max.max(0.0) - scale * 0.51);
        }
        assert_eq!(affine(0.0, 0.0), (1.0 / 128.0, 0));
        assert_eq!(affine(0.0, 255.0), (1.0, -128));
    }

    #[test]
    fn functions_limit_their_results() {
        let (low, high) = image(UnaryFn::Tanh, affine(-10.0, 10.0));
        assert!(low < -0.999 && high > 0.999 && low >= -1.0 && high <= 1.0);
        let (low, _) = image(UnaryFn::HardSwish, affine(-3.0, 3.0));
        assert!((-0.376..-0.374).contains(&low));
    }
}
