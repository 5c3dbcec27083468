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
use crate::vector::{F32x4, Vectors};

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    unary_f32::check(step)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = UnaryF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    match u8::try_from(args.function).ok().and_then(Function::from_code).ok_or(Mismatch)? {
        Function::Sigmoid => each::<Sigmoid>(call, &args),
        Function::Swish => each::<Swish>(call, &args),
        Function::Exp => each::<Exp>(call, &args),
        Function::Tanh => each::<Tanh>(call, &args),
        Function::Erf => each::<Erf>(call, &args),
        Function::Gelu => each::<Gelu>(call, &args),
        Function::GeluTanh => each::<GeluTanh>(call, &args),
        Function::HardSwish => each::<HardSwish>(call, &args),
        Function::HardSigmoid => each::<HardSigmoid>(call, &args),
        _ => unary_f32::run(call),
    }
}

/// A function of any number of vectors.
trait Elementwise {
    fn of<const V: usize>(x: Vectors<V>, args: &UnaryF32Args) -> Vectors<V>;
}

/// `elementwise! { Name(x, args) = expression; .. }`
macro_rules! elementwise {
    ($($name:ident($x:ident, $args:ident) = $y:expr;)*) => {$(
        struct $name;

        impl Elementwise for $name {
            #[inline(always)]
            fn of<const V: usize>($x: Vectors<V>, $args: &UnaryF32Args) -> Vectors<V> {
                let _ = $args;
                $y
            }
        }
    )*};
}

elementwise! {
    Sigmoid(x, args) = sigmoid(x);
    Exp(x, args) = exp(x);
    Erf(x, args) = erf(x);
    Swish(x, args) = x.over(one_and_exp_of_minus(x));
    // sigmoid(2 x) = (1 + tanh(x)) / 2
    Tanh(x, args) = {
        let twice = sigmoid(x.plus(x));
        twice.plus(twice).minus(Vectors::splat(1.0))
    };
    Gelu(x, args) = {
        let of = erf(x.times(Vectors::splat(core::f32::consts::FRAC_1_SQRT_2)));
        x.times(Vectors::splat(0.5)).times(of.plus(Vectors::splat(1.0)))
    };
    // 2 * sqrt(2 / pi), and that times 0.044715.
    GeluTanh(x, args) = {
        let factor = Vectors::splat(1.595_769).plus_product(Vectors::splat(0.071_354_82), x.times(x));
        x.over(one_and_exp_of_minus(x.times(factor)))
    };
    HardSwish(x, args) = {
        let factor = x.plus(Vectors::splat(3.0)).limited(0.0, 6.0);
        x.times(factor).times(Vectors::splat(1.0 / 6.0))
    };
    HardSigmoid(x, args) = Vectors::splat(args.q).plus_product(Vectors::splat(args.p), x).limited(0.0, 1.0);
}

#[inline(always)]
fn one_and_exp_of_minus<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    exp(Vectors::splat(0.0).minus(x)).plus(Vectors::splat(1.0))
}

/// Vectors at a time.
const AT_ONCE: usize = 4;

/// Computes a function of the numbers of all rows.
#[inline(always)]
fn each<F: Elementwise>(call: Call<'_>, args: &UnaryF32Args) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let to: &mut [f32] = bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?;
        let Some(input) = &input else {
            in_place::<F>(to, args);
            return Ok(());
        };
        let from: &[f32] = bytemuck::try_cast_slice(input.only(slice, row)?).map_err(|_| Mismatch)?;
        // In pieces that stay in the first cache.
        for (to, from) in to.chunks_mut(PIECE).zip(from.chunks(PIECE)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            in_place::<F>(to, args);
        }
        Ok(())
    })
}

/// Numbers that are copied at a time.
const PIECE: usize = 1024;

#[inline(always)]
fn in_place<F: Elementwise>(values: &mut [f32], args: &UnaryF32Args) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    let (several, fours) = fours.as_chunks_mut::<AT_ONCE>();
    for values in several {
        let Vectors(y) = F::of(Vectors(values.each_ref().map(F32x4::load)), args);
        y.into_iter().zip(values).for_each(|(y, to)| y.store(to));
    }
    for values in fours {
        let Vectors([y]) = F::of(Vectors([F32x4::load(values)]), args);
        y.store(values);
    }
    let mut last = [0.0; 4];
    last.iter_mut().zip(&*rest).for_each(|(to, from)| *to = *from);
    let Vectors([y]) = F::of(Vectors([F32x4::load(&last)]), args);
    y.store(&mut last);
    rest.iter_mut().zip(last).for_each(|(to, from)| *to = from);
}
