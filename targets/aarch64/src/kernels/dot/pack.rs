//! Packing of weights for the loops.

use alloc::vec::Vec;

use super::{CHANNELS, STEP, Weights, steps};

/// Blocks of `weights`, `[outputs][inputs]`.
pub fn weights(weights: &[i8], outputs: usize, inputs: usize) -> Vec<Weights> {
    let weight = |channel: usize, input: usize| match channel < outputs && input < inputs {
        true => weights[channel * inputs + input],
        false => 0,
    };
    let steps = steps(inputs);
    (0..outputs.div_ceil(CHANNELS) * steps)
        .map(|i| {
            let (block, step) = (i / steps, i % steps);
            core::array::from_fn(|k| weight(block * CHANNELS + k / STEP, step * STEP + k % STEP))
        })
        .collect()
}

/// Whether products of two steps fit 16 bits, whatever the inputs.
pub fn is_narrow(weights: &[i8]) -> bool {
    !weights.contains(&-128)
}
