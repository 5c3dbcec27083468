//! `fully_connected_s8_neon`: `fully_connected_s8`.
//!
//! Input 0: one row that holds one or several vectors, or rows that together are one. Constants: 0 weights in blocks of
//! eight outputs (`dot`), 1 per block the start of the sums and the scales. Scratch: a vector of inputs, for rows that
//! make up one, and for vectors that are no whole steps; others are read where they are.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::kernels::target_s8::DenseArgs;
use mote_runtime::plan::Fault;

use super::conv_s8_neon::constants_fit;
use super::dot::{Layer, STEP, steps};
use super::gather::copy;
use super::stage::Stage;

/// Bytes of scratch.
const fn scratch(inputs: usize) -> usize {
    STEP * steps(inputs)
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DenseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    require!(Stage::is_sound(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.form <= 1, Arguments);
    let (inputs, outputs) = (args.inputs as usize, args.outputs as usize);
    let (row, to, window) = (step.row_len(0), step.row_len(1), step.window(0));
    if row > inputs {
        require!(window == 1 && row.is_multiple_of(inputs) && to == row / inputs * outputs, Shape);
    } else {
        require!(row as u64 * window as u64 == inputs as u64 && to == outputs, Shape);
    }
    require!(window == 1 && step.within(0) || window > 1, Shape);
    require!(constants_fit(step, inputs, outputs), Shape);
    require!(step.scratch_bytes() >= scratch(inputs), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = DenseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let dense = Dense {
        inputs: args.inputs as usize,
        input_zero_point: args.input_zero_point as i8,
        layer: Layer {
            weights: given.constants(0)?,
            blocks: given.constants(1)?,
            steps: steps(args.inputs as usize),
            out_channels: args.outputs as usize,
            narrow: args.form != 0,
            stage: Stage {
                zero_point: args.zero_point,
                min: args.min,
                max: args.max,
                rounding: args.rounding,
            },
        },
    };
    let x = s8_mut(scratch);
    output.for_each(|slice, row, to| dense.row(source.window(slice, row), x, s8_mut(to)))
}

/// Everything of a layer but its rows.
struct Dense<'a> {
    inputs: usize,
    input_zero_point: i8,
    layer: Layer<'a>,
}

impl Dense<'_> {
    /// Computes one output row; `x` has room for a vector.
    fn row(&self, rows: Rows<'_>, x: &mut [i8], to: &mut [i8]) -> Result<(), Mismatch> {
        let (inputs, layer) = (self.inputs.max(1), &self.layer);
        if rows.len() > 1 {
            let part = inputs.checked_div(rows.len()).ok_or(Mismatch)?;
            for (x, row) in x.chunks_exact_mut(part.max(1)).zip(rows.iter()) {
                match row {
                    Some(row) => copy(s8(row), x),
                    None => x.fill(self.input_zero_point),
                }
            }
            return layer.positions(x, 0, to);
        }
        let row = s8(rows.get(0).ok_or(Mismatch)?);
        if inputs.is_multiple_of(STEP) {
            return layer.positions(row, inputs, to);
        }
        let vectors = row.chunks_exact(inputs);
        for (to, vector) in to.chunks_exact_mut(layer.out_channels.max(1)).zip(vectors) {
            copy(vector, x);
            layer.positions(x, 0, to)?;
        }
        Ok(())
    }
}
