//! Functions of several vectors at a time: engines make constants anew in every turn of a loop, in up to three instructions
//! each, and these are shared.

use crate::vector::Vectors;

/// `e^x` within a few units in the last place for `x` in `-87 ..= 88`; beyond, that of the limit.
#[inline(always)]
pub fn exp<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    // Adding it leaves the nearest integer in the low bits of the sum.
    let round = Vectors::splat(12_582_912.0);
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

/// The error function, within 4e-7: `x p(x^2) / q(x^2)`, fitted to the least largest relative error for `|x|` to 3.95, beyond
/// which it is 1.
#[inline(always)]
pub fn erf<const V: usize>(x: Vectors<V>) -> Vectors<V> {
    const P: [f32; 6] = [
        2.025_907_7e-6,
        2.846_882_9e-4,
        3.808_178e-3,
        5.287_549_7e-2,
        1.915_506_7e-1,
        core::f32::consts::FRAC_2_SQRT_PI,
    ];
    const Q: [f32; 6] = [3.783_182_7e-5, 1.170_730_1e-3, 1.505_512_2e-2, 1.145_597_8e-1, 5.030_9e-1, 1.0];
    let x = x.limited(-3.95, 3.95);
    let square = x.times(x);
    x.times(polynomial(P, square)).over(polynomial(Q, square))
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
            let want = libm::erf(x.into());
            assert!((f64::from(of(erf, x)) - want).abs() < 5e-7, "{x}: {} for {want}", of(erf, x));
            let want = 1.0 / (1.0 + libm::exp(-f64::from(x)));
            assert!((f64::from(of(sigmoid, x)) - want).abs() < 2e-7, "{x}: {} for {want}", of(sigmoid, x));
        }
        assert!(of(exp, -1000.0) < 1e-37 && of(exp, 1000.0) > 1e38);
    }
}
