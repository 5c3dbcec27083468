//! `add_s8_mve` and `sub_s8_mve`: `add_s8` and `sub_s8` of rows as long as the output's.
//!
//! Inputs 0 and 1 and output: rows. Works in place of either input. No constants, no scratch.
//!
//! The operand with the larger scale has the factor 1/2, so it is shifted only. The other one is rescaled as sums are
//! (`mve::stage`); a factor too large for that is halved once or twice, and its operand doubled as often.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{pack_add, pack_sub};

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{arguments, is_clamp, is_code, require, s8, s8_mut};
use mote_runtime::plan::{DType, Fault};
use mote_runtime::records;

#[cfg(mote_mve)]
use super::mve::stage::DOUBLE_CLAMPED;
use super::mve::stage::{DOUBLE, SINGLE, Stage};

records! {
    /// Arguments.
    pub struct AddMveArgs {
        /// Index of the operand that is shifted only.
        pub larger: u8,
        /// Which operand is subtracted: 0 none, 1 the larger one, 2 the smaller one.
        pub subtracted: u8,
        pub min: i8,
        pub max: i8,
        pub zero_larger: i32,
        pub zero_smaller: i32,
        /// What the smaller operand is multiplied with first: a power of two.
        pub unit_smaller: i32,
        pub multiplier_smaller: i32,
        pub shift_smaller: i32,
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
    }
}

