//! `reduce_f32`: mean, sum or maximum.
//!
//! Each row of the window is seen as `[outer, len, inner]`, the output row as `[outer, inner]`: reduced are `len` and
//! the rows of the window.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::{ReduceF32, ReduceFunction};

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `reduce_f32`.
    pub struct ReduceF32Args {
        /// 0 mean, 1 sum, 2 maximum.
        pub function: u32,
        pub outer: u32,
        pub len: u32,
        pub inner: u32,
    }
}

/// Mean, the smallest code of [`ReduceF32Args::function`].
pub const MEAN: u32 = 0;
pub const SUM: u32 = 1;
pub const MAX: u32 = 2;

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = ReduceF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == ReduceF32Args::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.outer == 0 || args.len == 0 || args.inner == 0 || args.function > MAX {
        return Err(Fault::Arguments);
    }
    let made = args.outer as u64 * args.inner as u64;
    let given = made.saturating_mul(args.len as u64);
    let lengths = step.row_len(0) as u64 == given && step.row_len(1) as u64 == made;
    if !lengths || !step.is(0, DType::F32) || !step.is(1, DType::F32) || !step.within(0) {
        return Err(Fault::Shape);
    }
    Ok(())
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ReduceF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let (len, inner) = ((args.len as usize).max(1), (args.inner as usize).max(1));
    let block = len.checked_mul(inner).ok_or(Mismatch)?.max(1);
    output.for_each(|slice, row, dst| {
        let rows = source.window(slice, row);
        let dst: &mut [f32] = numbers_mut(dst)?;
        let max = args.function == MAX;
        dst.fill(if max { f32::NEG_INFINITY } else { 0.0 });
        for row in rows.in_turn() {
            let row: &[f32] = numbers(row.ok_or(Mismatch)?)?;
            for (dst, block) in dst.chunks_exact_mut(inner).zip(row.chunks_exact(block)) {
                match (max, dst) {
                    (false, [to]) => *to += sum(block),
                    (true, dst) => reduce(block, dst, |max, x| if x > max { x } else { max }),
                    (false, dst) => reduce(block, dst, |sum, x| sum + x),
                }
            }
        }
        if args.function == MEAN {
            let factor = 1.0 / rows.len().saturating_mul(len).max(1) as f32;
            dst.iter_mut().for_each(|sum| *sum *= factor);
        }
        Ok(())
    })
}

#[inline(always)]
fn reduce(block: &[f32], dst: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for vector in block.chunks_exact(dst.len().max(1)) {
        dst.iter_mut().zip(vector).for_each(|(to, x)| *to = f(*to, *x));
    }
}

/// The sum of all, in eight interleaved sums.
pub(crate) fn sum(numbers: &[f32]) -> f32 {
    let (vectors, tail) = numbers.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for vector in vectors {
        sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail.iter().sum::<f32>()
}
