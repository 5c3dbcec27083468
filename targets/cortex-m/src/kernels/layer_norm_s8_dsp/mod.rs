//! `layer_norm_s8_dsp`: `layer_norm_s8` with 32-bit numbers. Works in place.
//!
//! Input 0 and output: rows of one or more vectors. Constant 0: per channel `[scale, offset]`. No scratch.
//!
//! With `n`, `S`, `r`, `k` of the definition and `s = 15 + k`: the deviation `(n*x - S) * 2^4` is doubled until `s` is at
//! least 33, which leaves it below 2^31, for `|n*x - S| <= sqrt(n * V / 2^8)` and `V < 2^(2k + 2)`. Then
//! ```text
//! z = (high(deviation * r) + 2^(s - 33)) >> (s - 32)                            SMMLA, shift
//! y = (high(z * 2^(32 - shift) * scale + 2^31) + offset) >> 16, saturated       SMMLAR, SSAT
//! ```
//! where `offset` includes the last rounding and the zero point. The packer proves that nothing leaves 32 bits:
//! `|z| <= 2^16 * sqrt(n)`.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{constants, pack};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::layer_norm_s8::{self, LayerNormArgs, inverse_sqrt};
use mote_runtime::kernels::s8::{arguments, require, s8, s8_mut};
use mote_runtime::plan::Fault;

use super::stage::Stage;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = layer_norm_s8::check(step) {
        return Err(fault);
    }
    let args = arguments!(LayerNormArgs, step);
    require!(args.shift > 0, Arguments);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    vectors(call, plain::sums, plain::codes)
}

/// What a vector's elements are computed with.
#[derive(Clone, Copy)]
pub struct Vector {
    /// The deviation of element `x` is `n * x - sum`.
    pub n: i32,
    pub sum: i32,
    pub root: i32,
    /// `z = (high(deviation * root) + half) >> right`, then `z << left`.
    pub half: i32,
    pub right: u32,
    pub left: u32,
}

/// The kernel around its loops: `sums` gives the sum of the elements and of their squares, `codes` makes codes in their
/// place.
#[inline(always)]
pub(super) fn vectors(
    call: Call<'_>,
    sums: impl Fn(&[i8]) -> [i32; 2],
    codes: impl Fn(&Vector, &[[i32; 2]], &mut [i8]),
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = LayerNormArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let channels: &[[i32; 2]] = given.constants(0)?;
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max };
    let epsilon = u64::from(args.epsilon_low) | u64::from(args.epsilon_high) << 32;
    let depth = args.depth as usize;
    if channels.len() != depth {
        return Err(Mismatch);
    }
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let to = s8_mut(to);
        if let Some(source) = input {
            let from = s8(source.only(slice, row)?);
            if from.len() != to.len() {
                return Err(Mismatch);
            }
            to.copy_from_slice(from);
        }
        for vector in to.chunks_exact_mut(depth.max(1)) {
            let [sum, squares] = sums(vector);
            let n = depth as i64;
            let variance = n.wrapping_mul(squares.into()).wrapping_sub(i64::from(sum) * i64::from(sum));
            let (root, k) = inverse_sqrt(((variance as u64) << 8).wrapping_add(epsilon));
            // A root of 2^31 is one of 2^30 of twice the deviation.
            let large = root >> 31;
            let up = 18u32.saturating_sub(k);
            let doubled = (4 + up + large) & 31;
            let right = 15u32.wrapping_add(k).wrapping_add(up).wrapping_sub(32) & 31;
            let vector_of = Vector {
                n: (depth as i32).wrapping_shl(doubled),
                sum: sum.wrapping_shl(doubled),
                root: (root >> large) as i32,
                half: 1i32.wrapping_shl(right.wrapping_sub(1)),
                right,
                left: 32u32.wrapping_sub(args.shift) & 31,
            };
            codes(&vector_of, channels, vector);
        }
        stage.clamp(to);
        Ok(())
    })
}

/// The loops, in instructions that every core with the DSP extension has.
pub mod plain {
    use super::Vector;
    use crate::kernels::instructions::{smlad, smmla, smmlar, ssat8, sxtb16, sxtb16_ror8};

    #[inline(always)]
    pub fn sums(vector: &[i8]) -> [i32; 2] {
        let (words, rest) = vector.as_chunks::<4>();
        let (mut sum, mut squares) = (0i32, 0i32);
        for word in words {
            let word = u32::from_le_bytes(word.map(|x| x as u8));
            let (even, odd) = (sxtb16(word), sxtb16_ror8(word));
            sum = smlad(odd, 0x1_0001, smlad(even, 0x1_0001, sum));
            squares = smlad(odd, odd, smlad(even, even, squares));
        }
        for &x in rest {
            sum = sum.wrapping_add(x.into());
            squares = squares.wrapping_add(i32::from(x) * i32::from(x));
        }
        [sum, squares]
    }

    #[inline(always)]
    pub fn codes(with: &Vector, channels: &[[i32; 2]], vector: &mut [i8]) {
        for (code, &[scale, offset]) in vector.iter_mut().zip(channels) {
            let deviation = with.n.wrapping_mul((*code).into()).wrapping_sub(with.sum);
            let z = smmla(deviation, with.root, with.half) >> (with.right & 31);
            *code = ssat8(smmlar(z << (with.left & 31), scale, offset) >> 16) as i8;
        }
    }
}
