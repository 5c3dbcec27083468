//! The operations in plain Rust.

/// Eight numbers of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct I16x8([i16; 8]);

/// Four numbers of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct I32x4([i32; 4]);

/// Sixteen codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct I8x16([i8; 16]);

/// What 16 bits hold.
fn limited(sum: i32) -> i32 {
    sum.clamp(i16::MIN.into(), i16::MAX.into())
}

impl I8x16 {
    #[inline(always)]
    pub fn splat(code: i8) -> Self {
        Self([code; 16])
    }

    #[inline(always)]
    pub fn load(codes: &[i8; 16]) -> Self {
        Self(*codes)
    }

    /// Bytes: the first eight, and the others.
    #[inline(always)]
    pub fn of(halves: [u64; 2]) -> Self {
        let halves = halves.map(u64::to_le_bytes);
        Self(core::array::from_fn(|i| halves[i / 8][i % 8].cast_signed()))
    }

    /// The first eight codes.
    #[inline(always)]
    pub fn first_widened(self) -> I16x8 {
        I16x8(core::array::from_fn(|i| self.0[i].into()))
    }

    /// Four codes, four times.
    #[inline(always)]
    pub fn repeated(codes: &[i8; 4]) -> Self {
        Self(core::array::from_fn(|i| codes[i % 4]))
    }

    #[inline(always)]
    pub fn store(self, to: &mut [i8; 16]) {
        *to = self.0;
    }

    /// Eight codes; the others are not to be counted on.
    #[inline(always)]
    pub fn half(codes: &[i8; 8]) -> Self {
        Self(core::array::from_fn(|i| codes[i % 8]))
    }

    /// The first eight codes of both in turns.
    #[inline(always)]
    pub fn zipped_halves(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| [self.0, other.0][i % 2][i / 2]))
    }

    /// The first eight codes of both in turns, and the last eight.
    #[inline(always)]
    pub fn zipped(self, other: Self) -> [Self; 2] {
        [0, 8].map(|first| Self(core::array::from_fn(|i| [self.0, other.0][i % 2][first + i / 2])))
    }

    /// Sixteen numbers as codes; those that are none as the nearest one.
    #[inline(always)]
    pub fn narrowed(halves: [I16x8; 2]) -> Self {
        Self(core::array::from_fn(|i| halves[i / 8].0[i % 8].clamp(i8::MIN.into(), i8::MAX.into()) as i8))
    }

    /// Half `H` of the codes: the first eight, or the others.
    #[inline(always)]
    pub fn store_half<const H: usize>(self, to: &mut [i8; 8]) {
        *to = core::array::from_fn(|i| self.0[8 * H + i]);
    }

    /// Of each four codes the first two, widened, and the last two.
    #[inline(always)]
    pub fn pairs(self) -> [I16x8; 2] {
        [0, 2].map(|first| I16x8(core::array::from_fn(|i| self.0[i / 2 * 4 + first + i % 2].into())))
    }

    /// Pairs of the first eight codes of both in turns, and of the last eight.
    #[inline(always)]
    pub fn zipped_pairs(self, other: Self) -> [Self; 2] {
        let both = [self.0, other.0];
        [0, 8].map(|first| Self(core::array::from_fn(|i| both[i / 2 % 2][first + i / 4 * 2 + i % 2])))
    }

    /// Four codes `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|i| Self(core::array::from_fn(|k| rows[k / 4].0[4 * i + k % 4])))
    }

    /// As of SIMD128: whether the next function can be taken.
    #[inline(always)]
    pub const fn looks_up_low_bits() -> bool {
        true
    }

    /// Of sixteen codes that at each place, of whose bits the low four count; 0 where the place is less than 0.
    #[inline(always)]
    pub fn looked_up(self, places: Self) -> Self {
        Self(places.0.map(|place| if place < 0 { 0 } else { self.0[place as usize % 16] }))
    }

    /// The bits that differ.
    #[inline(always)]
    pub fn except(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].wrapping_sub(other.0[i])))
    }

    /// The differences, or -128 where they would be less.
    #[inline(always)]
    pub fn minus_limited(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].saturating_sub(other.0[i])))
    }

    /// Each plus 128, as numbers from 0 to 255.
    #[inline(always)]
    pub fn raised(self) -> Self {
        Self(self.0.map(|code| code ^ -128))
    }

    /// `sums` and the products of four codes each with four numbers from 0 to 255.
    #[inline(always)]
    pub fn plus_dot(self, numbers: Self, sums: I32x4) -> I32x4 {
        let product = |i: usize| i32::from(self.0[i]) * i32::from(numbers.0[i].cast_unsigned());
        let four = |i: usize| (4 * i..4 * i + 4).map(product).sum::<i32>();
        I32x4(core::array::from_fn(|i| sums.0[i].wrapping_add(four(i))))
    }

    /// As of SIMD128: whether the next function can be taken.
    #[inline(always)]
    pub const fn takes_numbers() -> bool {
        true
    }

    /// `sums` and the products of four codes each with four numbers from 0 to 255; sums of two products are limited to 16 bits.
    #[inline(always)]
    pub fn plus_narrow_dot(self, numbers: Self, sums: I32x4, _: I16x8) -> I32x4 {
        let product = |i: usize| i32::from(self.0[i]) * i32::from(numbers.0[i].cast_unsigned());
        let two = |i: usize| limited(product(i) + product(i + 1));
        I32x4(core::array::from_fn(|i| sums.0[i].wrapping_add(two(4 * i) + two(4 * i + 2))))
    }

    /// The same with four more of each: sums of four products are limited, too.
    #[inline(always)]
    pub fn plus_narrow_dots(self, [numbers, more]: [Self; 2], other: Self, sums: I32x4, _: I16x8) -> I32x4 {
        let product = |w: Self, x: Self, i: usize| i32::from(w.0[i]) * i32::from(x.0[i].cast_unsigned());
        let two = |w, x, i| product(w, x, i) + product(w, x, i + 1);
        let four = |i| limited(two(self, numbers, i) + two(other, more, i));
        I32x4(core::array::from_fn(|i| sums.0[i].wrapping_add(four(4 * i) + four(4 * i + 2))))
    }
}

