//! `attention_s8`: several heads of `softmax_j(scale * q[i] . k[j] + bias[h, i, j]) * v[j]` in integers; operands as in
//! [`crate::kernels::attention`]. Constant 0, if there: the bias in units of the scores.
//!
//! Scores are exact: `s[j] = sum_d (q[i, d] - zero_q) * k[j, d] + bias` (what the zero point of the keys adds is the same
//! for all `j`, and a softmax does not see it). The distance from the largest one, `max - s[j]`, becomes a power of two
//! with eight fractional bits, and that a probability with `bits` bits, of which none is normalised: the weighted sum of
//! values, `sum_j p[j] * (v[j] - zero_v)`, is divided by `sum_j p[j]` in its requantization. No range of scores has to be
//! known, and no large score costs a small one its precision.
//!
//! Scratch: four bytes for each head and key, and for each output element.

#[cfg(feature = "pack")]
mod pack;
mod softmax;
#[cfg(feature = "pack")]
pub use pack::AttentionS8;

use self::softmax::{over, probabilities};
use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::attention::{AttentionShape, Bias};
use crate::kernels::numbers::numbers_mut;
use crate::kernels::s8::{Stage, is_code, is_stage, require, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments, behind [`AttentionShape`].
    pub struct AttentionS8Args {
        pub zero_query: i32,
        pub zero_value: i32,
        /// From distances of scores to powers of two with eight fractional bits:
        /// `((distance << left) * distance_multiplier) >> (32 + right)`, rounded half up.
        pub distance_multiplier: u32,
        /// From this distance on a probability is zero.
        pub far: u32,
        pub left: u8,
        pub right: u8,
        /// Bits of the largest probability.
        pub bits: u8,
        pub rounding: u8,
        /// `s_value / s_out`.
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

/// What the heads of a query share, before and behind their sums: kernels of targets differ in the sums only.
pub struct HeadsOfQuery {
    args: AttentionS8Args,
    keys: usize,
    depth: usize,
}

impl HeadsOfQuery {
    #[inline(always)]
    pub fn new(shape: &AttentionShape, args: AttentionS8Args) -> Self {
        Self { args, keys: shape.keys as usize, depth: shape.value_depth as usize }
    }

    /// Makes the scores of a query's heads probabilities, the query's bias added before, and starts the sums of values.
    #[inline(always)]
    pub fn weigh(&self, bias: &[i32], scores: &mut [i32], sums: &mut [i32]) {
        scores.iter_mut().zip(bias).for_each(|(score, bias)| *score = score.wrapping_add(*bias));
        // `max(1)` here: what a struct or a closure holds, the compiler does not know not to be zero.
        let of_heads =
            scores.chunks_exact_mut(self.keys.max(1)).zip(sums.chunks_exact_mut(self.depth.max(1)));
        for (scores, sums) in of_heads {
            let sum = probabilities(scores, &self.args);
            sums.fill(sum.wrapping_mul(self.args.zero_value).wrapping_neg());
        }
    }

    /// The codes of a query's sums, which its probabilities have weighed.
    #[inline(always)]
    pub fn codes(&self, probabilities: &[i32], sums: &[i32], to: &mut [i8]) {
        let AttentionS8Args { zero_point, min, max, rounding, .. } = self.args;
        let stage = Stage { zero_point, min, max, rounding };
        let of_heads = to.chunks_exact_mut(self.depth.max(1)).zip(sums.chunks_exact(self.depth.max(1)));
        for ((to, sums), probabilities) in of_heads.zip(probabilities.chunks_exact(self.keys.max(1))) {
            let sum = probabilities.iter().fold(0i32, |sum, p| sum.wrapping_add(*p));
            let (multiplier, shift) = over(self.args.multiplier, self.args.shift, sum);
            for (to, &sum) in to.iter_mut().zip(sums) {
                *to = stage.code(sum, multiplier, shift);
            }
        }
    }
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let shape = AttentionShape::read(given.args(), 0).ok_or(Mismatch)?;
    let args = AttentionS8Args::read(given.args(), AttentionShape::SIZE).ok_or(Mismatch)?;
    let heads = HeadsOfQuery::new(&shape, args);
    let (queries, keys, values) = (given.source(0)?, given.source(1)?, given.source(2)?);
    let (query_heads, key_heads, value_heads) = (shape.queries(), shape.key_heads(), shape.values());
    let (count, value_depth) = ((shape.keys as usize).max(1), (shape.value_depth as usize).max(1));
    let length = (shape.output_length() as usize).max(1);
    let (scores, rest) =
        numbers_mut::<i32>(scratch)?.split_at_mut_checked(shape.scores() as usize).ok_or(Mismatch)?;
    let sums = rest.get_mut(..length).ok_or(Mismatch)?;
    let per_row = output.row_bytes() / length;
    let bias = Bias::new(&given, &shape, &output, per_row)?;
    // `max(1)` once more where it is used: what a closure holds, the compiler no longer knows not to be zero.
    output.for_each(|slice, row, to| {
        let mut outputs = s8_mut(to).chunks_exact_mut(length.max(1));
        query_heads.each(queries.window(slice, row), |i, query: &[i8]| {
            let to = outputs.next().ok_or(Mismatch)?;
            key_heads.each(keys.window(slice, row), |j, key: &[i8]| {
                let of_key = scores.get_mut(j..).ok_or(Mismatch)?.iter_mut().step_by(count.max(1));
                for ((score, query), key) in of_key.zip(query_heads.of(query)).zip(key_heads.of(key)) {
                    *score = centred_dot(query, args.zero_query, key);
                }
                Ok(())
            })?;
            heads.weigh(bias.of(slice, row, i), scores, sums);
            value_heads.each(values.window(slice, row), |j, value: &[i8]| {
                let of_value = scores.get(j..).ok_or(Mismatch)?.iter().step_by(count.max(1));
                let of_heads = sums.chunks_exact_mut(value_depth.max(1)).zip(value_heads.of(value));
                for ((sums, value), &weight) in of_heads.zip(of_value) {
                    for (sum, &x) in sums.iter_mut().zip(value) {
                        *sum = sum.wrapping_add(weight.wrapping_mul(x.into()));
                    }
                }
                Ok(())
            })?;
            heads.codes(scores, sums, to);
            Ok(())
        })
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.args().len() == AttentionShape::SIZE + AttentionS8Args::SIZE, Arguments);
    let Some(shape) = AttentionShape::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let Some(args) = AttentionS8Args::read(step.args(), AttentionShape::SIZE) else {
        return Err(Fault::Arguments);
    };
    require!(is_code(args.zero_query) && is_code(args.zero_value), Arguments);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.bits > 0 && args.bits <= 15 && args.left < 32 && args.right < 32, Arguments);
    // Sums of probabilities times differences of codes fit 32 bits.
    require!((shape.keys as u64) << args.bits <= 1 << 23, Arguments);
    require!(args.multiplier >= 0 && args.shift >= -31 && args.shift <= 30, Arguments);
    require!(step.has_scratch(4 * (shape.scores() + shape.output_length()), 4), Range);
    shape.check(step, DType::I8)
}

/// `sum_d (query[d] - zero) * key[d]`.
#[inline(always)]
fn centred_dot(query: &[i8], zero: i32, key: &[i8]) -> i32 {
    query.iter().zip(key).fold(0, |sum: i32, (&q, &k)| {
        sum.wrapping_add(i32::from(q).wrapping_sub(zero).wrapping_mul(k.into()))
    })
}
