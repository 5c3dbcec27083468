//! One sample's way through a network, forward and back. Parameters and what is saved lie in the order of the layers: the
//! way forward takes each layer's own from the front, the way back from the end.

use core::mem::swap;

use super::{
    layers::{add_positions, relu},
    network::{Layer, Network, Training},
};

/// Two buffers of the widest output; a layer reads one and writes the other.
pub struct Pair<'w> {
    pub here: &'w mut [f32],
    pub there: &'w mut [f32],
}

/// Memory of the way back, filled on the way forward; as long as the network's sizes say.
pub struct Saved<'s> {
    pub numbers: &'s mut [f32],
    pub marks: &'s mut [u8],
}

/// What does not change during a pass.
#[derive(Clone, Copy)]
pub struct Parameters<'p> {
    pub trained: &'p [f32],
    pub frozen: &'p [f32],
}

/// Answers `input` in `pair.here`. With `saved`, the way back may follow.
pub fn forward(
    network: &Network<'_>,
    mut parameters: Parameters<'_>,
    input: &[f32],
    saved: Option<&mut Saved<'_>>,
    pair: &mut Pair<'_>,
) -> Option<()> {
    let (mut rest, saves) = match saved {
        Some(saved) => (Saved { numbers: saved.numbers, marks: saved.marks }, true),
        None => (Saved { numbers: &mut [], marks: &mut [] }, false),
    };
    let mut len = network.input();
    for (index, layer) in network.layers().iter().enumerate() {
        let first = index == 0;
        let (numbers, marks) = if saves { layer.saved(first, index > network.lowest()) } else { (0, 0) };
        let numbers = rest.numbers.split_off_mut(..numbers)?;
        let marks = rest.marks.split_off_mut(..marks)?;
        let (weights, bias) = parameters.front(layer)?;
        let output = layer.output()?;
        if layer.in_place() {
            if first {
                copy(pair.here.get_mut(..len)?, input)?;
            }
            let values = pair.here.get_mut(..len)?;
            match layer {
                Layer::GroupNorm(norm, _) => {
                    let (normal, scales) = numbers.split_at_mut(numbers.len().min(len));
                    norm.normalize(values, scales)?;
                    if !normal.is_empty() {
                        copy(normal, values)?;
                    }
                    norm.scale(values, weights, bias);
                }
                _ => relu::forward(values, marks),
            }
        } else {
            // The sample is the caller's; other inputs are where the layer before left them.
            let x = if first { input } else { pair.here.get(..len)? };
            let y = pair.there.get_mut(..output)?;
            match layer {
                Layer::Conv(conv, _) => conv.forward(x, weights, bias, y)?,
                Layer::Depthwise(depthwise, _) => depthwise.forward(x, weights, bias, y)?,
                Layer::MeanPool(pool) => pool.mean(x, y)?,
                Layer::MaxPool(pool) => {
                    pool.largest(x, y)?;
                    if !marks.is_empty() {
                        pool.places(x, y, marks)?;
                    }
                }
                Layer::GroupNorm(..) | Layer::Relu { .. } => return None,
            }
            if !numbers.is_empty() {
                copy(numbers, x)?;
            }
            swap(&mut pair.here, &mut pair.there);
        }
        len = output;
    }
    Some(())
}

/// Adds to `gradients` what the answer's gradient in `pair.here` asks of the trained parameters.
pub fn backward(
    network: &Network<'_>,
    mut parameters: Parameters<'_>,
    input: &[f32],
    saved: Saved<'_>,
    mut gradients: &mut [f32],
    pair: &mut Pair<'_>,
    scratch: &mut [f32],
) -> Option<()> {
    let (mut saved_numbers, mut saved_marks) = (&*saved.numbers, &*saved.marks);
    for (index, layer) in network.layers().iter().enumerate().skip(network.lowest()).rev() {
        let (first, below) = (index == 0, index > network.lowest());
        let (numbers, marks) = layer.saved(first, below);
        let (numbers, marks) = (back(&mut saved_numbers, numbers)?, back(&mut saved_marks, marks)?);
        let (weights, _) = parameters.back(layer)?;
        let (trained_weights, trained_biases) = layer.trained();
        let bias_gradient = back_mut(&mut gradients, trained_biases)?;
        let weight_gradient = back_mut(&mut gradients, trained_weights)?;
        let slopes = pair.here.get_mut(..layer.output()?)?;
        add_positions(slopes, bias_gradient);
        let x = if first { input } else { numbers };
        match layer {
            Layer::Conv(conv, Training::All) => conv.weight_gradient(x, slopes, weight_gradient)?,
            Layer::Depthwise(depthwise, Training::All) => {
                depthwise.weight_gradient(x, slopes, weight_gradient)?;
            }
            Layer::GroupNorm(norm, Training::All) => norm.gamma_gradient(slopes, numbers, weight_gradient),
            _ => {}
        }
        if !below {
            break;
        }
        if layer.in_place() {
            match layer {
                Layer::GroupNorm(norm, _) => {
                    let (normal, scales) = numbers.split_at(numbers.len().saturating_sub(norm.groups));
                    norm.input_gradient(slopes, normal, weights, scales)?;
                }
                _ => relu::gradient(slopes, marks),
            }
            continue;
        }
        let dx = pair.there.get_mut(..layer.input()?)?;
        match layer {
            Layer::Conv(conv, _) => conv.input_gradient(slopes, weights, scratch, dx)?,
            Layer::Depthwise(depthwise, _) => depthwise.input_gradient(slopes, weights, dx)?,
            Layer::MaxPool(pool) => pool.largest_gradient(slopes, marks, dx)?,
            Layer::MeanPool(pool) => pool.mean_gradient(slopes, dx)?,
            Layer::GroupNorm(..) | Layer::Relu { .. } => return None,
        }
        swap(&mut pair.here, &mut pair.there);
    }
    Some(())
}

impl<'p> Parameters<'p> {
    /// Weights and bias of the next layer from the front.
    fn front(&mut self, layer: &Layer) -> Option<(&'p [f32], &'p [f32])> {
        let (weights, biases) = layer.parameters();
        let (trained_weights, trained_biases) = layer.trained();
        Some((
            self.source(trained_weights).split_off(..weights)?,
            self.source(trained_biases).split_off(..biases)?,
        ))
    }

    /// Weights and bias of the next layer from the end.
    fn back(&mut self, layer: &Layer) -> Option<(&'p [f32], &'p [f32])> {
        let (weights, biases) = layer.parameters();
        let (trained_weights, trained_biases) = layer.trained();
        let bias = back(self.source(trained_biases), biases)?;
        Some((back(self.source(trained_weights), weights)?, bias))
    }

    fn source(&mut self, trained: usize) -> &mut &'p [f32] {
        if trained > 0 { &mut self.trained } else { &mut self.frozen }
    }
}

fn copy(to: &mut [f32], from: &[f32]) -> Option<()> {
    (to.len() == from.len()).then(|| to.copy_from_slice(from))
}

fn back<'s, T>(rest: &mut &'s [T], count: usize) -> Option<&'s [T]> {
    rest.split_off(rest.len().checked_sub(count)?..)
}

fn back_mut<'s, T>(rest: &mut &'s mut [T], count: usize) -> Option<&'s mut [T]> {
    rest.split_off_mut(rest.len().checked_sub(count)?..)
}
