//! `lut_s8_simd128`: `lut_s8`, eight codes at a time.
//!
//! Constant 0 is that of the portable kernel; no arguments, no scratch. Sixteen `i8x16.swizzle` of all parts of the table take
//! longer than sixteen loads; what helps is to read and write eight codes as one word.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::lut_s8;
use mote_runtime::plan::Fault;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    lut_s8::check(step)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let table = given.constants::<u8>(0)?.first_chunk::<256>().ok_or(Mismatch)?;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let from = input.map(|input| input.only(slice, row)).transpose()?;
        let (words, rest) = to.as_chunks_mut::<8>();
        if let Some(from) = from {
            let (from, from_rest) = from.as_chunks::<8>();
            words.iter_mut().zip(from).for_each(|(to, from)| *to = looked_up(table, from));
            rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = table[usize::from(*from)]);
            return Ok(());
        }
        words.iter_mut().for_each(|word| *word = looked_up(table, word));
        rest.iter_mut().for_each(|code| *code = table[usize::from(*code)]);
        Ok(())
    })
}

#[inline(always)]
fn looked_up(table: &[u8; 256], codes: &[u8; 8]) -> [u8; 8] {
    let codes = u64::from_le_bytes(*codes);
    let one = |i: u32| u64::from(table[usize::from((codes >> (8 * i)) as u8)]) << (8 * i);
    (0..8).fold(0, |word, i| word | one(i)).to_le_bytes()
}
