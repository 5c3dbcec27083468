//! Elementwise functions of one operand, in floats (`unary_f32`). Int8 networks have look-up tables instead, which
//! the compiler fills with [`Function::apply`].

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::UnaryF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::exp::exp;
use crate::kernels::numbers::{limit, numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `unary_f32`.
    pub struct UnaryF32Args {
        /// A [`Function`].
        pub function: u32,
        pub p: f32,
        pub q: f32,
    }
}

/// What the kernel computes of `x`, with parameters `p` and `q` where named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Function {
    Relu = 0,
    Relu6 = 1,
    /// Limits to `p ..= q`.
    Clip = 2,
    /// Negative `x` times `p`.
    LeakyRelu = 3,
    /// `p * (exp(x) - 1)` where negative.
    Elu = 4,
    Sigmoid = 5,
    Tanh = 6,
    Swish = 7,
    HardSwish = 8,
    /// `p * x + q`, limited to `0 ..= 1`.
    HardSigmoid = 9,
    Gelu = 10,
    /// With `tanh` in place of `erf`.
    GeluTanh = 11,
    Erf = 12,
    Exp = 13,
    Log = 14,
    Sqrt = 15,
    Rsqrt = 16,
    Reciprocal = 17,
    Square = 18,
    Abs = 19,
    Neg = 20,
    Softplus = 21,
    Mish = 22,
    Floor = 23,
    Ceil = 24,
    /// Half to even.
    Round = 25,
    Sin = 26,
    Cos = 27,
}

impl Function {
    pub const fn from_code(code: u8) -> Option<Self> {
        use Function::*;
        const ALL: [Function; 28] = [
            Relu,
            Relu6,
            Clip,
            LeakyRelu,
            Elu,
            Sigmoid,
            Tanh,
            Swish,
            HardSwish,
            HardSigmoid,
            Gelu,
            GeluTanh,
            Erf,
            Exp,
            Log,
            Sqrt,
            Rsqrt,
            Reciprocal,
            Square,
            Abs,
            Neg,
            Softplus,
            Mish,
            Floor,
            Ceil,
            Round,
            Sin,
            Cos,
        ];
        if (code as usize) < ALL.len() { Some(ALL[code as usize]) } else { None }
    }

    /// The function of one number.
    pub fn apply(self, x: f32, p: f32, q: f32) -> f32 {
        let mut one = [x];
        self.apply_all(&mut one, p, q);
        let [y] = one;
        y
    }

    /// Replaces each number by the function of it.
    pub fn apply_all(self, numbers: &mut [f32], p: f32, q: f32) {
        match self {
            Self::Relu => each(numbers, |x| if x > 0.0 { x } else { 0.0 }),
            Self::Relu6 => each(numbers, |x| limit(x, 0.0, 6.0)),
            Self::Clip => each(numbers, |x| limit(x, p, q)),
            Self::LeakyRelu => each(numbers, |x| if x < 0.0 { p * x } else { x }),
            Self::Elu => each(numbers, |x| if x < 0.0 { p * libm::expm1f(x) } else { x }),
            Self::Sigmoid => each(numbers, sigmoid),
            Self::Tanh => each(numbers, libm::tanhf),
            Self::Swish => each(numbers, |x| x * sigmoid(x)),
            Self::HardSwish => each(numbers, |x| x * limit(x + 3.0, 0.0, 6.0) * (1.0 / 6.0)),
            Self::HardSigmoid => each(numbers, |x| limit(p * x + q, 0.0, 1.0)),
            Self::Gelu => {
                each(numbers, |x| 0.5 * x * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2)));
            }
            Self::GeluTanh => each(numbers, gelu_tanh),
            Self::Erf => each(numbers, libm::erff),
            Self::Exp => each(numbers, libm::expf),
            Self::Log => each(numbers, libm::logf),
            Self::Sqrt => each(numbers, libm::sqrtf),
            Self::Rsqrt => each(numbers, |x| 1.0 / libm::sqrtf(x)),
            Self::Reciprocal => each(numbers, |x| 1.0 / x),
            Self::Square => each(numbers, |x| x * x),
            Self::Abs => each(numbers, libm::fabsf),
            Self::Neg => each(numbers, |x| -x),
            Self::Softplus => each(numbers, softplus),
            Self::Mish => each(numbers, |x| x * libm::tanhf(softplus(x))),
            Self::Floor => each(numbers, libm::floorf),
            Self::Ceil => each(numbers, libm::ceilf),
            Self::Round => each(numbers, libm::rintf),
            Self::Sin => each(numbers, libm::sinf),
            Self::Cos => each(numbers, libm::cosf),
        }
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = UnaryF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    if step.args().len() != UnaryF32Args::SIZE || step.inputs() != 1 || args.function > u8::MAX as u32 {
        return Err(Fault::Arguments);
    }
    if Function::from_code(args.function as u8).is_none() {
        return Err(Fault::Arguments);
    }
    let same = step.row_len(0) == step.row_len(1) && step.elementwise(0);
    if same && step.is(0, DType::F32) && step.is(1, DType::F32) { Ok(()) } else { Err(Fault::Shape) }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = UnaryF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let function = u8::try_from(args.function).ok().and_then(Function::from_code).ok_or(Mismatch)?;
    let (input, mut output) = (call.given.input(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let dst: &mut [f32] = numbers_mut(dst)?;
        if let Some(input) = &input {
            let src: &[f32] = numbers(input.only(slice, row)?)?;
            dst.iter_mut().zip(src).for_each(|(to, x)| *to = *x);
        }
        function.apply_all(dst, args.p, args.q);
        Ok(())
    })
}

#[inline(always)]
fn each(numbers: &mut [f32], f: impl Fn(f32) -> f32) {
    numbers.iter_mut().for_each(|x| *x = f(*x));
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn softplus(x: f32) -> f32 {
    // log(1 + exp(x)) without overflow.
    (if x > 0.0 { x } else { 0.0 }) + libm::log1pf(libm::expf(-libm::fabsf(x)))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const SQRT_2_BY_PI: f32 = 0.797_884_6;
    // (1 + tanh(u)) / 2 = sigmoid(2 u).
    x * sigmoid(2.0 * SQRT_2_BY_PI * (x + 0.044_715 * x * x * x))
}
