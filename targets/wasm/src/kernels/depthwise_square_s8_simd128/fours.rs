//! Four taps of eight channels, and their products: two pairs of taps side by side, or, where the relaxed dot product is exact
//! (feature `dot`), all four.

use super::Group;
use crate::vector::I32x4;

#[cfg(not(feature = "dot"))]
pub use self::pairs::{Eight, Fours, Weights};
#[cfg(feature = "dot")]
pub use self::quads::{Eight, Fours, Weights};

#[cfg(not(feature = "dot"))]
mod pairs {
    use super::*;
    use crate::vector::{I8x16, I16x8};

    /// A tap of eight channels.
    #[derive(Clone, Copy)]
    pub struct Eight(I16x8);

    /// Both pairs, of four channels and of four more.
    #[derive(Clone, Copy)]
    pub struct Fours([[I16x8; 2]; 2]);

    /// Weights beside them.
    #[derive(Clone, Copy)]
    pub struct Weights([[I16x8; 2]; 2]);

    impl Eight {
        #[inline(always)]
        pub fn load(codes: &[i8; 8]) -> Self {
            Self(I16x8::widened(codes))
        }

        /// `sums` and the products with the first of four weights, of which the second is 0.
        #[inline(always)]
        pub fn plus(
            self,
            Weights([[w_low, _], [w_high, _]]): &Weights,
            [low, high]: [I32x4; 2],
        ) -> [I32x4; 2] {
            let [x_low, x_high] = self.0.zipped(self.0);
            [low.plus(x_low.dot(*w_low)), high.plus(x_high.dot(*w_high))]
        }
    }

    impl Fours {
        #[inline(always)]
        pub fn beside([a, b, c, d]: [Eight; 4]) -> Self {
            let ([ab, ab_high], [cd, cd_high]) = (a.0.zipped(b.0), c.0.zipped(d.0));
            Self([[ab, cd], [ab_high, cd_high]])
        }

        /// `sums` and the products.
        #[inline(always)]
        pub fn plus(&self, weights: &Weights, [low, high]: [I32x4; 2]) -> [I32x4; 2] {
            let ([[ab, cd], [ab_high, cd_high]], [[w0, w1], [w2, w3]]) = (self.0, weights.0);
            let low = low.plus(ab.dot(w0)).plus(cd.dot(w1));
            [low, high.plus(ab_high.dot(w2)).plus(cd_high.dot(w3))]
        }
    }

    impl Weights {
        #[inline(always)]
        pub fn load(group: &Group) -> Self {
            Self(group.each_ref().map(|four| I8x16::load(four).pairs()))
        }

        /// The sums' first values for these weights.
        #[inline(always)]
        pub fn start(_: &[Self], start: [I32x4; 2]) -> [I32x4; 2] {
            start
        }
    }
}

#[cfg(feature = "dot")]
mod quads {
    use super::*;
    use crate::vector::I8x16;

    /// A tap of eight channels.
    #[derive(Clone, Copy)]
    pub struct Eight(I8x16);

    /// Four taps of four channels and of four more, as numbers from 0 to 255.
    #[derive(Clone, Copy)]
    pub struct Fours([I8x16; 2]);

    /// Weights beside them.
    #[derive(Clone, Copy)]
    pub struct Weights([I8x16; 2]);

    impl Eight {
        #[inline(always)]
        pub fn load(codes: &[i8; 8]) -> Self {
            Self(I8x16::half(codes))
        }

        /// `sums` and the products with the first of four weights, whose others are 0.
        #[inline(always)]
        pub fn plus(self, weights: &Weights, sums: [I32x4; 2]) -> [I32x4; 2] {
            Fours::beside([self; 4]).plus(weights, sums)
        }
    }

    impl Fours {
        #[inline(always)]
        pub fn beside([a, b, c, d]: [Eight; 4]) -> Self {
            let [ab, cd] = [a.0.zipped_halves(b.0), c.0.zipped_halves(d.0)].map(I8x16::raised);
            Self(ab.zipped_pairs(cd))
        }

        /// `sums` and the products.
        #[inline(always)]
        pub fn plus(&self, weights: &Weights, [low, high]: [I32x4; 2]) -> [I32x4; 2] {
            let ([x_low, x_high], [w_low, w_high]) = (self.0, weights.0);
            [w_low.plus_dot(x_low, low), w_high.plus_dot(x_high, high)]
        }
    }

    impl Weights {
        #[inline(always)]
        pub fn load(group: &Group) -> Self {
            Self(group.each_ref().map(I8x16::load))
        }

        /// The sums' first values for these weights: codes are raised by 128.
        #[inline(always)]
        pub fn start(all: &[Self], start: [I32x4; 2]) -> [I32x4; 2] {
            let one = Fours([I8x16::splat(1); 2]);
            let raised = all.iter().fold([I32x4::splat(0); 2], |sums, weights| one.plus(weights, sums));
            let [[low, high], [a, b]] = [start, raised];
            [low.minus(a.shifted_left(7)), high.minus(b.shifted_left(7))]
        }
    }
}
