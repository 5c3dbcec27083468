//! `lut_s8`: any function of one code, as a table. Works in place.
//!
//! Input 0 and output: rows of equal length. Constant 0: 256 codes; entry `x as u8` belongs to code `x`.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::LutS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::s8::{each_in_place, require};
use crate::plan::{DType, Fault};

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let table = call.given.constants::<i8>(0)?.first_chunk::<256>().ok_or(Mismatch)?;
    each_in_place(call, |_, row| {
        for code in row {
            *code = table[usize::from(*code as u8)];
        }
        Ok(())
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    require!(step.args().is_empty() && step.blob_is(0, 256, 1), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
    step.unary()
}