impl I16x8 {
    #[inline(always)]
    pub const fn ones() -> Self {
        Self([1; 8])
    }

    #[inline(always)]
    pub fn splat(value: i16) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    pub fn load(values: &[i16; 8]) -> Self {
        Self(*values)
    }

    /// Eight codes.
    #[inline(always)]
    pub fn widened(codes: &[i8; 8]) -> Self {
        Self(codes.map(i16::from))
    }

    /// Pair `P` of four, four times.
    #[inline(always)]
    pub fn pair<const P: usize>(pairs: &[i16; 8]) -> Self {
        let (a, b) = (pairs[2 * P], pairs[2 * P + 1]);
        Self([a, b, a, b, a, b, a, b])
    }

    /// The second codes of two pairs, four times.
    #[inline(always)]
    pub fn seconds_repeated(&[[_, a], [_, b]]: &[[u8; 2]; 2]) -> Self {
        Self::repeated(&[a, b].map(|code| i16::from(code.cast_signed())))
    }

    /// A pair, four times.
    #[inline(always)]
    pub fn repeated(&[a, b]: &[i16; 2]) -> Self {
        Self([a, b, a, b, a, b, a, b])
    }

    #[inline(always)]
    pub fn store(self, to: &mut [i16; 8]) {
        *to = self.0;
    }

    /// Pairs of the first four numbers of both, and of the last four.
    #[inline(always)]
    pub fn zipped(self, other: Self) -> [Self; 2] {
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (self.0, other.0);
        [Self([a, i, b, j, c, k, d, l]), Self([e, m, f, n, g, o, h, p])]
    }

    /// Pair `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|i| Self(core::array::from_fn(|k| rows[k / 2].0[2 * i + k % 2])))
    }

    /// Sums of the products of each pair.
    #[inline(always)]
    pub fn dot(self, other: Self) -> I32x4 {
        let product = |i: usize| i32::from(self.0[i]) * i32::from(other.0[i]);
        I32x4(core::array::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1))))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].wrapping_sub(other.0[i])))
    }

    /// The larger of each two.
    #[inline(always)]
    pub fn larger(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].max(other.0[i])))
    }

    /// Products of the first four numbers, and of the last four.
    #[inline(always)]
    pub fn products(self, other: Self) -> [I32x4; 2] {
        let product = |i: usize| i32::from(self.0[i]) * i32::from(other.0[i]);
        [I32x4(core::array::from_fn(product)), I32x4(core::array::from_fn(|i| product(4 + i)))]
    }

    /// The first four numbers, and the last four.
    #[inline(always)]
    pub fn halves(self) -> [I32x4; 2] {
        self.products(Self([1; 8]))
    }

    /// Eight numbers, those that do not fit as the nearest one that does.
    #[inline(always)]
    pub fn narrowed(halves: [I32x4; 2]) -> Self {
        Self(core::array::from_fn(|i| limited(halves[i / 4].0[i % 4]) as i16))
    }

    /// Each between `min` and `max`.
    #[inline(always)]
    pub fn limited(self, min: Self, max: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i].max(min.0[i]).min(max.0[i])))
    }

    /// Eight sums as codes between `min` and `max`.
    #[inline(always)]
    pub fn codes([low, high]: [I32x4; 2], min: Self, max: Self, to: &mut [i8; 8]) {
        *to = core::array::from_fn(|i| {
            let value = if i < 4 { low.0[i] } else { high.0[i - 4] };
            let value = value.clamp(-32768, 32767) as i16;
            value.max(min.0[i]).min(max.0[i]).clamp(-128, 127) as i8
        });
    }
}

