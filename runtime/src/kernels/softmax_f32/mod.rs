//! `softmax_f32`.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::SoftmaxF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::exp::exp;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::kernels::reduce_f32::sum;
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `softmax_f32`.
    pub struct SoftmaxF32Args {
        /// Numbers of one vector; a row may hold several.
        pub depth: u32,
        pub beta: f32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = SoftmaxF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    if step.args().len() != SoftmaxF32Args::SIZE || step.inputs() != 1 || args.depth == 0 {
        return Err(Fault::Arguments);
    }
    let rows = step.row_len(0) == step.row_len(1) && step.row_len(1).is_multiple_of(args.depth as usize);
    let types = step.is(0, DType::F32) && step.is(1, DType::F32);
    if rows && types && step.elementwise(0) { Ok(()) } else { Err(Fault::Shape) }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = SoftmaxF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (input, mut output) = (call.given.input(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let dst: &mut [f32] = numbers_mut(dst)?;
        if let Some(input) = &input {
            let src: &[f32] = numbers(input.only(slice, row)?)?;
            dst.iter_mut().zip(src).for_each(|(to, x)| *to = *x);
        }
        dst.chunks_exact_mut((args.depth as usize).max(1)).for_each(|vector| softmax(vector, args.beta));
        Ok(())
    })
}

/// `softmax(beta * x)`, in its place.
pub(crate) fn softmax(vector: &mut [f32], beta: f32) {
    vector.iter_mut().for_each(|x| *x *= beta);
    let max = vector.iter().fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max });
    vector.iter_mut().for_each(|x| *x = exp(*x - max));
    let factor = 1.0 / sum(vector);
    vector.iter_mut().for_each(|x| *x *= factor);
}
