//! `unary_f32_simd128`: `unary_f32`, with the functions of activations in vectors; the others are the portable kernel's.
//!
//! Arguments are those of the portable kernel; no constants, no scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::unary_f32::{self, Function, UnaryF32Args};
use mote_runtime::plan::Fault;

use super::functions::{erf, exp, sigmoid};
use crate::vector::F32x4;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    unary_f32::check(step)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = UnaryF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let [zero, one, half] = [0.0, 1.0, 0.5].map(F32x4::splat);
    match u8::try_from(args.function).ok().and_then(Function::from_code).ok_or(Mismatch)? {
        Function::Sigmoid => each(call, sigmoid),
        Function::Swish => each(call, |x| x.over(one.plus(exp(zero.minus(x))))),
        Function::Exp => each(call, exp),
        // sigmoid(2 x) = (1 + tanh(x)) / 2
        Function::Tanh => each(call, |x| {
            let twice = sigmoid(x.plus(x));
            twice.plus(twice).minus(one)
        }),
        Function::Erf => each(call, erf),
        Function::Gelu => {
            let scale = F32x4::splat(core::f32::consts::FRAC_1_SQRT_2);
            each(call, |x| x.times(half).times(one.plus(erf(x.times(scale)))))
        }
        Function::GeluTanh => {
            // 2 * sqrt(2 / pi), and that times 0.044715.
            let [linear, cubic] = [1.595_769, 0.071_354_82].map(F32x4::splat);
            each(call, |x| x.over(one.plus(exp(zero.minus(x.times(linear.plus_product(cubic, x.times(x))))))))
        }
        Function::HardSwish => {
            let [three, six, sixth] = [3.0, 6.0, 1.0 / 6.0].map(F32x4::splat);
            each(call, |x| x.times(x.plus(three).limited(zero, six)).times(sixth))
        }
        Function::HardSigmoid => {
            let [p, q] = [args.p, args.q].map(F32x4::splat);
            each(call, |x| q.plus_product(p, x).limited(zero, one))
        }
        _ => unary_f32::run(call),
    }
}

/// Calls `f` for each four numbers of all rows.
#[inline(always)]
fn each(call: Call<'_>, f: impl Fn(F32x4) -> F32x4) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let to: &mut [f32] = bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?;
        if let Some(input) = &input {
            let from: &[f32] = bytemuck::try_cast_slice(input.only(slice, row)?).map_err(|_| Mismatch)?;
            let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<4>(), to.as_chunks_mut::<4>());
            from.iter().zip(to).for_each(|(from, to)| f(F32x4::load(from)).store(to));
            to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = one(*from, &f));
            return Ok(());
        }
        let (to, rest) = to.as_chunks_mut::<4>();
        to.iter_mut().for_each(|to| f(F32x4::load(to)).store(to));
        rest.iter_mut().for_each(|to| *to = one(*to, &f));
        Ok(())
    })
}

#[inline(always)]
fn one(x: f32, f: &impl Fn(F32x4) -> F32x4) -> f32 {
    let mut four = [0.0; 4];
    f(F32x4::splat(x)).store(&mut four);
    let [y, ..] = four;
    y
}