impl I32x4 {
    #[inline(always)]
    pub fn store(self, to: &mut [i32; 4]) {
        *to = self.0;
    }

    #[inline(always)]
    pub fn splat(value: i32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    pub fn load(values: &[i32; 4]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, i32::wrapping_add)
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, i32::wrapping_sub)
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        self.with(other, i32::wrapping_mul)
    }

    /// Each between `-limit` and `limit`.
    #[inline(always)]
    pub fn limited(self, limit: Self) -> Self {
        self.with(limit, |value, limit| value.min(limit).max(limit.wrapping_neg()))
    }

    /// Arithmetic shift right.
    #[inline(always)]
    pub fn shifted_right(self, bits: u32) -> Self {
        Self(self.0.map(|value| value >> (bits & 31)))
    }

    #[inline(always)]
    pub fn shifted_left(self, bits: u32) -> Self {
        Self(self.0.map(|value| value << (bits & 31)))
    }

    /// The bits that differ.
    #[inline(always)]
    pub fn except(self, other: Self) -> Self {
        self.with(other, |a, b| a ^ b)
    }

    /// Whole quotients of numbers from 0 to 2^16 by one of at most 255.
    #[inline(always)]
    pub fn over(self, divisor: f32) -> Self {
        let factor = 1.0 / divisor;
        Self(self.0.map(|x| ((x as f32 + 0.5) * factor) as i32))
    }

    /// Number `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|i| Self(rows.map(|row| row.0[i])))
    }

    /// The nearest real numbers.
    #[inline(always)]
    pub fn real(self) -> F32x4 {
        F32x4(self.0.map(|value| value as f32))
    }

    /// Whether a bit is set in either.
    #[inline(always)]
    pub fn any(self, other: Self) -> bool {
        self.0 != [0; 4] || other.0 != [0; 4]
    }

    /// `(self * factor + round) / 2^32`, rounded down.
    #[inline(always)]
    pub fn high(self, factor: Self, round: i64) -> Self {
        self.with(factor, |a, b| ((i64::from(a) * i64::from(b) + round) >> 32) as i32)
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(i32, i32) -> i32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

/// Four real numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct F32x4([f32; 4]);

impl F32x4 {
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    pub fn load(values: &[f32; 4]) -> Self {
        Self(*values)
    }

    /// One number, four times.
    #[inline(always)]
    pub fn repeated(value: &f32) -> Self {
        Self([*value; 4])
    }

    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        *to = self.0;
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    pub fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }

    #[inline(always)]
    pub fn over(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }

    /// `self + a * b`, rounded once or twice.
    #[inline(always)]
    pub fn plus_product(self, a: Self, b: Self) -> Self {
        self.plus(a.times(b))
    }

    /// Each between `min` and `max`; what is no number becomes `min`.
    #[inline(always)]
    pub fn limited(self, min: Self, max: Self) -> Self {
        let above = self.with(min, |x, min| if x > min { x } else { min });
        above.with(max, |x, max| if x < max { x } else { max })
    }

    /// The bits of each.
    #[inline(always)]
    pub fn bits(self) -> I32x4 {
        I32x4(self.0.map(|x| x.to_bits().cast_signed()))
    }

    /// All bits where the magnitude is more than `limit`, else none.
    #[inline(always)]
    pub fn beyond(self, limit: Self) -> I32x4 {
        I32x4(core::array::from_fn(|i| if self.0[i].abs() > limit.0[i] { -1 } else { 0 }))
    }

    /// `2^n` of numbers `1.5 * 2^23 + n`, `n` between -126 and 127.
    #[inline(always)]
    pub fn power_of_two(self) -> Self {
        Self(self.0.map(|x| f32::from_bits((x.to_bits() << 23).wrapping_add(0x3f80_0000))))
    }

    /// Number `i` of all four, for each `i`.
    #[inline(always)]
    pub fn transposed(rows: [Self; 4]) -> [Self; 4] {
        core::array::from_fn(|i| Self(core::array::from_fn(|k| rows[k].0[i])))
    }

    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}
