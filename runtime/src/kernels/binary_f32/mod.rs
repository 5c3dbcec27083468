//! Elementwise operators of two operands, in floats (`binary_f32`).

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::BinaryF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{limit, numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `binary_f32`.
    pub struct BinaryF32Args {
        /// A [`Function`].
        pub function: u32,
        /// Output number `i` meets number `(i / repeat) % len` of an operand's row.
        pub repeat_a: u32,
        pub repeat_b: u32,
        pub min: f32,
        pub max: f32,
    }
}

/// What the kernel computes of `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Function {
    Add = 0,
    Sub = 1,
    Mul = 2,
    Div = 3,
    Max = 4,
    Min = 5,
    /// `(a - b)^2`.
    SquaredDifference = 6,
    /// `a^b`.
    Pow = 7,
}

impl Function {
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Add,
            1 => Self::Sub,
            2 => Self::Mul,
            3 => Self::Div,
            4 => Self::Max,
            5 => Self::Min,
            6 => Self::SquaredDifference,
            7 => Self::Pow,
            _ => return None,
        })
    }

    /// The function of two numbers.
    pub fn apply(self, a: f32, b: f32) -> f32 {
        let mut one = [a];
        combine(self, false, &[b], 1, &mut one);
        let [result] = one;
        result
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = BinaryF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    if step.args().len() != BinaryF32Args::SIZE || step.inputs() != 2 || args.function > u8::MAX as u32 {
        return Err(Fault::Arguments);
    }
    if Function::from_code(args.function as u8).is_none() {
        return Err(Fault::Arguments);
    }
    if !step.is(0, DType::F32) || !step.is(1, DType::F32) || !step.is(2, DType::F32) {
        return Err(Fault::Shape);
    }
    if !fits(step, 0, args.repeat_a) || !fits(step, 1, args.repeat_b) {
        return Err(Fault::Shape);
    }
    Ok(())
}

const fn fits(step: &StepView<'_>, index: usize, repeat: u32) -> bool {
    let period = step.row_len(index) as u64 * repeat as u64;
    let whole = step.row_len(2) as u64;
    let divides = period > 0 && whole.is_multiple_of(period);
    divides && step.elementwise(index) && (!step.in_place(index) || repeat == 1)
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = BinaryF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let function = u8::try_from(args.function).ok().and_then(Function::from_code).ok_or(Mismatch)?;
    let (a, b, mut output) = (call.given.input(0)?, call.given.input(1)?, call.output);
    let (repeat_a, repeat_b) = (args.repeat_a as usize, args.repeat_b as usize);
    let bounded = args.min > f32::NEG_INFINITY || args.max < f32::INFINITY;
    output.for_each(|slice, row, dst| {
        let dst: &mut [f32] = numbers_mut(dst)?;
        match (&a, &b) {
            (Some(a), Some(b)) => {
                spread(numbers(a.only(slice, row)?)?, repeat_a, dst);
                combine(function, false, numbers(b.only(slice, row)?)?, repeat_b, dst);
            }
            (None, Some(b)) => combine(function, false, numbers(b.only(slice, row)?)?, repeat_b, dst),
            (Some(a), None) => combine(function, true, numbers(a.only(slice, row)?)?, repeat_a, dst),
            (None, None) => dst.iter_mut().for_each(|x| *x = function.apply(*x, *x)),
        }
        if bounded {
            dst.iter_mut().for_each(|x| *x = limit(*x, args.min, args.max));
        }
        Ok(())
    })
}

/// Writes the operand as long as the output.
fn spread(operand: &[f32], repeat: usize, dst: &mut [f32]) {
    for dst in dst.chunks_mut(operand.len().saturating_mul(repeat).max(1)) {
        if repeat == 1 {
            dst.iter_mut().zip(operand).for_each(|(to, x)| *to = *x);
        } else {
            dst.chunks_mut(repeat.max(1)).zip(operand).for_each(|(dst, x)| dst.fill(*x));
        }
    }
}

/// `dst = f(dst, operand)`, or `f(operand, dst)` if `swapped`.
fn combine(function: Function, swapped: bool, operand: &[f32], repeat: usize, dst: &mut [f32]) {
    match (function, swapped) {
        (Function::Add, _) => each(operand, repeat, dst, |x, y| x + y),
        (Function::Sub, false) => each(operand, repeat, dst, |x, y| x - y),
        (Function::Sub, true) => each(operand, repeat, dst, |x, y| y - x),
        (Function::Mul, _) => each(operand, repeat, dst, |x, y| x * y),
        (Function::Div, false) => each(operand, repeat, dst, |x, y| x / y),
        (Function::Div, true) => each(operand, repeat, dst, |x, y| y / x),
        (Function::Max, _) => each(operand, repeat, dst, |x, y| if y > x { y } else { x }),
        (Function::Min, _) => each(operand, repeat, dst, |x, y| if y < x { y } else { x }),
        (Function::SquaredDifference, _) => each(operand, repeat, dst, |x, y| (x - y) * (x - y)),
        (Function::Pow, false) => each(operand, repeat, dst, libm::powf),
        (Function::Pow, true) => each(operand, repeat, dst, |x, y| libm::powf(y, x)),
    }
}

#[inline(always)]
fn each(operand: &[f32], repeat: usize, dst: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    if let [y] = *operand {
        dst.iter_mut().for_each(|x| *x = f(*x, y));
        return;
    }
    for dst in dst.chunks_mut(operand.len().saturating_mul(repeat).max(1)) {
        if repeat == 1 {
            dst.iter_mut().zip(operand).for_each(|(x, y)| *x = f(*x, *y));
        } else {
            for (dst, y) in dst.chunks_mut(repeat.max(1)).zip(operand) {
                dst.iter_mut().for_each(|x| *x = f(*x, *y));
            }
        }
    }
}
