//! Functions of several vectors at a time: engines make constants anew in every turn of a loop, in up to three instructions
//! each, and these are shared.

use mote_runtime::kernels::requantize::WHOLE;

use crate::vector::Vectors;

/// `e^x` within a few units in the last place for `x` in `-87 ..= 88`; beyond, that of the limit.
#[inline(always)]
pub fn exp<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    let round = Vectors::splat(WHOLE);
    let x = x.limited(-87.0, 88.0);
    let shifted = round.plus_product(x, Vectors::splat(core::f32::consts::LOG2_E));
    let n = shifted.minus(round);
    // ln 2 in two parts, the first of few bits: its multiples are exact.
    let r = x.plus_product(n, Vectors::splat(-0.693_359_4)).plus_product(n, Vectors::splat(2.121_944_4e-4));
    // Fitted to the least largest error for `|r|` to ln 2 / 2: 3e-9.
    const P: [f32; 5] = [1.381_454_4e-3, 8.368_745e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1];
    let p = polynomial(P, r);
    let fraction = r.plus(Vectors::splat(1.0)).plus_product(p, r.times(r));
    fraction.times(shifted.power_of_two())
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    let one = Vectors::splat(1.0);
    one.over(one.plus(exp(Vectors::splat(0.0).minus(x))))
}

/// `tanh(x / 2) / 2`, within 3e-7: `x p(x^2) / q(x^2)`, fitted to the least largest error for `|x|` to 16.6, beyond which it is
/// 1/2. A half more is the sigmoid, with fewer instructions than by [`exp`], but where that is small not as exact.
#[inline(always)]
pub fn half_tanh_of_half<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    const P: [f32; 4] = [4.296_895e-8, 4.546_241e-5, 8.053_855e-3, 0.249_999_79];
    const Q: [f32; 5] = [9.085_32e-10, 3.639_538_1e-6, 1.477_719_6e-3, 0.115_547_98, 1.0];
    rational(P, Q, x.limited(-16.6, 16.6))
}

/// The standard normal distribution less a half, `erf(x / sqrt(2)) / 2`, within 3e-7: as above for `|x|` to 5.2.
#[inline(always)]
pub fn normal_less_half<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    const P: [f32; 5] = [5.839_134e-6, 3.141_832_7e-4, 5.518_247e-3, 4.958_675e-2, 0.398_941_9];
    const Q: [f32; 6] = [5.017_844e-7, 1.127_098_9e-4, 2.703_305e-3, 3.733_579_4e-2, 0.290_956_32, 1.0];
    rational(P, Q, x.limited(-5.2, 5.2))
}

/// `x p(x^2) / q(x^2)`.
#[inline(always)]
fn rational<const M: usize, const N: usize, const V: usize>(
    p: [f32; M],
    q: [f32; N],
    x: Vectors<V>,
) -> Vectors<V> {
    let square = x.times(x);
    x.times(polynomial(p, square)).over(polynomial(q, square))
}

/// The polynomial with these coefficients, that of the highest power first.
#[inline(always)]
fn polynomial<const N: usize, const V: usize>(coefficients: [f32; N], x: Vectors<V>) -> Vectors<V> {
    let mut sum = Vectors::splat(0.0);
    for (i, coefficient) in coefficients.into_iter().enumerate() {
        let coefficient = Vectors::splat(coefficient);
        sum = if i == 0 { coefficient } else { coefficient.plus_product(sum, x) };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::F32x4;

    fn of(f: impl Fn(Vectors<1>) -> Vectors<1>, x: f32) -> f32 {
        let mut four = [0.0; 4];
        f(Vectors([F32x4::splat(x)])).0[0].store(&mut four);
        four[3]
    }

    #[test]
    fn functions_are_accurate_over_their_range() {
        for i in -87_000..=88_000 {
            let x = i as f32 / 1000.0;
            let want = libm::exp(x.into());
            assert!((f64::from(of(exp, x)) / want - 1.0).abs() < 2e-7, "{x}: {} for {want}", of(exp, x));
            let x = i as f32 / 20_000.0;
            let want = 0.5 * libm::erf(f64::from(x) * core::f64::consts::FRAC_1_SQRT_2);
            let found = of(normal_less_half, x);
            assert!((f64::from(found) - want).abs() < 3e-7, "{x}: {found} for {want}");
            let want = 1.0 / (1.0 + libm::exp(-f64::from(x)));
            assert!((f64::from(of(sigmoid, x)) - want).abs() < 2e-7, "{x}: {} for {want}", of(sigmoid, x));
            let (x, want) = (5.0 * x, 0.5 * libm::tanh(2.5 * f64::from(x)));
            let found = of(half_tanh_of_half, x);
            assert!((f64::from(found) - want).abs() < 3e-7, "{x}: {found} for {want}");
        }
        assert!(of(exp, -1000.0) < 1e-37 && of(exp, 1000.0) > 1e38);
    }
}
