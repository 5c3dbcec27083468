//! `mul_s8_mve`: `mul_s8` of a row as long as the output's with one that is repeated until the row is full: another one
//! of the same length, or a vector of one code per channel.
//!
//! Inputs 0 and 1 and output: rows. Works in place of an operand that is as long as the output's row. No constants, no
//! scratch. Eight codes at a time, as 16-bit numbers; the products of even and of odd lanes make codes (`mve::stage`).

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::require;
use mote_runtime::plan::Fault;

pub use super::mul_s8_dsp::MulDspArgs;
use super::mul_s8_dsp::rows;
use super::mve::stage::Stage;
#[cfg(mote_mve)]
use super::mve::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    match MulDspArgs::checked(step) {
        Ok(args) => {
            require!(args.scale < 0 && args.scale > -32, Arguments);
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    Product: Compute<ROUNDING>,
{
    let args = MulDspArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let product = Product {
        zero_whole: args.zero_whole,
        zero_other: args.zero_other,
        multiplier: args.multiplier,
        shift: args.scale,
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    rows(call, args.whole, |whole, other, to| product.row(whole, other, to))
}

/// A product.
pub struct Product {
    zero_whole: i32,
    zero_other: i32,
    multiplier: i32,
    shift: i32,
    stage: Stage,
}

/// One row; an operand that is not given lies where the product goes, one that is given is as long.
pub trait Compute<const ROUNDING: u8> {
    fn row(&self, whole: Option<&[i8]>, other: Option<&[i8]>, to: &mut [i8]);
}

#[cfg(not(mote_mve))]
impl<const ROUNDING: u8> Compute<ROUNDING> for Product {
    fn row(&self, whole: Option<&[i8]>, other: Option<&[i8]>, to: &mut [i8]) {
        for (i, to) in to.iter_mut().enumerate() {
            let operand =
                |row: Option<&[i8]>| i32::from(row.and_then(|row| row.get(i).copied()).unwrap_or(*to));
            let product =
                operand(whole).wrapping_sub(self.zero_whole) * operand(other).wrapping_sub(self.zero_other);
            *to = self.stage.code::<ROUNDING>(product, self.multiplier, self.shift);
        }
    }
}

/// The same for Helium. Only loads and stores know which lanes are there: a product widens to the lane beside it.
macro_rules! rows {
    ($rounding:ident, $high:literal, [$($away:literal),*]) => {
        #[cfg(mote_mve)]
        impl Compute<$rounding> for Product {
            #[inline(never)]
            fn row(&self, whole: Option<&[i8]>, other: Option<&[i8]>, to: &mut [i8]) {
                let (len, to) = (to.len(), to.as_mut_ptr());
                // SAFETY: all operands have `len` codes, of which only those that are left are read and written; each is
                // read before the product is written in its place. The predicate is nobody's across a function that is
                // not inlined.
                unsafe {
                    core::arch::asm!(
                        "vdup.32 q5, r5",
                        "vdup.16 q6, r11",
                        "vdup.16 q7, r12",
                        "ldrd r2, r5, [r2]",
                        "wls lr, lr, 3f",
                        "2:",
                        "vctp.16 r4",
                        "sub r4, r4, #8",
                        "vpstt",
                        "vldrbt.s16 q0, [r0], #8",
                        "vldrbt.s16 q1, [r1], #8",
                        "vadd.i16 q0, q0, r8",
                        "vadd.i16 q1, q1, r9",
                        "vmullb.s16 q2, q0, q1",
                        "vmullt.s16 q3, q0, q1",
                        concat!($high, " q2, q2, q5"),
                        concat!($high, " q3, q3, q5"),
                        $($away,)*
                        "vrshl.s32 q2, r2",
                        "vrshl.s32 q3, r2",
                        "vqmovnb.s32 q0, q2",
                        "vqmovnt.s32 q0, q3",
                        "vqadd.s16 q0, q0, r5",
                        "vmax.s16 q0, q0, q6",
                        "vmin.s16 q0, q0, q7",
                        "vpst",
                        "vstrbt.16 q0, [r3], #8",
                        "le lr, 2b",
                        "3:",
                        inlateout("r0") whole.map_or(to.cast_const(), <[i8]>::as_ptr) => _,
                        inlateout("r1") other.map_or(to.cast_const(), <[i8]>::as_ptr) => _,
                        inlateout("r2") &raw const *&[self.shift, self.stage.zero_point] => _,
                        inlateout("r3") to => _,
                        inlateout("r4") len => _,
                        inlateout("r5") self.multiplier => _,
                        in("r8") self.zero_whole.wrapping_neg(),
                        in("r9") self.zero_other.wrapping_neg(),
                        inlateout("r11") self.stage.min => _,
                        in("r12") self.stage.max,
                        inlateout("lr") len.div_ceil(8) => _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                        out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _,
                        out("d15") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

rows!(SINGLE, "vmulh.s32", []);
rows!(
    DOUBLE,
    "vqrdmulh.s32",
    ["vshr.s32 q4, q2, #31", "vadd.i32 q2, q2, q4", "vshr.s32 q4, q3, #31", "vadd.i32 q3, q3, q4"]
);
rows!(DOUBLE_CLAMPED, "vqrdmulh.s32", []);
