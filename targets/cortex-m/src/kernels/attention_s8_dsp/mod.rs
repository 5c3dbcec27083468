//! `attention_s8_dsp`: `attention_s8` of heads whose vectors come in fours. Operands, arguments, constants and scratch as
//! of the portable kernel.
//!
//! Scores take two instructions for the multiplications of four elements, which need six to be fetched and unpacked; four
//! weighted sums stay in registers over all keys. Probabilities and codes are made as the definition makes them.

mod loops;
#[cfg(feature = "pack")]
mod pack;
#[cfg(mote_mve)]
pub(super) use self::loops::complete;
#[cfg(not(mote_mve))]
pub(super) use self::loops::plain;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::attention::{AttentionShape, Bias, Heads};
use mote_runtime::kernels::attention_s8::{self, AttentionS8Args, HeadsOfQuery};
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::plan::Fault;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = attention_s8::check(step) {
        return Err(fault);
    }
    let Some(shape) = AttentionShape::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(fits(&shape), Arguments);
    Ok(())
}

const fn fits(shape: &AttentionShape) -> bool {
    shape.depth.is_multiple_of(4) && shape.value_depth.is_multiple_of(4)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    attend::<loops::Words>(call)
}

/// The inner loops. All that they read and write is there, and no length is zero.
pub(super) trait Loops {
    /// `scores[j] = sum_d (query[d] - zero) * keys[j * distance + d]`.
    fn scores(query: &[i8], zero: i32, keys: &[i8], distance: usize, scores: &mut [i32]);

    /// `sums[c] += sum_j weights[j] * values[j * distance + c]`.
    fn weigh(weights: &[i32], values: &[i8], distance: usize, sums: &mut [i32]);
}

/// The kernel around its loops.
#[inline(always)]
pub(super) fn attend<L: Loops>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let shape = AttentionShape::read(given.args(), 0).ok_or(Mismatch)?;
    let args = AttentionS8Args::read(given.args(), AttentionShape::SIZE).ok_or(Mismatch)?;
    let of_query = HeadsOfQuery::new(&shape, args);
    let (queries, keys, values) = (given.source(0)?, given.source(1)?, given.source(2)?);
    let (query_heads, key_heads, value_heads) = (shape.queries(), shape.key_heads(), shape.values());
    let (count, depth) = ((shape.keys as usize).max(1), value_heads.depth.max(1));
    let (heads, length) = (shape.heads as usize, (shape.output_length() as usize).max(1));
    let numbers: &mut [i32] = bytemuck::try_cast_slice_mut(scratch).map_err(|_| Mismatch)?;
    let (scores, rest) = numbers.split_at_mut_checked(shape.scores() as usize).ok_or(Mismatch)?;
    let sums = rest.get_mut(..length).ok_or(Mismatch)?;
    let per_row = output.row_bytes() / length;
    let bias = Bias::new(&given, &shape, &output, per_row)?;
    output.for_each(|slice, row, to| {
        let mut outputs = s8_mut(to).chunks_exact_mut(length.max(1));
        query_heads.each(queries.window(slice, row), |i, query: &[i8]| {
            let to = outputs.next().ok_or(Mismatch)?;
            by_heads(keys.window(slice, row), heads, &key_heads, |head, first, keys, n| {
                let at = query_heads.offset + head * query_heads.stride;
                let query = query.get(at..).and_then(|query| query.get(..query_heads.depth));
                let scores = scores.get_mut(head * count + first..).and_then(|scores| scores.get_mut(..n));
                let (Some(query), Some(scores)) = (query, scores) else { return Err(Mismatch) };
                L::scores(query, args.zero_query, keys, key_heads.length, scores);
                Ok(())
            })?;
            of_query.weigh(bias.of(slice, row, i), scores, sums);
            by_heads(values.window(slice, row), heads, &value_heads, |head, first, values, n| {
                let weights = scores.get(head * count + first..).and_then(|weights| weights.get(..n));
                let sums = sums.get_mut(head * depth..).and_then(|sums| sums.get_mut(..depth));
                let (Some(weights), Some(sums)) = (weights, sums) else { return Err(Mismatch) };
                L::weigh(weights, values, value_heads.length, sums);
                Ok(())
            })?;
            of_query.codes(scores, sums, to);
            Ok(())
        })
    })
}

/// Calls `f(head, first, vectors, n)` for each of `count` heads of each row of a window: `n` vectors, the first of which is number
/// `first` of the window; `vectors` begins with that head, and holds it of all of them.
#[inline(always)]
fn by_heads<'a>(
    rows: Rows<'a>,
    count: usize,
    heads: &Heads,
    mut f: impl FnMut(usize, usize, &'a [i8], usize) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let (length, stride) = (heads.length.max(1), heads.stride);
    let mut first = 0;
    for row in rows.in_turn() {
        let row = s8(row.ok_or(Mismatch)?);
        let n = row.len() / length;
        let reach = n.checked_sub(1).ok_or(Mismatch)? * length + heads.depth;
        for head in 0..count {
            let vectors = row.get(heads.offset + head * stride..).filter(|vectors| vectors.len() >= reach);
            f(head, first, vectors.ok_or(Mismatch)?, n)?;
        }
        first += n;
    }
    Ok(())
}
