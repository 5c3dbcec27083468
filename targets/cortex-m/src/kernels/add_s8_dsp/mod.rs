//! `add_s8_dsp` and `sub_s8_dsp`: `add_s8` and `sub_s8` of rows as long as the output's.
//!
//! Inputs 0 and 1 and output: rows. Works in place of either input. No constants, no scratch.
//!
//! The operand with the larger scale has the factor 1/2, so it is shifted only; an operand with the same scale too. The
//! other one is rescaled as accumulators are (`stage`), by up to 1/2. All sums are kept doubled, as the last step needs
//! them. A difference subtracts its second operand when that is rescaled, for rounding is not symmetric.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{pack_add, pack_sub};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require, s8, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

use super::instructions::{smmlar, smmul, smmulr};
use super::stage::{SINGLE, Stage, code};

records! {
    /// Arguments.
    pub struct AddArgs {
        /// Index of the operand that is shifted only.
        pub larger: u8,
        /// Which operand is subtracted: 0 none, 1 the larger one, 2 the smaller one.
        pub subtracted: u8,
        pub min: i8,
        pub max: i8,
        pub zero_larger: i32,
        pub zero_smaller: i32,
        /// Factor of the smaller operand, whose second word is half of that in `stage`; 0 for the factor 1/2.
        pub multiplier_smaller: i32,
        pub scale_smaller: i32,
        pub multiplier: i32,
        pub scale: i32,
        pub zero_point: i32,
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(AddArgs, step);
    require!(step.inputs() == 2, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    require!(is_clamp(args.zero_point, args.min, args.max), Arguments);
    require!(is_code(args.zero_larger) && is_code(args.zero_smaller), Arguments);
    require!(args.larger <= 1 && args.subtracted <= 2, Arguments);
    require!(step.row_len(0) == step.row_len(2) && step.row_len(1) == step.row_len(2), Shape);
    require!(step.in_place(0) || (step.reads_one_row(0) && step.within(0)), Shape);
    require!(step.in_place(1) || (step.reads_one_row(1) && step.within(1)), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = AddArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let sum = Sum { stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max }, args };
    let larger = given.input(args.larger.into())?;
    let smaller = given.input((args.larger ^ 1).into())?;
    output.for_each(|slice, row, to| {
        let larger = larger.map(|source| source.only(slice, row)).transpose()?.map(s8);
        let smaller = smaller.map(|source| source.only(slice, row)).transpose()?.map(s8);
        sum.row::<ROUNDING>(s8_mut(to), larger, smaller);
        sum.stage.clamp(s8_mut(to));
        Ok(())
    })
}

struct Sum {
    args: AddArgs,
    stage: Stage,
}

impl Sum {
    /// One row; an operand that is not given lies where the sum goes.
    fn row<const ROUNDING: u8>(&self, to: &mut [i8], larger: Option<&[i8]>, smaller: Option<&[i8]>) {
        let each = |larger: i8, smaller: i8| self.code::<ROUNDING>(larger, smaller);
        match (larger, smaller) {
            (Some(larger), Some(smaller)) => {
                to.iter_mut().zip(larger).zip(smaller).for_each(|((to, &l), &s)| *to = each(l, s));
            }
            (None, Some(smaller)) => to.iter_mut().zip(smaller).for_each(|(to, &s)| *to = each(*to, s)),
            (Some(larger), None) => to.iter_mut().zip(larger).for_each(|(to, &l)| *to = each(l, *to)),
            (None, None) => to.iter_mut().for_each(|to| *to = each(*to, *to)),
        }
    }

    #[inline(always)]
    fn code<const ROUNDING: u8>(&self, larger: i8, smaller: i8) -> i8 {
        let args = &self.args;
        let larger = i32::from(larger).wrapping_sub(args.zero_larger) << 20;
        let smaller = i32::from(smaller).wrapping_sub(args.zero_smaller);
        let smaller = if args.multiplier_smaller == 0 {
            smaller << 20
        } else {
            let twice = smaller << 21;
            let high = if ROUNDING == SINGLE {
                smmul(twice, args.multiplier_smaller)
            } else {
                let high = smmulr(twice, args.multiplier_smaller);
                high.wrapping_add(high >> 31)
            };
            smmlar(high << 1, args.scale_smaller, 0) << 1
        };
        let sum = match args.subtracted {
            0 => larger.wrapping_add(smaller),
            1 => smaller.wrapping_sub(larger),
            _ => larger.wrapping_sub(smaller),
        };
        code::<ROUNDING>(sum, [args.multiplier, args.scale], self.stage.zero_point)
    }
}
