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

use super::functions::{exp, half_tanh_of_half, normal_less_half, sigmoid};
use super::gemm::filled_up;
use crate::vector::{F32x4, Vectors};

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    unary_f32::check(step)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = UnaryF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    match u8::try_from(args.function).ok().and_then(Function::from_code).ok_or(Mismatch)? {
        Function::Sigmoid => each(call, Sigmoid),
        Function::Swish => each(call, Swish),
        Function::Exp => each(call, Exp),
        Function::Tanh => each(call, Tanh),
        Function::Erf => each(call, Erf),
        Function::Gelu => each(call, Gelu),
        Function::GeluTanh => each(call, GeluTanh),
        Function::HardSwish => each(call, HardSwish),
        Function::HardSigmoid => each(call, HardSigmoid { p: args.p, q: args.q }),
        _ => unary_f32::run(call),
    }
}

/// A function of any number of vectors.
trait Elementwise {
    fn of<const V: usize>(&self, x: Vectors<V>) -> Vectors<V>;
}

/// `elementwise! { Name(x) = expression; .. }`
macro_rules! elementwise {
    ($($name:ident($x:ident) = $y:expr;)*) => {$(
        struct $name;

        impl Elementwise for $name {
            #[inline(always)]
            fn of<const V: usize>(&self, $x: Vectors<V>) -> Vectors<V> {
                $y
            }
        }
    )*};
}

elementwise! {
    Sigmoid(x) = sigmoid(x);
    Exp(x) = exp(x);
    Erf(x) = {
        let half = normal_less_half(x.times(Vectors::splat(core::f32::consts::SQRT_2)));
        half.plus(half)
    };
    Swish(x) = x.times(half_tanh_of_half(x).plus(Vectors::splat(0.5)));
    Tanh(x) = {
        let half = half_tanh_of_half(x.plus(x));
        half.plus(half)
    };
    Gelu(x) = x.times(normal_less_half(x).plus(Vectors::splat(0.5)));
    // 2 * sqrt(2 / pi), and that times 0.044715.
    GeluTanh(x) = {
        let factor = Vectors::splat(1.595_769).plus_product(Vectors::splat(0.071_354_82), x.times(x));
        x.times(half_tanh_of_half(x.times(factor)).plus(Vectors::splat(0.5)))
    };
    HardSwish(x) = {
        let factor = x.plus(Vectors::splat(3.0)).limited(0.0, 6.0);
        x.times(factor).times(Vectors::splat(1.0 / 6.0))
    };
}

struct HardSigmoid {
    p: f32,
    q: f32,
}

impl Elementwise for HardSigmoid {
    #[inline(always)]
    fn of<const V: usize>(&self, x: Vectors<V>) -> Vectors<V> {
        Vectors::splat(self.q).plus_product(Vectors::splat(self.p), x).limited(0.0, 1.0)
    }
}

/// Vectors at a time.
const AT_ONCE: usize = 4;

/// Computes a function of the numbers of all rows.
#[inline(always)]
fn each(call: Call<'_>, f: impl Elementwise) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        let to: &mut [f32] = bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?;
        let Some(input) = &input else {
            in_place(to, &f);
            return Ok(());
        };
        let from: &[f32] = bytemuck::try_cast_slice(input.only(slice, row)?).map_err(|_| Mismatch)?;
        // In pieces that stay in the first cache.
        for (to, from) in to.chunks_mut(PIECE).zip(from.chunks(PIECE)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            in_place(to, &f);
        }
        Ok(())
    })
}

/// Numbers that are copied at a time.
const PIECE: usize = 1024;

#[inline(always)]
fn in_place(values: &mut [f32], f: &impl Elementwise) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    let (several, fours) = fours.as_chunks_mut::<AT_ONCE>();
    for values in several {
        let Vectors(y) = f.of(Vectors(values.each_ref().map(F32x4::load)));
        y.into_iter().zip(values).for_each(|(y, to)| y.store(to));
    }
    for values in fours {
        let Vectors([y]) = f.of(Vectors([F32x4::load(values)]));
        y.store(values);
    }
    let mut last = filled_up(rest);
    let Vectors([y]) = f.of(Vectors([F32x4::load(&last)]));
    y.store(&mut last);
    rest.iter_mut().zip(last).for_each(|(to, from)| *to = from);
}
