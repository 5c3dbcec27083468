//! Eight sums side by side: an array, or two vectors where the compiler does not find them by itself (WebAssembly, whose
//! vector instructions are safe functions).

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use plain::Lanes;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::Lanes;

/// Lanes of a block.
pub const LANES: usize = 8;

/// The dot product, in eight interleaved sums.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks(), b.as_chunks());
    let mut sums = Lanes::of(&[0.0; LANES]);
    a.iter().zip(b).for_each(|(a, b)| sums.add_products(a, b));
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums.numbers();
    let last: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + last
}

/// `to += factor * x`.
#[inline(always)]
pub fn add_scaled(to: &mut [f32], factor: f32, x: &[f32]) {
    let ((vectors, tail), (others, rest)) = (to.as_chunks_mut(), x.as_chunks());
    for (to, x) in vectors.iter_mut().zip(others) {
        let mut sums = Lanes::of(to);
        sums.multiply_add(factor, &Lanes::of(x));
        *to = sums.numbers();
    }
    tail.iter_mut().zip(rest).for_each(|(to, x)| *to += factor * x);
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain {
    /// The sums.
    #[derive(Clone, Copy)]
    pub struct Lanes([f32; super::LANES]);

    impl Lanes {
        #[inline(always)]
        pub fn of(numbers: &[f32; super::LANES]) -> Self {
            Self(*numbers)
        }

        #[inline(always)]
        pub fn numbers(self) -> [f32; super::LANES] {
            self.0
        }

        /// Adds the products of two by two.
        #[inline(always)]
        pub fn add_products(&mut self, a: &[f32; super::LANES], b: &[f32; super::LANES]) {
            for ((sum, a), b) in self.0.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }

        /// Adds `x * weights`.
        #[inline(always)]
        pub fn multiply_add(&mut self, x: f32, weights: &Self) {
            for (sum, w) in self.0.iter_mut().zip(&weights.0) {
                *sum += x * w;
            }
        }
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128 {
    use core::arch::wasm32::*;

    /// The sums.
    #[derive(Clone, Copy)]
    pub struct Lanes(v128, v128);

    impl Lanes {
        #[inline(always)]
        pub fn of(&[a, b, c, d, e, f, g, h]: &[f32; super::LANES]) -> Self {
            Self(f32x4(a, b, c, d), f32x4(e, f, g, h))
        }

        #[inline(always)]
        pub fn numbers(self) -> [f32; super::LANES] {
            let Self(low, high) = self;
            [
                f32x4_extract_lane::<0>(low),
                f32x4_extract_lane::<1>(low),
                f32x4_extract_lane::<2>(low),
                f32x4_extract_lane::<3>(low),
                f32x4_extract_lane::<0>(high),
                f32x4_extract_lane::<1>(high),
                f32x4_extract_lane::<2>(high),
                f32x4_extract_lane::<3>(high),
            ]
        }

        /// Adds the products of two by two.
        #[inline(always)]
        pub fn add_products(&mut self, a: &[f32; super::LANES], b: &[f32; super::LANES]) {
            let (a, b) = (Self::of(a), Self::of(b));
            self.0 = add_product(self.0, a.0, b.0);
            self.1 = add_product(self.1, a.1, b.1);
        }

        /// Adds `x * weights`.
        #[inline(always)]
        pub fn multiply_add(&mut self, x: f32, weights: &Self) {
            let x = f32x4_splat(x);
            self.0 = add_product(self.0, x, weights.0);
            self.1 = add_product(self.1, x, weights.1);
        }
    }

    #[inline(always)]
    fn add_product(sum: v128, x: v128, weights: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return f32x4_relaxed_madd(x, weights, sum);
        #[cfg(not(target_feature = "relaxed-simd"))]
        f32x4_add(sum, f32x4_mul(x, weights))
    }
}
