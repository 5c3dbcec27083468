//! `lut_s8_simd128`: `lut_s8`, 64 or eight codes at a time.
//!
//! Constant 0 is that of the portable kernel; no arguments, no scratch. Sixteen parts of the table are looked up in turn by
//! relaxed swizzles, where these count only low bits; `i8x16.swizzle`, which counts all, takes longer than loads. There what
//! helps is to read and write eight codes as one word.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::lut_s8;
use mote_runtime::kernels::s8::{s8, s8_mut};
use mote_runtime::plan::Fault;

use crate::vector::I8x16;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    lut_s8::check(step)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let table = given.constants::<u8>(0)?.first_chunk::<256>().ok_or(Mismatch)?;
    let differences = I8x16::looks_up_low_bits().then(|| differences(table));
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        if let Some(from) = input.map(|input| input.only(slice, row)).transpose()? {
            to.copy_from_slice(from.get(..to.len()).ok_or(Mismatch)?);
        }
        let mut codes = to;
        if let Some(differences) = &differences {
            let (whole, rest) = s8_mut(codes).as_chunks_mut::<64>();
            whole.iter_mut().for_each(|codes| vectors(differences, codes));
            codes = bytemuck::must_cast_slice_mut(rest);
        }
        let (words, rest) = codes.as_chunks_mut::<8>();
        words.iter_mut().for_each(|word| *word = looked_up(table, word));
        rest.iter_mut().for_each(|code| *code = table[usize::from(*code)]);
        Ok(())
    })
}

/// The table in sixteen parts, as what its parts differ by.
///
/// Of a code whose upper four bits are `h`, `code - 16 j` lies between 0 and 127 for the eight (or fewer) `j` up to `h`. So if
/// part `j` is looked up for all `j`, these count, and the bits in which they differ are to be part `h` of the table:
/// `d_j = t_j ^ t_(j-1) ^ d_(j-8)`. XNNPACK's tables for SSSE3 work like that.
fn differences(table: &[u8; 256]) -> [I8x16; 16] {
    let (parts, _) = s8(table).as_chunks::<16>();
    let mut differences = [I8x16::splat(0); 16];
    let (mut before, mut last) = (I8x16::splat(0), [I8x16::splat(0); 8]);
    for ((j, part), to) in parts.iter().enumerate().zip(&mut differences) {
        let part = I8x16::load(part);
        *to = part.except(before).except(last[j % 8]);
        (before, last[j % 8]) = (part, *to);
    }
    differences
}

/// Looks 64 codes up.
#[inline(always)]
fn vectors(differences: &[I8x16; 16], codes: &mut [i8; 64]) {
    let (fours, _) = codes.as_chunks_mut::<16>();
    let Some(fours) = fours.first_chunk_mut::<4>() else { return };
    let mut places = fours.each_ref().map(I8x16::load);
    let mut found = [I8x16::splat(0); 4];
    // The compiler must not know: it would make it anew in every step.
    let sixteen = I8x16::splat(core::hint::black_box(16));
    for (j, part) in differences.iter().enumerate() {
        for (found, places) in found.iter_mut().zip(&mut places) {
            *found = found.except(part.looked_up(*places));
            // Codes from 128 on become small first; what is small then must not become large again.
            *places = if j < 8 { places.minus(sixteen) } else { places.minus_limited(sixteen) };
        }
    }
    found.into_iter().zip(fours).for_each(|(found, to)| found.store(to));
}

#[inline(always)]
fn looked_up(table: &[u8; 256], codes: &[u8; 8]) -> [u8; 8] {
    let codes = u64::from_le_bytes(*codes);
    let one = |i: u32| u64::from(table[usize::from((codes >> (8 * i)) as u8)]) << (8 * i);
    (0..8).fold(0, |word, i| word | one(i)).to_le_bytes()
}