/// Half of 2^20, with which the definition multiplies both operands.
const UNIT_LARGER: i32 = 1 << 19;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(AddMveArgs, step);
    require!(step.inputs() == 2, Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    require!(is_clamp(args.zero_point, args.min, args.max) && args.larger <= 1, Arguments);
    require!(args.subtracted <= 2, Arguments);
    require!(is_code(args.zero_larger) && is_code(args.zero_smaller), Arguments);
    require!(args.shift_smaller < 0 && args.shift_smaller > -32, Arguments);
    require!(args.shift < 0 && args.shift > -32, Arguments);
    require!(step.row_len(0) == step.row_len(2) && step.row_len(1) == step.row_len(2), Shape);
    require!(step.elementwise(0) && step.elementwise(1), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    Sum: Compute<ROUNDING>,
{
    let Call { given, mut output, .. } = call;
    let args = AddMveArgs::read(given.args(), 0).ok_or(Mismatch)?;
    // Exact, so the sign is the unit's. That of the smaller operand is given when it is rescaled.
    let unit_larger = if args.subtracted == 1 { -UNIT_LARGER } else { UNIT_LARGER };
    let sum = Sum {
        subtract_smaller: args.subtracted == 2,
        unit_larger,
        offset_larger: args.zero_larger.wrapping_mul(-unit_larger),
        offset_smaller: args.zero_smaller.wrapping_mul(args.unit_smaller.wrapping_neg()),
        unit_smaller: args.unit_smaller,
        multiplier_smaller: args.multiplier_smaller,
        shift_smaller: args.shift_smaller,
        multiplier: args.multiplier,
        shift: args.shift,
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    let larger = given.input(args.larger.into())?;
    let smaller = given.input((args.larger ^ 1).into())?;
    output.for_each(|slice, row, to| {
        let larger = larger.map(|source| source.only(slice, row)).transpose()?.map(s8);
        let smaller = smaller.map(|source| source.only(slice, row)).transpose()?.map(s8);
        let alike = [larger, smaller].iter().flatten().all(|row| row.len() == to.len());
        if !alike {
            return Err(Mismatch);
        }
        sum.row(larger, smaller, s8_mut(to));
        Ok(())
    })
}

/// A sum.
pub struct Sum {
    subtract_smaller: bool,
    unit_larger: i32,
    offset_larger: i32,
    offset_smaller: i32,
    unit_smaller: i32,
    multiplier_smaller: i32,
    shift_smaller: i32,
    multiplier: i32,
    shift: i32,
    stage: Stage,
}

/// One row; an operand that is not given lies where the sum goes, one that is given is as long.
pub trait Compute<const ROUNDING: u8> {
    fn row(&self, larger: Option<&[i8]>, smaller: Option<&[i8]>, to: &mut [i8]);
}

#[cfg(not(mote_mve))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Sum {
    fn row(&self, larger: Option<&[i8]>, smaller: Option<&[i8]>, to: &mut [i8]) {
        use super::mve::stage::rescaled;
        for (i, to) in to.iter_mut().enumerate() {
            let operand =
                |row: Option<&[i8]>| i32::from(row.and_then(|row| row.get(i).copied()).unwrap_or(*to));
            let smaller = operand(smaller).wrapping_mul(self.unit_smaller).wrapping_add(self.offset_smaller);
            // Negative results of the smaller operand are not clamped, whatever becomes of the sum.
            let smaller = match ROUNDING {
                SINGLE => rescaled::<SINGLE>(smaller, self.multiplier_smaller, self.shift_smaller),
                _ => rescaled::<DOUBLE>(smaller, self.multiplier_smaller, self.shift_smaller),
            };
            let smaller = if self.subtract_smaller { smaller.wrapping_neg() } else { smaller };
            let larger = operand(larger).wrapping_mul(self.unit_larger).wrapping_add(self.offset_larger);
            *to = self.stage.code::<ROUNDING>(larger.wrapping_add(smaller), self.multiplier, self.shift);
        }
    }
}

/// The same for Helium: four elements at a time, by a loop whose last turn takes what is left.
macro_rules! rows {
    ($rounding:ident, $high:literal, [$($away_smaller:literal),*], [$($away:literal),*]) => {
        #[cfg(mote_mve)]
        impl Compute<$rounding> for Sum {
            #[inline(never)]
            fn row(&self, larger: Option<&[i8]>, smaller: Option<&[i8]>, to: &mut [i8]) {
                let (len, to) = (to.len(), to.as_mut_ptr());
                // SAFETY: all operands have `len` elements; each is read before the sum is written in its place.
                unsafe {
                    core::arch::asm!(
                        "vdup.32 q2, r8",
                        "vdup.32 q3, r9",
                        "vdup.32 q4, r10",
                        "vdup.32 q5, r11",
                        "vdup.32 q6, r12",
                        "vdup.32 q7, lr",
                        "ldm r5, {{r5, r8, r9, r10, r11}}",
                        "wlstp.32 lr, r4, 3f",
                        "2:",
                        "vldrb.s32 q0, [r1], #4",
                        "vmlas.s32 q0, q4, r5",
                        concat!($high, " q0, q0, q2"),
                        $($away_smaller,)*
                        "vrshl.s32 q0, r8",
                        "vmul.i32 q0, q0, r2",
                        "vldrb.s32 q1, [r0], #4",
                        "vmlas.s32 q1, q5, r9",
                        "vadd.i32 q0, q0, q1",
                        concat!($high, " q0, q0, q3"),
                        $($away,)*
                        "vrshl.s32 q0, r10",
                        "vadd.i32 q0, q0, r11",
                        "vmax.s32 q0, q0, q6",
                        "vmin.s32 q0, q0, q7",
                        "vstrb.32 q0, [r3], #4",
                        "letp lr, 2b",
                        "3:",
                        inlateout("r0") larger.map_or(to.cast_const(), <[i8]>::as_ptr) => _,
                        inlateout("r1") smaller.map_or(to.cast_const(), <[i8]>::as_ptr) => _,
                        in("r2") if self.subtract_smaller { -1 } else { 1 },
                        inlateout("r3") to => _,
                        in("r4") len,
                        inlateout("r5") &raw const *&[
                            self.offset_smaller,
                            self.shift_smaller,
                            self.offset_larger,
                            self.shift,
                            self.stage.zero_point,
                        ] => _,
                        inlateout("r8") self.multiplier_smaller => _,
                        inlateout("r9") self.multiplier => _,
                        inlateout("r10") self.unit_smaller => _,
                        inlateout("r11") self.unit_larger => _,
                        in("r12") self.stage.min,
                        inlateout("lr") self.stage.max => _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                        out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                        out("d14") _, out("d15") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

rows!(SINGLE, "vmulh.s32", [], []);
rows!(
    DOUBLE,
    "vqrdmulh.s32",
    ["vshr.s32 q1, q0, #31", "vadd.i32 q0, q0, q1"],
    ["vshr.s32 q1, q0, #31", "vadd.i32 q0, q0, q1"]
);
rows!(DOUBLE_CLAMPED, "vqrdmulh.s32", ["vshr.s32 q1, q0, #31", "vadd.i32 q0, q0, q1"], []);
