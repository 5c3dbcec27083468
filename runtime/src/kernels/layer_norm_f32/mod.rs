//! `layer_norm_f32`. Constants: gamma, beta; their length is that of the vectors.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::LayerNormF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::kernels::reduce_f32::sum;
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `layer_norm_f32`.
    pub struct LayerNormF32Args {
        /// Numbers of one vector; a row may hold several.
        pub depth: u32,
        pub epsilon: f32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = LayerNormF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == LayerNormF32Args::SIZE && step.inputs() == 1;
    if !fits || args.depth == 0 || args.depth > 1 << 29 {
        return Err(Fault::Arguments);
    }
    let depth = args.depth as usize;
    let rows =
        step.row_len(0) == step.row_len(1) && step.row_len(1).is_multiple_of(depth) && step.elementwise(0);
    let types = step.is(0, DType::F32) && step.is(1, DType::F32);
    if !rows || !types || !step.blob_is(0, depth * 4, 4) || !step.blob_is(1, depth * 4, 4) {
        return Err(Fault::Shape);
    }
    Ok(())
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = LayerNormF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let gamma: &[f32] = call.given.constants(0)?;
    let beta: &[f32] = call.given.constants(1)?;
    let (input, mut output) = (call.given.input(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let dst: &mut [f32] = numbers_mut(dst)?;
        if let Some(input) = &input {
            let src: &[f32] = numbers(input.only(slice, row)?)?;
            dst.iter_mut().zip(src).for_each(|(to, x)| *to = *x);
        }
        for vector in dst.chunks_exact_mut(gamma.len().max(1)) {
            normalise(vector, gamma, beta, args.epsilon);
        }
        Ok(())
    })
}

fn normalise(vector: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let count = vector.len().max(1) as f32;
    let mean = sum(vector) / count;
    vector.iter_mut().for_each(|x| *x -= mean);
    let variance = vector.iter().map(|x| x * x).sum::<f32>() / count;
    let factor = 1.0 / libm::sqrtf(variance + epsilon);
    for ((x, gamma), beta) in vector.iter_mut().zip(gamma).zip(beta) {
        *x = *x * factor * gamma + beta;
    }
}
