//! The operations in SIMD128.

use core::arch::wasm32::*;

/// Eight numbers of 16 bits.
#[derive(Clone, Copy)]
pub struct I16x8(v128);

/// Four numbers of 32 bits.
#[derive(Clone, Copy)]
pub struct I32x4(v128);

/// Sixteen codes.
#[derive(Clone, Copy)]
pub struct I8x16(v128);

/// Word `i` of all four, for each `i`.
#[inline(always)]
fn transposed([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    let [ab, cd] = [(a, b), (c, d)].map(|(a, b)| i32x4_shuffle::<0, 4, 1, 5>(a, b));
    let [ab2, cd2] = [(a, b), (c, d)].map(|(a, b)| i32x4_shuffle::<2, 6, 3, 7>(a, b));
    [
        i64x2_shuffle::<0, 2>(ab, cd),
        i64x2_shuffle::<1, 3>(ab, cd),
        i64x2_shuffle::<0, 2>(ab2, cd2),
        i64x2_shuffle::<1, 3>(ab2, cd2),
    ]
}

impl I8x16 {
    #[inline(always)]
    pub fn splat(code: i8) -> Self {
        Self(i8x16_splat(code))
    }

    #[inline(always)]
    pub fn load(codes: &[i8; 16]) -> Self {
        // SAFETY: a reference to all bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load(codes.as_ptr().cast()) })
    }

    /// Bytes: the first eight, and the others.
    #[inline(always)]
    pub fn of([low, high]: [u64; 2]) -> Self {
        Self(u64x2(low, high))
    }

    /// The first eight codes.
    #[inline(always)]
    pub fn first_widened(self) -> I16x8 {
        I16x8(i16x8_extend_low_i8x16(self.0))
    }

    /// Four codes, four times.
    #[inline(always)]
    pub fn repeated(codes: &[i8; 4]) -> Self {
        // SAFETY: a reference to all four bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load32_splat(codes.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn store(self, to: &mut [i8; 16]) {
        // SAFETY: a reference to all bytes that are written; any alignment is allowed.
        unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
    }

    /// Eight codes; the others are not to be counted on.
    #[inline(always)]
    pub fn half(codes: &[i8; 8]) -> Self {
        // SAFETY: a reference to all eight bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load64_zero(codes.as_ptr().cast()) })
    }

    /// The first eight codes of both in turns.
    #[inline(always)]
    pub fn zipped_halves(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self(i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b))
    }

    /// The first eight codes of both in turns, and the last eight.
    #[inline(always)]
    pub fn zipped(self, other: Self) -> [Self; 2] {
        let (a, b) = (self.0, other.0);
        let last = i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b);
        [self.zipped_halves(other), Self(last)]
    }

    /// Sixteen numbers as codes; those that are none as the nearest one.
    #[inline(always)]
    pub fn narrowed([low, high]: [I16x8; 2]) -> Self {
        Self(i8x16_narrow_i16x8(low.0, high.0))
    }

    /// Half `H` of the codes: the first eight, or the others.
    #[inline(always)]
    pub fn store_half<const H: usize>(self, to: &mut [i8; 8]) {
        // SAFETY: a reference to all eight bytes that are written; any alignment is allowed.
        unsafe { v128_store64_lane::<H>(self.0, to.as_mut_ptr().cast()) }
    }

    /// Of each four codes the first two, widened, and the last two.
    #[inline(always)]
    pub fn pairs(self) -> [I16x8; 2] {
        let (low, high) = (i16x8_extend_low_i8x16(self.0), i16x8_extend_high_i8x16(self.0));
        [I16x8(i32x4_shuffle::<0, 2, 4, 6>(low, high)), I16x8(i32x4_shuffle::<1, 3, 5, 7>(low, high))]
    }

    /// Pairs of the first eight codes of both in turns, and of the last eight.
    #[inline(always)]
    pub fn zipped_pairs(self, other: Self) -> [Self; 2] {
        I16x8(self.0).zipped(I16x8(other.0)).map(|half| Self(half.0))
    }

    /// Four codes `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        transposed(rows.map(|row| row.0)).map(Self)
    }

    /// Whether [`I8x16::looked_up`] counts the low four bits of numbers from 16 to 127.
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    pub fn looks_up_low_bits() -> bool {
        // The compiler must not know: engines differ.
        let places = core::hint::black_box(17);
        let found =
            i8x16_relaxed_swizzle(i8x16(0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), i8x16_splat(places));
        i8x16_extract_lane::<0>(found) == 1
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub const fn looks_up_low_bits() -> bool {
        false
    }

    /// Of sixteen codes that at each place, which may have any number that is a multiple of 16 added up to 127; 0 where
    /// the place is less than 0. Where the engine [counts low bits](I8x16::looks_up_low_bits).
    #[inline(always)]
    pub fn looked_up(self, places: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(i8x16_relaxed_swizzle(self.0, places.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(i8x16_swizzle(self.0, places.0))
    }

    /// The bits that differ.
    #[inline(always)]
    pub fn except(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(i8x16_sub(self.0, other.0))
    }

    /// The differences, or -128 where they would be less.
    #[inline(always)]
    pub fn minus_limited(self, other: Self) -> Self {
        Self(i8x16_sub_sat(self.0, other.0))
    }

    /// Each plus 128, as numbers from 0 to 255.
    #[inline(always)]
    pub fn raised(self) -> Self {
        Self(v128_xor(self.0, i8x16_splat(-128)))
    }

    /// Whether [`I8x16::plus_narrow_dot`] counts numbers from 128 on as what they are, and not as less than 0.
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    pub fn takes_numbers() -> bool {
        // The compiler must not know: engines differ.
        let number = core::hint::black_box(-1);
        let pairs = i16x8_relaxed_dot_i8x16_i7x16(i8x16_splat(1), i8x16_splat(number));
        i16x8_extract_lane::<0>(pairs) == 510
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub const fn takes_numbers() -> bool {
        false
    }

    /// `sums` and the products of four codes each with four numbers from 0 to 255, where sums of two products fit 16 bits
    /// (products with codes of 64 at most do) and the engine [takes numbers](I8x16::takes_numbers); with [`I16x8::ones`].
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    pub fn plus_narrow_dot(self, numbers: Self, sums: I32x4, ones: I16x8) -> I32x4 {
        let pairs = i16x8_relaxed_dot_i8x16_i7x16(self.0, numbers.0);
        I32x4(i32x4_add(sums.0, i32x4_dot_i16x8(pairs, ones.0)))
    }

    /// The same with four more of each, where sums of the four products that become one do, too.
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    pub fn plus_narrow_dots(
        self,
        [numbers, more]: [Self; 2],
        other: Self,
        sums: I32x4,
        ones: I16x8,
    ) -> I32x4 {
        let pairs = i16x8_relaxed_dot_i8x16_i7x16(self.0, numbers.0);
        let pairs = i16x8_add(pairs, i16x8_relaxed_dot_i8x16_i7x16(other.0, more.0));
        I32x4(i32x4_add(sums.0, i32x4_dot_i16x8(pairs, ones.0)))
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub fn plus_narrow_dots(self, [numbers, more]: [Self; 2], other: Self, sums: I32x4, _: I16x8) -> I32x4 {
        other.plus_dot(more, self.plus_dot(numbers, sums))
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    pub fn plus_narrow_dot(self, numbers: Self, sums: I32x4, _: I16x8) -> I32x4 {
        self.plus_dot(numbers, sums)
    }

    /// `sums` and the products of four codes each with four numbers from 0 to 255.
    #[cfg(feature = "dot")]
    #[inline(always)]
    pub fn plus_dot(self, numbers: Self, sums: I32x4) -> I32x4 {
        I32x4(i32x4_relaxed_dot_i8x16_i7x16_add(self.0, numbers.0, sums.0))
    }

    /// `sums` and the products of four codes each with four numbers from 0 to 255.
    #[cfg(not(feature = "dot"))]
    #[inline(always)]
    pub fn plus_dot(self, numbers: Self, sums: I32x4) -> I32x4 {
        let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(self.0), i16x8_extend_low_u8x16(numbers.0));
        let high = i32x4_dot_i16x8(i16x8_extend_high_i8x16(self.0), i16x8_extend_high_u8x16(numbers.0));
        let (even, odd) = (i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high));
        I32x4(i32x4_add(sums.0, i32x4_add(even, odd)))
    }
}

impl I16x8 {
    /// Ones, of which the compiler must not know: it would make them anew in every loop.
    #[inline(always)]
    pub fn ones() -> Self {
        core::hint::black_box(Self::splat(1))
    }

    #[inline(always)]
    pub fn splat(value: i16) -> Self {
        Self(i16x8_splat(value))
    }

    #[inline(always)]
    pub fn load(values: &[i16; 8]) -> Self {
        // SAFETY: a reference to all bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load(values.as_ptr().cast()) })
    }

    /// Eight codes.
    #[inline(always)]
    pub fn widened(codes: &[i8; 8]) -> Self {
        // SAFETY: a reference to all eight bytes that are read; any alignment is allowed.
        Self(unsafe { i16x8_load_extend_i8x8(codes.as_ptr()) })
    }

    /// Pair `P` of four, four times.
    #[inline(always)]
    pub fn pair<const P: usize>(pairs: &[i16; 8]) -> Self {
        const { assert!(P < 4) };
        // SAFETY: the pair is one of the four that the reference is to; any alignment is allowed.
        Self(unsafe { v128_load32_splat(pairs.as_ptr().cast::<u32>().add(P)) })
    }

    /// The second codes of two pairs, four times.
    #[inline(always)]
    pub fn seconds_repeated(pairs: &[[u8; 2]; 2]) -> Self {
        // SAFETY: a reference to all four bytes that are read; any alignment is allowed.
        Self(i16x8_shr(unsafe { v128_load32_splat(pairs.as_ptr().cast()) }, 8))
    }

    /// A pair, four times.
    #[inline(always)]
    pub fn repeated(pair: &[i16; 2]) -> Self {
        // SAFETY: a reference to all four bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load32_splat(pair.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn store(self, to: &mut [i16; 8]) {
        // SAFETY: a reference to all bytes that are written; any alignment is allowed.
        unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
    }

    /// Pairs of the first four numbers of both, and of the last four.
    #[inline(always)]
    pub fn zipped(self, other: Self) -> [Self; 2] {
        let (a, b) = (self.0, other.0);
        [
            Self(i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b)),
            Self(i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b)),
        ]
    }

    /// Pair `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        transposed(rows.map(|row| row.0)).map(Self)
    }

    /// Sums of the products of each pair.
    #[inline(always)]
    pub fn dot(self, other: Self) -> I32x4 {
        I32x4(i32x4_dot_i16x8(self.0, other.0))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(i16x8_add(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(i16x8_sub(self.0, other.0))
    }

    /// The larger of each two.
    #[inline(always)]
    pub fn larger(self, other: Self) -> Self {
        Self(i16x8_max(self.0, other.0))
    }

    /// Products of the first four numbers, and of the last four.
    #[inline(always)]
    pub fn products(self, other: Self) -> [I32x4; 2] {
        [I32x4(i32x4_extmul_low_i16x8(self.0, other.0)), I32x4(i32x4_extmul_high_i16x8(self.0, other.0))]
    }

    /// The first four numbers, and the last four.
    #[inline(always)]
    pub fn halves(self) -> [I32x4; 2] {
        [I32x4(i32x4_extend_low_i16x8(self.0)), I32x4(i32x4_extend_high_i16x8(self.0))]
    }

    /// Eight numbers, those that do not fit as the nearest one that does.
    #[inline(always)]
    pub fn narrowed([low, high]: [I32x4; 2]) -> Self {
        Self(i16x8_narrow_i32x4(low.0, high.0))
    }

    /// Each between `min` and `max`.
    #[inline(always)]
    pub fn limited(self, min: Self, max: Self) -> Self {
        Self(i16x8_min(i16x8_max(self.0, min.0), max.0))
    }

    /// Eight sums as codes between `min` and `max`.
    #[inline(always)]
    pub fn codes(sums: [I32x4; 2], min: Self, max: Self, to: &mut [i8; 8]) {
        let wide = Self::narrowed(sums).limited(min, max);
        I8x16::narrowed([wide; 2]).store_half::<0>(to);
    }
}

impl I32x4 {
    #[inline(always)]
    pub fn store(self, to: &mut [i32; 4]) {
        // SAFETY: a reference to all bytes that are written; any alignment is allowed.
        unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    pub fn splat(value: i32) -> Self {
        Self(i32x4_splat(value))
    }

    #[inline(always)]
    pub fn load(values: &[i32; 4]) -> Self {
        // SAFETY: a reference to all bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load(values.as_ptr().cast()) })
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(i32x4_add(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(i32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        Self(i32x4_mul(self.0, other.0))
    }

    /// Each between `-limit` and `limit`.
    #[inline(always)]
    pub fn limited(self, limit: Self) -> Self {
        Self(i32x4_max(i32x4_min(self.0, limit.0), i32x4_neg(limit.0)))
    }

    /// Arithmetic shift right.
    #[inline(always)]
    pub fn shifted_right(self, bits: u32) -> Self {
        Self(i32x4_shr(self.0, bits))
    }

    #[inline(always)]
    pub fn shifted_left(self, bits: u32) -> Self {
        Self(i32x4_shl(self.0, bits))
    }

    /// The bits that differ.
    #[inline(always)]
    pub fn except(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }

    /// Whole quotients of numbers from 0 to 2^16 by one of at most 255.
    #[inline(always)]
    pub fn over(self, divisor: f32) -> Self {
        let real = f32x4_add(f32x4_convert_i32x4(self.0), f32x4_splat(0.5));
        Self(i32x4_trunc_sat_f32x4(f32x4_mul(real, f32x4_splat(1.0 / divisor))))
    }

    /// Number `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        transposed(rows.map(|row| row.0)).map(Self)
    }

    /// The nearest real numbers.
    #[inline(always)]
    pub fn real(self) -> F32x4 {
        F32x4(f32x4_convert_i32x4(self.0))
    }

    /// Whether a bit is set in either.
    #[inline(always)]
    pub fn any(self, other: Self) -> bool {
        v128_any_true(v128_or(self.0, other.0))
    }

    /// `(self * factor + round) / 2^32`, rounded down.
    #[inline(always)]
    pub fn high(self, factor: Self, round: i64) -> Self {
        let round = i64x2_splat(round);
        let low = i64x2_add(i64x2_extmul_low_i32x4(self.0, factor.0), round);
        let high = i64x2_add(i64x2_extmul_high_i32x4(self.0, factor.0), round);
        Self(i32x4_shuffle::<1, 3, 5, 7>(low, high))
    }
}

/// Four real numbers.
#[derive(Clone, Copy)]
pub struct F32x4(v128);

impl F32x4 {
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self(f32x4_splat(value))
    }

    #[inline(always)]
    pub fn load(values: &[f32; 4]) -> Self {
        // SAFETY: a reference to all bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load(values.as_ptr().cast()) })
    }

    /// One number, four times.
    #[inline(always)]
    pub fn repeated(value: &f32) -> Self {
        // SAFETY: a reference to all bytes that are read; any alignment is allowed.
        Self(unsafe { v128_load32_splat(core::ptr::from_ref(value).cast()) })
    }

    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        // SAFETY: a reference to all bytes that are written; any alignment is allowed.
        unsafe { v128_store(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }

    #[inline(always)]
    pub fn over(self, other: Self) -> Self {
        Self(f32x4_div(self.0, other.0))
    }

    /// `self + a * b`, rounded once or twice.
    #[inline(always)]
    pub fn plus_product(self, a: Self, b: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(a.0, b.0, self.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_add(self.0, f32x4_mul(a.0, b.0)))
    }

    /// Each between `min` and `max`; what is no number becomes `min`.
    #[inline(always)]
    pub fn limited(self, min: Self, max: Self) -> Self {
        Self(f32x4_pmin(max.0, f32x4_pmax(min.0, self.0)))
    }

    /// The bits of each.
    #[inline(always)]
    pub fn bits(self) -> I32x4 {
        I32x4(self.0)
    }

    /// All bits where the magnitude is more than `limit`, else none.
    #[inline(always)]
    pub fn beyond(self, limit: Self) -> I32x4 {
        I32x4(f32x4_gt(f32x4_abs(self.0), limit.0))
    }

    /// `2^n` of numbers `1.5 * 2^23 + n`, `n` between -126 and 127.
    #[inline(always)]
    pub fn power_of_two(self) -> Self {
        Self(i32x4_add(i32x4_shl(self.0, 23), i32x4_splat(0x3f80_0000)))
    }

    /// Number `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        transposed(rows.map(|row| row.0)).map(Self)
    }
}
