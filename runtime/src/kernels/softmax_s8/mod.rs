//! `softmax_s8` (in place or not) and `softmax_s8_s16`: softmax over vectors of `depth` codes.
//!
//! Input 0: rows of one or more vectors. Output: rows of as many elements, with scale 1/256 and zero point -128, or
//! 16-bit with 1/65536 and -32768. Constant 0: `exp(-d * scale * beta)` for the distances `d` from the largest code,
//! 31 fractional bits, without the trailing ones that count as zero. No scratch.
//!
//! Equals TFLite's fixed-point reference: its exponential depends on the distance alone, which has 256 values at
//! most, so the compiler tabulates it and the device needs none of its code.

mod fixed;
#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::SoftmaxS8;

use self::fixed::{divide_by_power, high_mul, reciprocal};
use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::s8::{arguments, each_in_place, require, s8};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct SoftmaxArgs {
        /// Elements of a vector.
        pub depth: u32,
    }
}

/// Integer bits of the sum of exponentials.
const SUM_BITS: i32 = 12;

/// `softmax_s8`.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let depth = SoftmaxArgs::read(call.given.args(), 0).ok_or(Mismatch)?.depth as usize;
    let table: &[i32] = call.given.constants(0)?;
    each_in_place(call, |_, row| {
        for vector in row.chunks_exact_mut(depth.max(1)) {
            let softmax = Softmax::new(table, vector);
            for code in vector {
                *code = softmax.probability(*code, 8) as i8;
            }
        }
        Ok(())
    })
}

/// `softmax_s8_s16`.
pub fn run_s16(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let depth = SoftmaxArgs::read(given.args(), 0).ok_or(Mismatch)?.depth as usize;
    let table: &[i32] = given.constants(0)?;
    let source = given.source(0)?;
    output.for_each(|slice, row, to| {
        let vectors = s8(source.only(slice, row)?).chunks_exact(depth.max(1));
        let to = to.as_chunks_mut::<2>().0.chunks_exact_mut(depth.max(1));
        for (vector, to) in vectors.zip(to) {
            let softmax = Softmax::new(table, vector);
            for (&code, to) in vector.iter().zip(to) {
                *to = (softmax.probability(code, 16) as i16).to_le_bytes();
            }
        }
        Ok(())
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.is(1, DType::I8), Shape);
    match check_input(step) {
        Ok(()) => step.unary(),
        Err(fault) => Err(fault),
    }
}

/// Accepts a step only if [`run_s16`] can serve it.
pub const fn check_s16(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.is(1, DType::I16) && !step.any_in_place(), Shape);
    match check_input(step) {
        Ok(()) => step.unary(),
        Err(fault) => Err(fault),
    }
}

const fn check_input(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(SoftmaxArgs, step);
    require!(step.is(0, DType::I8), Shape);
    require!(args.depth > 0 && step.row_len(0).is_multiple_of(args.depth as usize), Shape);
    let bytes = step.blob(0).len();
    require!(step.blobs() == 1 && bytes >= 4 && bytes <= 1024, Arguments);
    require!(bytes.is_multiple_of(4) && step.blob_is(0, bytes, 4), Arguments);
    Ok(())
}

/// One vector's largest code and reciprocal sum.
struct Softmax<'a> {
    table: &'a [i32],
    largest: i32,
    scale: i32,
    bits_over_unit: i32,
}

impl<'a> Softmax<'a> {
    #[inline(never)]
    fn new(table: &'a [i32], vector: &[i8]) -> Self {
        let largest = vector.iter().copied().max().unwrap_or(0).into();
        let sum = vector.iter().fold(0i32, |sum, &code| {
            sum.wrapping_add(divide_by_power(exponential(table, largest, code), SUM_BITS))
        });
        let (scale, bits_over_unit) = reciprocal(sum, SUM_BITS);
        Self { table, largest, scale, bits_over_unit }
    }

    /// Output code with `bits` bits. On microcontrollers not worth its bytes at each place that calls it: classes are few.
    #[cfg_attr(target_arch = "arm", inline(never))]
    #[cfg_attr(not(target_arch = "arm"), inline(always))]
    fn probability(&self, code: i8, bits: i32) -> i32 {
        let lowest = -1i32 << (bits - 1);
        let exponential = exponential(self.table, self.largest, code);
        let product = high_mul(self.scale, exponential);
        let unsigned = divide_by_power(product, self.bits_over_unit + 31 - bits);
        unsigned.wrapping_add(lowest).max(lowest).min(-1 - lowest)
    }
}

/// `exp(code - largest)`, 0 beyond the table.
#[inline]
fn exponential(table: &[i32], largest: i32, code: i8) -> i32 {
    let distance = largest.wrapping_sub(code.into()) as usize;
    table.get(distance).copied().unwrap_or(0)
}
