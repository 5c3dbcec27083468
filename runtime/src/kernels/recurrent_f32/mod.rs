//! `gru_f32`, `lstm_f32` and both with half-precision weights (`.._w16`): recurrent layers, a frame a slice.
//!
//! Input 0: slices of one row, what the input adds to the gates: update, reset, candidate; input, output, forget,
//! candidate. Output: slices of one row, the state behind the frame: `size` numbers, with `lstm_f32` the hidden state and
//! behind it the cell's. Slice `s` is made of slice `s - 1`, which must still be there; slice 0 of the initial state.
//! Constants: the recurrence as [`block`] stores it (of the candidate, with `gru_f32`, apart), the bias of the recurrence,
//! the initial state. Scratch: the state before, and all gates.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{GruF32, LstmF32};

use crate::engine::{Call, Given, Mismatch, Output};
use crate::kernels::StepView;
use crate::kernels::block::{self, LANES};
use crate::kernels::numbers::{Weight, numbers, numbers_mut};
use crate::kernels::s8::{arguments, require};
use crate::kernels::unary_f32::sigmoid;
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct RecurrentArgs {
        /// Numbers in the hidden state.
        pub size: u32,
        /// `gru_f32`: the reset gate comes before the recurrence of the candidate.
        pub reset_before: u32,
    }
}

/// `gru_f32`.
pub fn run_gru(call: Call<'_>) -> Result<(), Mismatch> {
    gru::<f32>(call)
}

/// `gru_f32_w16`.
pub fn run_gru_w16(call: Call<'_>) -> Result<(), Mismatch> {
    gru::<half::f16>(call)
}

/// `lstm_f32`.
pub fn run_lstm(call: Call<'_>) -> Result<(), Mismatch> {
    lstm::<f32>(call)
}

/// `lstm_f32_w16`.
pub fn run_lstm_w16(call: Call<'_>) -> Result<(), Mismatch> {
    lstm::<half::f16>(call)
}

fn gru<W: Weight>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = RecurrentArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let size = args.size as usize;
    let (gates, candidate): (&[W], &[W]) = (given.constants(0)?, given.constants(1)?);
    let (bias, initial) = (numbers::<f32>(given.blob(2))?, numbers::<f32>(given.blob(3))?);
    let (gate_bias, candidate_bias) = bias.split_at_checked(2 * size).ok_or(Mismatch)?;
    each(&given, &mut output, scratch, [size, 3 * size], initial, |x, before, sums, to| {
        let (x_gates, x_candidate) = x.split_at_checked(2 * size).ok_or(Mismatch)?;
        let (gate_sums, candidate_sums) = sums.split_at_mut_checked(2 * size).ok_or(Mismatch)?;
        recurrence(gates, gate_bias, before, gate_sums);
        gate_sums.iter_mut().zip(x_gates).for_each(|(sum, x)| *sum = sigmoid(*sum + x));
        let (update, reset) = gate_sums.split_at_checked(size).ok_or(Mismatch)?;
        if args.reset_before == 0 {
            recurrence(candidate, candidate_bias, before, candidate_sums);
            candidate_sums.iter_mut().zip(reset).for_each(|(sum, reset)| *sum *= reset);
        } else {
            // The output's place serves for what the reset gate leaves of the state.
            to.iter_mut().zip(reset).zip(before).for_each(|((kept, reset), h)| *kept = reset * h);
            recurrence(candidate, candidate_bias, to, candidate_sums);
        }
        let sums = candidate_sums.iter().zip(x_candidate).map(|(sum, x)| libm::tanhf(sum + x));
        for (((to, candidate), update), before) in to.iter_mut().zip(sums).zip(update).zip(before) {
            *to = candidate + update * (before - candidate);
        }
        Ok(())
    })
}

fn lstm<W: Weight>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let size = RecurrentArgs::read(given.args(), 0).ok_or(Mismatch)?.size as usize;
    let weights: &[W] = given.constants(0)?;
    let (bias, initial) = (numbers::<f32>(given.blob(1))?, numbers::<f32>(given.blob(2))?);
    each(&given, &mut output, scratch, [2 * size, 4 * size], initial, |x, before, sums, to| {
        let (hidden, cell) = before.split_at_checked(size).ok_or(Mismatch)?;
        recurrence(weights, bias, hidden, sums);
        sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
        let mut gates = sums.chunks_exact(size.max(1));
        let mut gate = || gates.next().ok_or(Mismatch);
        let (input, out, forget, candidate) = (gate()?, gate()?, gate()?, gate()?);
        let (to_hidden, to_cell) = to.split_at_mut_checked(size).ok_or(Mismatch)?;
        for (((to, cell), forget), (input, candidate)) in
            to_cell.iter_mut().zip(cell).zip(forget).zip(input.iter().zip(candidate))
        {
            *to = sigmoid(*forget) * cell + sigmoid(*input) * libm::tanhf(*candidate);
        }
        for ((to, cell), out) in to_hidden.iter_mut().zip(&*to_cell).zip(out) {
            *to = sigmoid(*out) * libm::tanhf(*cell);
        }
        Ok(())
    })
}

