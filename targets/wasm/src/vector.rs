//! Vectors of 128 bits: the operations that the kernels are written in, each one instruction (or few) of SIMD128, and the
//! same in plain Rust elsewhere.
//!
//! The only `unsafe` code of the kernels is here: loads and stores through references to whole arrays, and of vectors at
//! places ([`Beside`], [`Strips`], [`Tile`]), the last of which are known to be there.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use plain::{F32x4, I8x16, I16x8, I32x4};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::{F32x4, I8x16, I16x8, I32x4};

use core::marker::PhantomData;

/// Eight rows turned around, by three rounds of vectors taken in turns.
#[inline(always)]
fn turned<T: Copy>(rows: [T; 8], zipped: impl Fn(T, T) -> [T; 2]) -> [T; 8] {
    // Each round takes the first of eight numbers and the fifth, the second and the sixth: a rotation of the bits of all
    // places, three of which swap row and column.
    let round = |[a, b, c, d, e, f, g, h]: [T; 8]| {
        let ([a, e], [b, f]) = (zipped(a, e), zipped(b, f));
        let ([c, g], [d, h]) = (zipped(c, g), zipped(d, h));
        [a, e, b, f, c, g, d, h]
    };
    round(round(round(rows)))
}

impl I16x8 {
    /// Number `i` of all eight, for each `i`.
    #[inline(always)]
    pub fn turned(rows: [Self; 8]) -> [Self; 8] {
        turned(rows, Self::zipped)
    }
}

/// Up to eight codes as one number, zeros behind them. No copy of as many bytes: engines call a function for it.
#[inline(always)]
fn word(codes: &[i8]) -> u64 {
    let codes: &[u8] = bytemuck::must_cast_slice(codes);
    if let (Some(first), Some(last)) = (codes.first_chunk(), codes.last_chunk()) {
        // The last four stand where they belong, some of them beside themselves.
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | last << (8 * (codes.len() - 4) % 64);
    }
    codes.iter().rev().fold(0, |word, code| word << 8 | u64::from(*code))
}

impl I8x16 {
    /// Up to sixteen codes, zeros behind them.
    #[inline(always)]
    pub fn filled_up(codes: &[i8]) -> Self {
        match codes.split_first_chunk::<8>() {
            Some((low, high)) => Self::of([u64::from_le_bytes(bytemuck::must_cast(*low)), word(high)]),
            None => Self::of([word(codes), 0]),
        }
    }

    /// Codes `2 * i` and `2 * i + 1` of all eight, for each `i`: first those of the former.
    #[inline(always)]
    pub fn turned(rows: [Self; 8]) -> [Self; 8] {
        turned(rows, Self::zipped)
    }
}

