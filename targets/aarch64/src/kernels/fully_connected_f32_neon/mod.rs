//! `fully_connected_f32_neon`: `fully_connected_f32`.
//!
//! Arguments and constants are those of the portable kernel. Scratch: a vector of inputs, for rows that make up one.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::fully_connected_f32::{self, FullyConnectedF32Args};
use mote_runtime::kernels::s8::require;
use mote_runtime::plan::Fault;

use super::dot_f32::Layer;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = fully_connected_f32::check(step) {
        return Err(fault);
    }
    let Some(args) = FullyConnectedF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(step.scratch_bytes() as u64 >= args.inputs as u64 * 4, Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = FullyConnectedF32Args::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let layer = Layer {
        weights: given.constants(0)?,
        bias: given.constants(1)?,
        inputs: args.inputs as usize,
        min: args.min,
        max: args.max,
    };
    let x = scratch.get_mut(..4 * layer.inputs).ok_or(Mismatch)?;
    output.for_each(|slice, row, to| {
        let (rows, to) = (source.window(slice, row), numbers_mut(to)?);
        if rows.len() == 1 {
            return layer.positions(numbers(rows.get(0).ok_or(Mismatch)?)?, layer.inputs, to);
        }
        let part = x.len().checked_div(rows.len()).ok_or(Mismatch)?;
        for (x, row) in x.chunks_exact_mut(part.max(1)).zip(rows.iter()) {
            x.copy_from_slice(row.and_then(|row| row.get(..part)).ok_or(Mismatch)?);
        }
        layer.positions(numbers(x)?, 0, to)
    })
}

fn numbers(bytes: &[u8]) -> Result<&[f32], Mismatch> {
    bytemuck::try_cast_slice(bytes).map_err(|_| Mismatch)
}

fn numbers_mut(bytes: &mut [u8]) -> Result<&mut [f32], Mismatch> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| Mismatch)
}