/// Calls `f(input, state before, gates, state behind)` for every slice; `lengths` of state and gates.
fn each(
    given: &Given<'_>,
    output: &mut Output<'_>,
    scratch: &mut [u8],
    lengths: [usize; 2],
    initial: &[f32],
    mut f: impl FnMut(&[f32], &[f32], &mut [f32], &mut [f32]) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let [state, gates] = lengths;
    let source = given.source(0)?;
    let (before, rest) = numbers_mut::<f32>(scratch)?.split_at_mut_checked(state).ok_or(Mismatch)?;
    let sums = rest.get_mut(..gates).ok_or(Mismatch)?;
    for slice in output.slices() {
        match slice.checked_sub(1) {
            None => before.iter_mut().zip(initial).for_each(|(to, from)| *to = *from),
            Some(last) => {
                let last: &mut [f32] = numbers_mut(output.row(last, 0)?)?;
                before.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
            }
        }
        f(numbers(source.only(slice, 0)?)?, before, sums, numbers_mut(output.row(slice, 0)?)?)?;
    }
    Ok(())
}

/// `bias + weights * state`, `sums.len()` numbers.
fn recurrence<W: Weight>(weights: &[W], bias: &[f32], state: &[f32], sums: &mut [f32]) {
    let run = match state.len() * LANES {
        0 => return,
        run => run,
    };
    let blocks = weights.chunks_exact(run);
    for ((sums, bias), weights) in sums.chunks_mut(LANES).zip(bias.chunks(LANES)).zip(blocks) {
        let mut all = block::start(bias);
        block::accumulate_one(&mut all, state, weights);
        sums.iter_mut().zip(all).for_each(|(to, sum)| *to = sum);
    }
}

/// Accepts a step only if [`run_gru`] can serve it.
pub const fn check_gru(step: &StepView<'_>) -> Result<(), Fault> {
    check(step, [2, 1], 1, 4)
}

/// Accepts a step only if [`run_gru_w16`] can serve it.
pub const fn check_gru_w16(step: &StepView<'_>) -> Result<(), Fault> {
    check(step, [2, 1], 1, 2)
}

/// Accepts a step only if [`run_lstm`] can serve it.
pub const fn check_lstm(step: &StepView<'_>) -> Result<(), Fault> {
    check(step, [4, 0], 2, 4)
}

/// Accepts a step only if [`run_lstm_w16`] can serve it.
pub const fn check_lstm_w16(step: &StepView<'_>) -> Result<(), Fault> {
    check(step, [4, 0], 2, 2)
}

/// `gates` in the first constant and in the second (0: there is none), `states` in a row of the output.
const fn check(step: &StepView<'_>, gates: [usize; 2], states: usize, weight: usize) -> Result<(), Fault> {
    let args = arguments!(RecurrentArgs, step);
    require!(step.inputs() == 1 && !step.any_in_place(), Arguments);
    require!(args.size > 0 && args.size <= 1 << 13 && args.reset_before <= 1, Arguments);
    require!(step.is(0, DType::F32) && step.is(1, DType::F32), Shape);
    let (size, all) = (args.size as usize, gates[0] + gates[1]);
    require!(step.row_len(0) == all * size && step.row_len(1) == states * size, Shape);
    require!(step.reads_one_row(0) && step.within(0), Shape);
    let Ok(output) = step.output() else { return Err(Fault::Range) };
    require!(output.rows == 1, Shape);
    let parts = if gates[1] == 0 { 1 } else { 2 };
    let mut i = 0;
    while i < parts {
        let bytes = block::blocks(gates[i] * size) * LANES * size * weight;
        require!(step.blob_is(i, bytes, weight), Shape);
        i += 1;
    }
    require!(step.blob_is(parts, all * size * 4, 4) && step.blob_is(parts + 1, states * size * 4, 4), Shape);
    require!(step.has_scratch(((states + all) * size * 4) as u64, 4), Range);
    Ok(())
}
