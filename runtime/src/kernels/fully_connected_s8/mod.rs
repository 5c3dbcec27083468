//! `fully_connected_s8`: `y[n] = sum_k x[k] * w[n, k] + bias[n]`.
//!
//! Input 0: the rows of the window, concatenated, are one input vector of `inputs` elements (padding counts as the
//! zero point); or the window is one row that holds several vectors. Output: as many vectors of `outputs` elements.
//! Constants: 0 weights `[outputs][inputs]`, 1 per output `[start, multiplier, shift]` as in `conv2d_s8`, whose code
//! does the work. No scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::FullyConnectedS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::columns::Columns;
use crate::kernels::conv2d_s8::Conv;
use crate::kernels::s8::{Stage, Window, arguments, is_code, is_stage, require, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct FullyConnectedArgs {
        pub inputs: u32,
        pub outputs: u32,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub rounding: u8,
        pub reserved: u8,
    }
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = FullyConnectedArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let row_len = source.row_bytes();
    let inputs = args.inputs as usize;
    // Rows of a vector are rows of a kernel that is one column wide; vectors in a row are columns.
    let conv = Conv {
        in_channels: inputs.min(row_len),
        out_channels: args.outputs as usize,
        groups: 1,
        columns: Columns { kernel_width: 1, stride: 1, dilation: 1, pad_left: 0 },
        input_zero_point: args.input_zero_point,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding },
        weights: given.constants(0)?,
        channels: given.constants(1)?,
    };
    output.for_each(|slice, row, to| conv.row(&Window::new(source.window(slice, row)), row_len, s8_mut(to)))
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(FullyConnectedArgs, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.input_zero_point), Arguments);
    let (inputs, outputs) = (args.inputs as usize, args.outputs as usize);
    require!(inputs > 0 && outputs > 0, Arguments);
    let (row, to, window) = (step.row_len(0), step.row_len(1), step.window(0));
    require!(row > 0 && to > 0 && to % outputs == 0 && row < 1 << 30, Shape);
    if row <= inputs {
        require!(row as u64 * window as u64 == inputs as u64 && to == outputs, Shape);
    } else {
        require!(window == 1 && row % inputs == 0 && row / inputs == to / outputs, Shape);
    }
    let weights = args.inputs as u64 * args.outputs as u64;
    require!(weights <= u32::MAX as u64 && step.blob_is(0, weights as usize, 1), Shape);
    require!(step.channels_are(1, outputs), Shape);
    Ok(())
}
