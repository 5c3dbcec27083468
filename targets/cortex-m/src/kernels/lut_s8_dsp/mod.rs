//! `lut_s8_dsp`: `lut_s8`, four codes at a time.
//!
//! Input 0 and output: rows of equal length, in place or not. Constant 0: 256 codes; entry `x as u8` belongs to code
//! `x`. No scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
pub use mote_runtime::kernels::lut_s8::check;

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    rows(call, look_up)
}

/// Calls `look_up(table, from, to)` for each row; `from` is `None` where the row is in the output's place.
#[inline(always)]
pub fn rows(call: Call<'_>, look_up: impl Fn(&[u8; 256], Option<&[u8]>, &mut [u8])) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let table = given.blob(0).first_chunk().ok_or(Mismatch)?;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let from = input.map(|source| source.only(slice, row)).transpose()?;
        if from.is_some_and(|from| from.len() != to.len()) {
            return Err(Mismatch);
        }
        look_up(table, from, to);
        Ok(())
    })
}

/// Looks up code by code. What the loops compute, and what is left behind whole words.
#[cfg_attr(mote_mve, allow(dead_code))]
pub fn plain(table: &[u8; 256], from: Option<&[u8]>, to: &mut [u8]) {
    match from {
        Some(from) => to.iter_mut().zip(from).for_each(|(to, code)| *to = table[usize::from(*code)]),
        None => to.iter_mut().for_each(|code| *code = table[usize::from(*code)]),
    }
}

fn look_up(table: &[u8; 256], from: Option<&[u8]>, to: &mut [u8]) {
    let words = if cfg!(mote_dsp) { to.len() / 4 } else { 0 };
    #[cfg(mote_dsp)]
    if words > 0 {
        let start = to.as_mut_ptr();
        // SAFETY: both rows have at least so many words; each is read before it is written in its place. Indices are
        // bytes, and the table has 256 of them. `LDR` and `STR` take words at any address.
        unsafe {
            core::arch::asm!(
                "2:",
                "ldr r0, [r4], #4",
                "subs lr, lr, #1",
                "uxtb r1, r0",
                "uxtb r2, r0, ror #8",
                "uxtb r3, r0, ror #16",
                "lsr r0, r0, #24",
                "ldrb r1, [r5, r1]",
                "ldrb r2, [r5, r2]",
                "ldrb r3, [r5, r3]",
                "ldrb r0, [r5, r0]",
                "orr r1, r1, r2, lsl #8",
                "orr r3, r3, r0, lsl #8",
                "orr r1, r1, r3, lsl #16",
                "str r1, [r12], #4",
                "bne 2b",
                out("r0") _, out("r1") _, out("r2") _, out("r3") _,
                inlateout("r4") from.map_or(start.cast_const(), <[u8]>::as_ptr) => _,
                in("r5") table.as_ptr(),
                inlateout("r12") start => _,
                inlateout("lr") words => _,
                options(nostack),
            );
        }
    }
    let rest = from.map(|from| from.get(4 * words..).unwrap_or_default());
    plain(table, rest, to.get_mut(4 * words..).unwrap_or_default());
}
