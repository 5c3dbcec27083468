//! Recurrent layers.

use super::algebra::dot;
use super::{Array, Outcome};

/// `parameters`: weights and bias of the recurrence, initial state.
pub(super) fn gru(x: &Array, parameters: [&Array; 3], reset_before: bool, shape: &[usize]) -> Outcome {
    let [weights, bias, initial] = parameters.map(|p| &p.values[..]);
    let size = initial.len();
    if size == 0
        || weights.len() != 3 * size * size
        || bias.len() != 3 * size
        || x.shape.last() != Some(&(3 * size))
    {
        return Err("the recurrence doesn't fit the operand");
    }
    let mut state = initial.to_vec();
    let mut values = Vec::new();
    for x in x.values.chunks(3 * size) {
        let gate = |k: usize, state: &[f64]| bias[k] + dot(&weights[k * size..][..size], state);
        let update: Vec<f64> = (0..size).map(|k| sigmoid(x[k] + gate(k, &state))).collect();
        let reset: Vec<f64> = (size..2 * size).map(|k| sigmoid(x[k] + gate(k, &state))).collect();
        let kept: Vec<f64> = reset.iter().zip(&state).map(|(r, h)| r * h).collect();
        let candidate = |i: usize| {
            let k = 2 * size + i;
            let recurrent = if reset_before { gate(k, &kept) } else { reset[i] * gate(k, &state) };
            (x[k] + recurrent).tanh()
        };
        state = (0..size).map(|i| (1.0 - update[i]) * candidate(i) + update[i] * state[i]).collect();
        values.extend(&state);
    }
    Ok(Array { shape: shape.to_vec(), values })
}

/// `parameters`: weights of the recurrence, initial states.
pub(super) fn lstm(x: &Array, parameters: [&Array; 2], shape: &[usize]) -> Outcome {
    let [weights, initial] = parameters.map(|p| &p.values[..]);
    let size = initial.len() / 2;
    if size == 0 || weights.len() != 4 * size * size || x.shape.last() != Some(&(4 * size)) {
        return Err("the recurrence doesn't fit the operand");
    }
    let (mut hidden, mut cell) = (initial[..size].to_vec(), initial[size..].to_vec());
    let mut values = Vec::new();
    for x in x.values.chunks(4 * size) {
        let gate = |k: usize| x[k] + dot(&weights[k * size..][..size], &hidden);
        let next = |i: usize| {
            let (input, output, forget) =
                (sigmoid(gate(i)), sigmoid(gate(size + i)), sigmoid(gate(2 * size + i)));
            let cell = forget * cell[i] + input * gate(3 * size + i).tanh();
            (output * cell.tanh(), cell)
        };
        (hidden, cell) = (0..size).map(next).unzip();
        values.extend(hidden.iter().chain(&cell));
    }
    Ok(Array { shape: shape.to_vec(), values })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
