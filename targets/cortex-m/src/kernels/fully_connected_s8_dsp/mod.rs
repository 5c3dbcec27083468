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
use mote_runtime::kernels::s8::{require, s8_mut};
use mote_runtime::kernels::target_s8::DenseArgs;
use mote_runtime::plan::Fault;

use super::block::{Block, Dense, Divided, Layer, Weights, codes, dense};
use super::expand::steps;
use super::instructions::{smlad, sxtb16, sxtb16_ror8};
use super::stage::Stage;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DenseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let (inputs, outputs) = (args.inputs as usize, args.outputs as usize);
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
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    (): Dense<ROUNDING>,
{
    let Call { given, mut output, .. } = call;
    let args = DenseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max };
    let layer =
        Layer { weights: given.constants(0)?, blocks: given.constants(1)?, zero_point: args.zero_point };
    output.for_each(|slice, row, to| {
        vector::<ROUNDING>(&layer, source.window(slice, row), args.inputs as usize, s8_mut(to))?;
        stage.clamp(s8_mut(to));
        Ok(())
    })
}

fn vector<const ROUNDING: u8>(
    layer: &Layer<'_>,
    rows: Rows<'_>,
    inputs: usize,
    to: &mut [i8],
) -> Result<(), Mismatch>
where
    (): Dense<ROUNDING>,
{
    let steps = steps(inputs);
    if rows.len() == 1
        && let (words, []) = rows.called(0).ok_or(Mismatch)?.as_chunks()
    {
        let divided = Divided::new(layer, steps, to.len()).ok_or(Mismatch)?;
        return dense::<ROUNDING>(words, &divided, to).ok_or(Mismatch);
    }
    let weights = layer.weights.chunks_exact(steps.max(1));
    for ((to, weights), block) in to.chunks_mut(4).zip(weights).zip(layer.blocks) {
        block_by_step::<ROUNDING>(rows, weights, block, layer.zero_point, to)?;
    }
    Ok(())
}

/// A block of inputs that do not lie in one row of whole words.
#[inline(never)]
fn block_by_step<const ROUNDING: u8>(
    rows: Rows<'_>,
    weights: &[Weights],
    block: &Block,
    zero_point: i32,
    to: &mut [i8],
) -> Result<(), Mismatch> {
    let &[[mut a, mut b, m0, p0, m1, p1], [mut c, mut d, m2, p2, m3, p3]] = block;
    let mut weights = weights.iter();
    for k in 0..rows.len() {
        for bytes in rows.called(k).ok_or(Mismatch)?.chunks(4) {
            // Two bytes are one step, others are those that `SXTB16` gives.
            let word = match *bytes {
                [a, b] => u32::from(a) | u32::from(b) << 16,
                _ => bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
            };
            let x = [sxtb16(word), sxtb16_ror8(word)];
            for (&x, &[low, high]) in x.iter().take(steps(bytes.len())).zip(&mut weights) {
                a = smlad(x, low, a);
                b = smlad(x, sxtb16(low), b);
                c = smlad(x, high, c);
                d = smlad(x, sxtb16(high), d);
            }
        }
    }
    let [first, second] = codes::<ROUNDING>([a, b], [[m0, p0], [m1, p1]], zero_point);
    let [third, fourth] = codes::<ROUNDING>([c, d], [[m2, p2], [m3, p3]], zero_point);
    to.iter_mut().zip([first, second, third, fourth]).for_each(|(to, code)| *to = code);
    Ok(())
}
