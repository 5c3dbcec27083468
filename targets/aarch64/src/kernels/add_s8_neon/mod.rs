//! `add_s8_neon`: `add_s8` of rows as long as the output's.
//!
//! Inputs 0 and 1 and output: rows. Works in place of either input. No constants, no scratch.
//!
//! The operand with the larger scale has the factor 1/2, so it is shifted only. The other one is rescaled as sums are
//! (`stage`); a factor too large for that is halved once or twice, and its operand doubled as often.

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_code, require, s8, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::stage::{DOUBLE, SINGLE, Stage};

records! {
    /// Arguments.
    pub struct AddArgs {
        /// Index of the operand that is shifted only.
        pub larger: u8,
        pub rounding: u8,
        pub min: i8,
        pub max: i8,
        pub zero_larger: i32,
        pub zero_smaller: i32,
        /// Bits by which the smaller operand is shifted left first, beside [`LEFT_SHIFT`].
        pub bits: i32,
        pub multiplier_smaller: i32,
        pub shift_smaller: i32,
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
    }
}

/// Bits by which the definition shifts both operands left first.
const LEFT_SHIFT: i32 = 20;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(AddArgs, step);
    require!(step.inputs() == 2, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    require!(Stage::is_sound(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(args.larger <= 1 && args.bits >= 0 && args.bits <= 2, Arguments);
    require!(is_code(args.zero_larger) && is_code(args.zero_smaller), Arguments);
    require!(args.shift_smaller < 0 && args.shift_smaller > -32, Arguments);
    require!(args.shift < 0 && args.shift > -32, Arguments);
    require!(step.row_len(0) == step.row_len(2) && step.row_len(1) == step.row_len(2), Shape);
    require!(step.elementwise(0) && step.elementwise(1), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = AddArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let larger = given.input(args.larger.into())?;
    let smaller = given.input((args.larger ^ 1).into())?;
    output.for_each(|slice, row, to| {
        let larger = larger.map(|source| source.only(slice, row)).transpose()?.map(s8);
        let smaller = smaller.map(|source| source.only(slice, row)).transpose()?.map(s8);
        let alike = [larger, smaller].iter().flatten().all(|row| row.len() == to.len());
        if !alike {
            return Err(Mismatch);
        }
        #[cfg(target_arch = "aarch64")]
        arm::row(&args, larger, smaller, s8_mut(to));
        #[cfg(not(target_arch = "aarch64"))]
        plain(&args, larger, smaller, s8_mut(to), 0);
        Ok(())
    })
}

/// The elements of a row from `first` on; an operand that is not given lies where the sum goes, one that is given is as
/// long.
fn plain(args: &AddArgs, larger: Option<&[i8]>, smaller: Option<&[i8]>, to: &mut [i8], first: usize) {
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding };
    // Negative results of the smaller operand are not clamped, whatever becomes of the sum.
    let first_rounding = if args.rounding == SINGLE { SINGLE } else { DOUBLE };
    for (i, to) in to.iter_mut().enumerate().skip(first) {
        let operand = |row: Option<&[i8]>| i32::from(row.and_then(|row| row.get(i).copied()).unwrap_or(*to));
        let smaller = operand(smaller).wrapping_sub(args.zero_smaller) << ((LEFT_SHIFT + args.bits) & 31);
        let smaller =
            super::stage::rescaled(smaller, args.multiplier_smaller, args.shift_smaller, first_rounding);
        let larger = operand(larger).wrapping_sub(args.zero_larger) << (LEFT_SHIFT - 1);
        *to = stage.code(larger.wrapping_add(smaller), args.multiplier, args.shift);
    }
}
