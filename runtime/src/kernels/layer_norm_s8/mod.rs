//! `layer_norm_s8`: each vector of `depth` codes is brought to mean 0 and deviation 1, then scaled and moved per
//! channel. Works in place.
//!
//! Input 0 and output: rows of one or more vectors. Constant 0: per channel `[scale, offset]`. No scratch, no floats.
//!
//! Definition, for a vector of `n` codes `x` (its scale and zero point drop out but for epsilon):
//! `S = sum x`, `Q = sum x^2`, `V = (n*Q - S^2) * 2^8 + E` with `E = n^2 * epsilon / s_in^2 * 2^8`;
//! `r = floor(2^62 / floor(sqrt(V * 2^(62 - 2*k))))`, about `2^(31 + k) / sqrt(V)`, with `k` such that the root has
//! 32 bits;
//! `z = round((n*x - S) * 2^4 * r / 2^(15 + k))`, 16 fractional bits;
//! `y = zero_point + round((round(z * scale / 2^shift) + offset) / 2^16)`, halves up.
//! `scale` is `gamma / s_out * 2^shift`, `offset` is `beta / s_out * 2^16`. Before the last rounding the error against
//! real numbers is below 2^-9 of an output code (for `|gamma| / s_out` up to 64; it grows with it beyond).

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::LayerNormS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::s8::{Stage, arguments, each_in_place, is_stage, require};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct LayerNormArgs {
        /// Elements of a vector.
        pub depth: u32,
        /// `E` of the definition.
        pub epsilon_low: u32,
        pub epsilon_high: u32,
        pub shift: u32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved: u16,
    }
}

/// Longest vector: `V` stays within 64 bits.
pub const MAX_DEPTH: u32 = 1 << 16;

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = LayerNormArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let channels: &[[i32; 2]] = call.given.constants(0)?;
    let stage = Stage { zero_point: 0, min: args.min, max: args.max, rounding: 0 };
    let epsilon = u64::from(args.epsilon_low) | u64::from(args.epsilon_high) << 32;
    let depth = args.depth as usize;
    each_in_place(call, |_, row| {
        for vector in row.chunks_exact_mut(depth.max(1)) {
            let (mut sum, mut squares) = (0i32, 0i32);
            for &code in vector.iter() {
                let x = i32::from(code);
                sum = sum.wrapping_add(x);
                squares = squares.wrapping_add(x * x);
            }
            let n = depth as i64;
            let variance = n.wrapping_mul(squares.into()).wrapping_sub(i64::from(sum) * i64::from(sum));
            let (root, k) = inverse_sqrt(((variance as u64) << 8).wrapping_add(epsilon));
            for (code, &[scale, offset]) in vector.iter_mut().zip(channels) {
                let deviation = (n as i32).wrapping_mul((*code).into()).wrapping_sub(sum);
                let z = round_shift((i64::from(deviation) << 4).wrapping_mul(root.into()), 15 + k);
                let scaled = round_shift(z.wrapping_mul(scale.into()), args.shift);
                let y = round_shift(scaled.wrapping_add(offset.into()), 16);
                let y = y.clamp(-(1 << 20), 1 << 20) as i32;
                *code = stage.clamp(y.wrapping_add(args.zero_point));
            }
        }
        Ok(())
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(LayerNormArgs, step);
    require!(is_stage(args.zero_point, args.min, args.max, 0), Arguments);
    require!(args.depth > 0 && args.depth <= MAX_DEPTH && args.shift < 32, Arguments);
    require!(args.epsilon_high < 1 << 24, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    require!(step.row_len(1).is_multiple_of(args.depth as usize), Shape);
    require!(step.blobs() == 1 && step.blob_is(0, args.depth as usize * 8, 4), Shape);
    step.unary()
}

/// `x / 2^shift`, rounded to nearest, halves up.
#[inline(always)]
fn round_shift(x: i64, shift: u32) -> i64 {
    let shift = shift & 63;
    x.wrapping_add((1i64 << shift) >> 1) >> shift
}

/// `r` and `k` of the definition; `v` of 0 counts as 1.
pub fn inverse_sqrt(v: u64) -> (u32, u32) {
    // m = v * 2^(62 - 2 * k), in [2^62, 2^64): its root has 32 bits.
    let up = v.max(1).leading_zeros() & !1;
    let root = (v.max(1) << up).isqrt();
    ((1u64 << 62).checked_div(root).unwrap_or(0) as u32, 31 - up / 2)
}
