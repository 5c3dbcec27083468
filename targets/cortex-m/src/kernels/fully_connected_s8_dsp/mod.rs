//! `fully_connected_s8_dsp`: `fully_connected_s8` for one vector at a time, whose accumulators fit 24 bits.
//!
//! Input 0: one row, or rows of a multiple of four bytes, which together are the vector. Constants: as `conv_s8_dsp`
//! has them for a kernel of one tap. No scratch: inputs are unpacked as they are multiplied, since each weight is used
//! once.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_code, require, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::block::{Block, Weights, dense, one};
use super::expand::{expand, steps};
use super::stage::Stage;

records! {
    /// Arguments.
    pub struct DenseArgs {
        pub inputs: u32,
        pub outputs: u32,
        pub input_zero_point: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        /// As in `stage`.
        pub rounding: u8,
        pub reserved: u8,
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(DenseArgs, step);
    require!(step.inputs() == 1 && step.blobs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(Stage::is_sound(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.input_zero_point), Arguments);
    let (inputs, outputs) = (args.inputs as usize, args.outputs as usize);
    require!(inputs > 0 && outputs > 0 && inputs < 1 << 24 && outputs < 1 << 24, Arguments);
    let (row, window) = (step.row_len(0), step.window(0));
    require!(row as u64 * window as u64 == inputs as u64 && step.row_len(1) == outputs, Shape);
    require!((window == 1 || row.is_multiple_of(4)) && step.within(0), Shape);
    let blocks = outputs.div_ceil(4);
    let weights = steps(inputs) as u64 * blocks as u64 * size_of::<Weights>() as u64;
    require!(weights < 1 << 28 && step.blob_is(0, weights as usize, 4), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = DenseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let layer = Dense {
        steps: steps(args.inputs as usize),
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding },
        weights: given.constants(0)?,
        blocks: given.constants(1)?,
    };
    output.for_each(|slice, row, to| layer.vector(source.window(slice, row), s8_mut(to)))
}

struct Dense<'a> {
    /// Steps of a vector.
    steps: usize,
    stage: Stage,
    weights: &'a [Weights],
    blocks: &'a [Block],
}

impl Dense<'_> {
    fn vector(&self, rows: Rows<'_>, to: &mut [i8]) -> Result<(), Mismatch> {
        let blocks = self.weights.chunks_exact(self.steps.max(1)).zip(self.blocks);
        for (to, (mut weights, &[a, b, c, d, ref scales @ ..])) in to.chunks_mut(4).zip(blocks) {
            let mut sums = [a, b, c, d];
            for k in 0..rows.len() {
                let row = rows.get(k).ok_or(Mismatch)?;
                let (whole, rest) = row.as_chunks::<4>();
                let (now, next) = weights.split_at_checked(2 * whole.len()).ok_or(Mismatch)?;
                sums = dense(whole, now.as_chunks::<2>().0, sums);
                weights = next;
                if !rest.is_empty() {
                    let mut x = [[0u32; 1]; 2];
                    let x = x.get_mut(..steps(rest.len())).ok_or(Mismatch)?;
                    expand(x, [rest]);
                    [sums] = one(x, weights, sums);
                }
            }
            let [codes] = self.stage.codes([sums], scales);
            to.iter_mut().zip(codes).for_each(|(to, code)| *to = code);
        }
        Ok(())
    }
}
