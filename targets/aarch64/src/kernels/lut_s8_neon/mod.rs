//! `lut_s8_neon`: `lut_s8` by four look-ups in 64 bytes each. Works in place.
//!
//! Input 0, output and constant as the definition has them. No scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

pub use mote_runtime::kernels::lut_s8::check;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::s8::{s8, s8_mut};

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let table = given.constants::<i8>(0)?.first_chunk::<256>().ok_or(Mismatch)?;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let from = input.map(|source| source.only(slice, row)).transpose()?.map(s8);
        if from.is_some_and(|from| from.len() != to.len()) {
            return Err(Mismatch);
        }
        look_up(table, from, s8_mut(to));
        Ok(())
    })
}

/// One row; an input that is not given lies where the output goes, one that is given is as long.
fn look_up(table: &[i8; 256], from: Option<&[i8]>, to: &mut [i8]) {
    let whole = whole(table, from, to);
    for (i, to) in to.iter_mut().enumerate().skip(whole) {
        let code = from.and_then(|from| from.get(i).copied()).unwrap_or(*to);
        *to = table[usize::from(code as u8)];
    }
}

/// Does what whole vectors there are, and tells how many elements that was.
#[cfg(not(target_arch = "aarch64"))]
fn whole(_: &[i8; 256], _: Option<&[i8]>, _: &mut [i8]) -> usize {
    0
}

/// Does what whole vectors there are, and tells how many elements that was.
#[cfg(target_arch = "aarch64")]
fn whole(table: &[i8; 256], from: Option<&[i8]>, to: &mut [i8]) -> usize {
    use core::arch::aarch64::*;

    let whole = to.len() / 16 * 16;
    let to = to.as_mut_ptr();
    let from = from.map_or(to.cast_const(), <[i8]>::as_ptr);
    // SAFETY: both have `whole` elements; each is read before the output is written in its place.
    unsafe {
        let part = |part: usize| vld1q_s8_x4(table.as_ptr().add(64 * part));
        let parts = [part(0), part(1), part(2), part(3)];
        let mut at = 0;
        while at < whole {
            let index = vreinterpretq_u8_s8(vld1q_s8(from.add(at)));
            // What lies beside a table gives zero, or keeps what the others gave.
            let mut codes = vqtbl4q_s8(parts[0], index);
            codes = vqtbx4q_s8(codes, parts[1], veorq_u8(index, vdupq_n_u8(64)));
            codes = vqtbx4q_s8(codes, parts[2], veorq_u8(index, vdupq_n_u8(128)));
            codes = vqtbx4q_s8(codes, parts[3], veorq_u8(index, vdupq_n_u8(192)));
            vst1q_s8(to.add(at), codes);
            at += 16;
        }
    }
    whole
}
