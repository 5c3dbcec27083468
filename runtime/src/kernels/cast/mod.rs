//! Conversion between element types, numbers unscaled (`cast`): `f16`, `i32`, `i8` and `u8` from and to `f32`.
//! To integers: the fraction is cut off, what does not fit saturates, NaN becomes 0.

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `cast`.
    pub struct CastArgs {
        /// Element types ([`DType`]).
        pub from: u16,
        pub to: u16,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = CastArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == CastArgs::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.from > u8::MAX as u16 || args.to > u8::MAX as u16 {
        return Err(Fault::Arguments);
    }
    let (Some(from), Some(to)) = (DType::from_code(args.from as u8), DType::from_code(args.to as u8)) else {
        return Err(Fault::Code);
    };
    if matches!(from, DType::I16) || matches!(to, DType::I16) {
        return Err(Fault::Code);
    }
    if !matches!(from, DType::F32) && !matches!(to, DType::F32) {
        return Err(Fault::Code);
    }
    let same = step.row_len(0) == step.row_len(1) && step.elementwise(0);
    if same && step.is(0, from) && step.is(1, to) { Ok(()) } else { Err(Fault::Shape) }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    use half::f16;
    let args = CastArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let code = |code: u16| u8::try_from(code).ok().and_then(DType::from_code).ok_or(Mismatch);
    match (code(args.from)?, code(args.to)?) {
        (DType::F32, DType::F32) => each(call, |x: f32| x),
        (DType::F16, DType::F32) => each(call, f16::to_f32),
        (DType::I32, DType::F32) => each(call, |x: i32| x as f32),
        (DType::I8, DType::F32) => each(call, |x: i8| f32::from(x)),
        (DType::U8, DType::F32) => each(call, |x: u8| f32::from(x)),
        (DType::F32, DType::F16) => each(call, f16::from_f32),
        (DType::F32, DType::I32) => each(call, |x: f32| x as i32),
        (DType::F32, DType::I8) => each(call, |x: f32| x as i8),
        (DType::F32, DType::U8) => each(call, |x: f32| x as u8),
        _ => Err(Mismatch),
    }
}

fn each<A: bytemuck::Pod, B: bytemuck::Pod>(call: Call<'_>, f: impl Fn(A) -> B) -> Result<(), Mismatch> {
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let src: &[A] = numbers(source.only(slice, row)?)?;
        numbers_mut(dst)?.iter_mut().zip(src).for_each(|(to, x)| *to = f(*x));
        Ok(())
    })
}

/// A conversion, for the compiler. One of the types is `f32`; neither is `i16`.
#[cfg(feature = "pack")]
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    pub from: DType,
    pub to: DType,
}

#[cfg(feature = "pack")]
impl Cast {
    pub fn pack(&self) -> crate::kernels::pack::Packed {
        let args = CastArgs { from: self.from as u16, to: self.to as u16 };
        crate::kernels::pack::Packed::new(crate::kernels::portable::id::CAST, args.to_bytes())
    }
}