/// `M` times `N` rows of numbers, all of which are at least as long as was checked at once.
#[derive(Clone, Copy)]
pub struct Beside<'a, const N: usize, const M: usize> {
    rows: [[&'a [f32]; N]; M],
    last: usize,
}

impl<'a, const N: usize, const M: usize> Beside<'a, N, M> {
    /// `None` if one of the rows has fewer than `len` numbers, or if that is less than a vector.
    #[inline(always)]
    pub fn new(rows: [[&'a [f32]; N]; M], len: usize) -> Option<Self> {
        let last = len.checked_sub(4)?;
        rows.as_flattened().iter().all(|row| row.len() >= len).then_some(Self { rows, last })
    }

    /// The vectors from number `at` of each row on; the last ones if there are fewer.
    #[inline(always)]
    pub fn at(&self, at: usize) -> impl Iterator<Item = [F32x4; N]> {
        let at = at.min(self.last);
        self.rows.iter().map(move |rows| {
            rows.map(|row| {
                // SAFETY: not beyond the last vector that `new` found in each row.
                F32x4::load(unsafe { &*row.as_ptr().add(at).cast::<[f32; 4]>() })
            })
        })
    }
}

/// Eight codes at equal distances in each of several rows, whose presence was checked at once.
pub struct Strips<'a, const N: usize> {
    rows: [(*const i8, usize); N],
    left: usize,
    of: PhantomData<&'a [i8]>,
}

impl<'a, const N: usize> Strips<'a, N> {
    /// `count` times from the start of each row on, as many codes apart as stands beside it; `None` if one isn't there.
    #[inline(always)]
    pub fn new(rows: [(&'a [i8], usize); N], count: usize) -> Option<Self> {
        for (row, step) in rows {
            if let Some(last) = count.checked_sub(1) {
                let end = step.checked_mul(last)?.checked_add(8)?;
                (end <= row.len()).then_some(())?;
            }
        }
        let rows = rows.map(|(row, step)| (row.as_ptr(), step));
        Some(Self { rows, left: count, of: PhantomData })
    }
}

impl<'a, const N: usize> Iterator for Strips<'a, N> {
    type Item = [&'a [i8; 8]; N];

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.rows.each_mut().map(|(at, step)| {
            // SAFETY: `new` found eight codes at each of `count` places, of which this is the next one.
            let eight = unsafe { &*at.cast::<[i8; 8]>() };
            *at = at.wrapping_add(*step);
            eight
        }))
    }
}

/// `W` numbers in each of `N` rows at equal distances, whose presence was checked at once.
pub struct Tile<'a, T, const N: usize, const W: usize = 8> {
    first: *mut T,
    stride: usize,
    of: PhantomData<&'a mut [T]>,
}

impl<'a, T, const N: usize, const W: usize> Tile<'a, T, N, W> {
    /// From number `first` of each row on; `None` if they aren't there, or if rows are shorter than that.
    #[inline(always)]
    pub fn new(rows: &'a mut [T], stride: usize, first: usize) -> Option<Self> {
        (first.checked_add(W)? <= stride && stride.checked_mul(N)? <= rows.len()).then_some(())?;
        Some(Self { first: rows.as_mut_ptr().wrapping_add(first), stride, of: PhantomData })
    }

    /// The numbers of each row.
    #[inline(always)]
    pub fn rows(self) -> [&'a mut [T; W]; N] {
        // SAFETY: `new` found `N` rows of `stride` numbers, of which these are not the last ones; rows do not overlap.
        core::array::from_fn(|n| unsafe { &mut *self.first.wrapping_add(n * self.stride).cast::<[T; W]>() })
    }
}

/// `N` vectors side by side: what an operation needs beside them is made once for all.
#[derive(Clone, Copy)]
pub struct Vectors<const N: usize>(pub [F32x4; N]);

impl<const N: usize> Vectors<N> {
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([F32x4::splat(value); N])
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(F32x4, F32x4) -> F32x4) -> Self {
        let Self(mut all) = self;
        all.iter_mut().zip(other.0).for_each(|(a, b)| *a = f(*a, b));
        Self(all)
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, F32x4::plus)
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, F32x4::minus)
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        self.with(other, F32x4::times)
    }

    #[inline(always)]
    pub fn over(self, other: Self) -> Self {
        self.with(other, F32x4::over)
    }

    /// As [`F32x4::plus_product`].
    #[inline(always)]
    pub fn plus_product(self, a: Self, b: Self) -> Self {
        let Self(mut sums) = self;
        sums.iter_mut().zip(a.0).zip(b.0).for_each(|((sum, a), b)| *sum = sum.plus_product(a, b));
        Self(sums)
    }

    /// As [`F32x4::limited`].
    #[inline(always)]
    pub fn limited(self, min: f32, max: f32) -> Self {
        let (min, max) = (F32x4::splat(min), F32x4::splat(max));
        Self(self.0.map(|x| x.limited(min, max)))
    }

    /// As [`F32x4::power_of_two`].
    #[inline(always)]
    pub fn power_of_two(self) -> Self {
        Self(self.0.map(F32x4::power_of_two))
    }
}
