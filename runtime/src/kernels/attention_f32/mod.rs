//! `attention_f32`: several heads of `softmax_j(scale * q[i] . k[j] + bias[h, i, j]) * v[j]`; operands as in
//! [`crate::kernels::attention`]. Scratch: a score for each head and key.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::AttentionF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::attention::{AttentionShape, Bias};
use crate::kernels::lanes::{add_scaled, dot};
use crate::kernels::numbers::numbers_mut;
use crate::kernels::s8::require;
use crate::kernels::softmax_f32::softmax;
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments, behind [`AttentionShape`].
    pub struct AttentionF32Args {
        pub scale: f32,
    }
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let shape = AttentionShape::read(given.args(), 0).ok_or(Mismatch)?;
    let scale = AttentionF32Args::read(given.args(), AttentionShape::SIZE).ok_or(Mismatch)?.scale;
    let (queries, keys, values) = (given.source(0)?, given.source(1)?, given.source(2)?);
    let (query_heads, key_heads, value_heads) = (shape.queries(), shape.key_heads(), shape.values());
    let (count, value_depth) = ((shape.keys as usize).max(1), (shape.value_depth as usize).max(1));
    let scores = numbers_mut::<f32>(scratch)?.get_mut(..shape.scores() as usize).ok_or(Mismatch)?;
    let length = (shape.output_length() as usize).max(1);
    let per_row = output.row_bytes().checked_div(4 * length).ok_or(Mismatch)?;
    let bias = Bias::<f32>::new(&given, &shape, &output, per_row)?;
    // `max(1)` once more where it is used: what a closure holds, the compiler no longer knows not to be zero.
    output.for_each(|slice, row, to| {
        let to: &mut [f32] = numbers_mut(to)?;
        let mut outputs = to.chunks_exact_mut(length.max(1));
        query_heads.each(queries.window(slice, row), |i, query: &[f32]| {
            let to = outputs.next().ok_or(Mismatch)?;
            let bias = bias.of(slice, row, i);
            key_heads.each(keys.window(slice, row), |j, key: &[f32]| {
                let of_key = scores.get_mut(j..).ok_or(Mismatch)?.iter_mut().step_by(count.max(1));
                for ((score, query), key) in of_key.zip(query_heads.of(query)).zip(key_heads.of(key)) {
                    *score = scale * dot(query, key);
                }
                Ok(())
            })?;
            scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
            scores.chunks_exact_mut(count.max(1)).for_each(|scores| softmax(scores, 1.0));
            to.fill(0.0);
            value_heads.each(values.window(slice, row), |j, value: &[f32]| {
                let of_value = scores.get(j..).ok_or(Mismatch)?.iter().step_by(count.max(1));
                let heads = to.chunks_exact_mut(value_depth.max(1)).zip(value_heads.of(value));
                for ((to, value), weight) in heads.zip(of_value) {
                    add_scaled(to, *weight, value);
                }
                Ok(())
            })
        })
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.args().len() == AttentionShape::SIZE + AttentionF32Args::SIZE, Arguments);
    let Some(shape) = AttentionShape::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(step.has_scratch(4 * shape.scores(), 4), Range);
    shape.check(step, DType::F32)
}
