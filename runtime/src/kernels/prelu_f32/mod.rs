//! `prelu_f32`. Constant: slopes, repeated along the row.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::PreluF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::plan::{DType, Fault};

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if !step.args().is_empty() || step.inputs() != 1 || step.blobs() == 0 {
        return Err(Fault::Arguments);
    }
    let bytes = step.blob(0).len();
    let slopes = bytes / 4;
    if slopes == 0 || !step.blob_is(0, slopes * 4, 4) || !step.row_len(1).is_multiple_of(slopes) {
        return Err(Fault::Shape);
    }
    let same = step.row_len(0) == step.row_len(1) && step.elementwise(0);
    if same && step.is(0, DType::F32) && step.is(1, DType::F32) { Ok(()) } else { Err(Fault::Shape) }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let slopes: &[f32] = call.given.constants(0)?;
    let (input, mut output) = (call.given.input(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let dst: &mut [f32] = numbers_mut(dst)?;
        if let Some(input) = &input {
            let src: &[f32] = numbers(input.only(slice, row)?)?;
            dst.iter_mut().zip(src).for_each(|(to, x)| *to = *x);
        }
        for dst in dst.chunks_mut(slopes.len().max(1)) {
            for (x, slope) in dst.iter_mut().zip(slopes) {
                *x = if *x < 0.0 { *x * slope } else { *x };
            }
        }
        Ok(())
    })
}
