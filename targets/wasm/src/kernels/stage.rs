//! From accumulators to output codes, four channels in a vector.
//!
//! Products in floats, to which a number is added that leaves their whole part in the low bits, are right wherever the compiler
//! found factors for which they are (`requantize::steady`): nearly everywhere, if results are rounded once. Elsewhere they are
//! right which do not lie too close to the middle of two codes ([`Near`]), and the others are computed exactly.
//!
//! A vector is shifted by one number of bits, while channels have shifts of their own. So what is shifted is brought to
//! the largest shift of four channels first: `(a * m + 2^(t - 1)) >> t` equals `(a * 2^d * m + 2^(t + d - 1)) >> (t + d)`.
//! Where an accumulator times `2^d` might not fit, accumulators are limited to what saturates the code anyway.

use mote_runtime::kernels::requantize::WHOLE;
pub use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};

use crate::vector::{F32x4, I8x16, I16x8, I32x4, Tile};

/// What four channels need.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Four {
    /// First value of the sums.
    pub start: [i32; 4],
    /// The same where inputs are taken plus 128.
    pub raised: [i32; 4],
    pub multiplier: [i32; 4],
    /// The real factors.
    pub scale: [f32; 4],
    /// `2^d`.
    pub spread: [i32; 4],
    /// Largest accumulator that matters.
    pub limit: [i32; 4],
    /// Rounded once: 0 to 30, the bits beyond the upper half of the product. Rounded twice: 1 to 31, the second shift.
    pub shift: u32,
    /// Whether accumulators are to be limited.
    pub limited: u32,
    /// Real results are right up to this far from a whole number; less than 0 if they may be off by more.
    pub sure: f32,
    /// [`SINGLE`], [`DOUBLE`] or [`PLAIN`].
    pub rounding: u32,
}

/// As [`SINGLE`], where products in floats are right for every accumulator that occurs.
const PLAIN: u32 = 2;

// SAFETY: numbers of 32 bits without gaps, any of whose values is allowed.
unsafe impl bytemuck::Zeroable for Four {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Four {}

/// Eight channels.
pub type Block = [Four; 2];

/// The zero point and the clamp of a layer.
#[derive(Clone, Copy)]
pub struct Stage {
    zero_point: I32x4,
    /// [`WHOLE`].
    whole: F32x4,
    /// The zero point, less the bits of [`WHOLE`].
    from_bits: I32x4,
    min: I16x8,
    max: I16x8,
}

impl Stage {
    #[inline(always)]
    pub fn new(zero_point: i32, min: i8, max: i8) -> Self {
        let (min, max) = (I16x8::splat(min.into()), I16x8::splat(max.into()));
        let from_bits = I32x4::splat(zero_point.wrapping_sub(WHOLE.to_bits().cast_signed()));
        // Of which the compiler must not know: it would make them anew in every loop.
        let whole = core::hint::black_box(F32x4::splat(WHOLE));
        Self { zero_point: I32x4::splat(zero_point), whole, from_bits, min, max }
    }

    /// The codes of eight channels at the positions of a group.
    #[inline(always)]
    pub fn tile(&self, [s0, s1, s2, s3]: [[I32x4; 2]; 4], block: &Block, to: Tile<'_, i8, 4>) {
        let [t0, t1, t2, t3] = to.rows();
        if let Some(factors) = factors(block) {
            // Asked once, and factors stay in registers. No loop: sums would go through memory.
            self.plain(s0, factors, t0);
            self.plain(s1, factors, t1);
            self.plain(s2, factors, t2);
            self.plain(s3, factors, t3);
            return;
        }
        for (sums, to) in [s0, s1, s2, s3].into_iter().zip([t0, t1, t2, t3]) {
            self.careful(&sums, block, to);
        }
    }

    /// The codes of eight channels.
    #[inline(always)]
    pub fn codes(&self, sums: [I32x4; 2], block: &Block, to: &mut [i8; 8]) {
        match factors(block) {
            Some(factors) => self.plain(sums, factors, to),
            None => self.careful(&sums, block, to),
        }
    }

    /// The codes of eight channels all of which are plain.
    #[inline(always)]
    pub fn plain(&self, sums: [I32x4; 2], factors: [F32x4; 2], to: &mut [i8; 8]) {
        let ([low, high], [a, b]) = (sums, factors);
        I16x8::codes([self.rounded(low, a), self.rounded(high, b)], self.min, self.max, to);
    }

    /// The codes of a channel that is plain, at sixteen positions.
    #[inline(always)]
    pub fn channel(&self, sums: [[I32x4; 2]; 2], scale: &f32) -> I8x16 {
        let factor = F32x4::repeated(scale);
        let wide = sums.map(|sums| I16x8::narrowed(sums.map(|sum| self.rounded(sum, factor))));
        I8x16::narrowed(wide.map(|wide| wide.limited(self.min, self.max)))
    }

    /// Results of plain channels with the zero point, not yet limited.
    #[inline(always)]
    fn rounded(&self, sums: I32x4, factors: F32x4) -> I32x4 {
        sums.real().times(factors).plus(self.whole).bits().plus(self.from_bits)
    }

    /// The codes of eight channels, however they are rounded. A function of its own, which all kernels share.
    #[inline(never)]
    pub fn careful(&self, [low, high]: &[I32x4; 2], [first, last]: &Block, to: &mut [i8; 8]) {
        let exact = || [first.requantized(*low), last.requantized(*high)];
        self.store_near([first.near(*low), last.near(*high)], exact, to);
    }

    /// The codes of eight channels, or of as many as there is room for.
    #[inline(always)]
    pub fn put(&self, sums: [I32x4; 2], block: &Block, to: &mut [i8]) {
        eight_or_fewer(to, |to| self.codes(sums, block, to));
    }

    /// Eight results as codes; `exact` gives them where it has to be asked.
    #[inline(always)]
    pub fn store_near(&self, near: [Near; 2], exact: impl FnOnce() -> [I32x4; 2], to: &mut [i8; 8]) {
        let round = F32x4::splat(WHOLE);
        let shifted = near.map(|near| near.real.plus(round));
        let [Near { real: a, sure: sure_a }, Near { real: b, sure: sure_b }] = near;
        let [whole_a, whole_b] = shifted.map(|shifted| shifted.minus(round));
        if a.minus(whole_a).beyond(sure_a).any(b.minus(whole_b).beyond(sure_b)) {
            return self.store(exact(), to);
        }
        I16x8::codes(shifted.map(|shifted| shifted.bits().plus(self.from_bits)), self.min, self.max, to);
    }

    /// Eight requantized sums as codes.
    #[inline(always)]
    pub fn store(&self, [low, high]: [I32x4; 2], to: &mut [i8; 8]) {
        I16x8::codes([low.plus(self.zero_point), high.plus(self.zero_point)], self.min, self.max, to);
    }
}

/// Has eight codes made where they go, or elsewhere, if there is room for fewer only.
#[inline(always)]
pub fn eight_or_fewer(to: &mut [i8], make: impl FnOnce(&mut [i8; 8])) {
    match to.first_chunk_mut() {
        Some(to) => make(to),
        None => {
            let mut codes = [0; 8];
            make(&mut codes);
            to.iter_mut().zip(codes).for_each(|(to, code)| *to = code);
        }
    }
}

/// Four results in reals, which are right where they are no further than `sure` from a whole number.
#[derive(Clone, Copy)]
pub struct Near {
    pub real: F32x4,
    pub sure: F32x4,
}

/// What a product of 512 at most is off by: its factors and itself are rounded to 24 bits. More saturates codes.
const OFF: f32 = 512.0 * 4.0 / (1 << 24) as f32;

/// What rounding to a fraction of `bits` bits first may move a result by, and the direction in which it rounds the middle.
fn moved<const ROUNDING: u8>(bits: u32) -> f32 {
    if ROUNDING == SINGLE { 0.0 } else { 2.0 * inverse_power(bits) }
}

/// `2^-bits`, `bits` up to 126.
fn inverse_power(bits: u32) -> f32 {
    f32::from_bits(127u32.saturating_sub(bits) << 23)
}

/// Whether products in floats are right for all eight channels.
#[inline(always)]
pub fn is_plain([first, last]: &Block) -> bool {
    first.rounding & last.rounding == PLAIN
}

/// The factors of eight channels that are plain.
#[inline(always)]
pub fn factors(block: &Block) -> Option<[F32x4; 2]> {
    is_plain(block).then(|| block.each_ref().map(|four| F32x4::load(&four.scale)))
}

impl Four {
    #[inline(always)]
    fn near(&self, acc: I32x4) -> Near {
        Near { real: acc.real().times(F32x4::load(&self.scale)), sure: F32x4::repeated(&self.sure) }
    }

    #[inline(always)]
    pub fn start(&self) -> I32x4 {
        I32x4::load(&self.start)
    }

    #[inline(always)]
    pub fn raised(&self) -> I32x4 {
        I32x4::load(&self.raised)
    }

    /// `mote_runtime::kernels::requantize` of four accumulators.
    #[inline(always)]
    fn requantized(&self, acc: I32x4) -> I32x4 {
        let multiplier = I32x4::load(&self.multiplier);
        let acc = if self.limited != 0 { acc.limited(I32x4::load(&self.limit)) } else { acc };
        if self.rounding != DOUBLE.into() {
            let acc = acc.times(I32x4::load(&self.spread));
            return acc.high(multiplier, 1 << ((31 + self.shift) & 63)).shifted_right(self.shift);
        }
        let high = acc.plus(acc).high(multiplier, 1 << 31);
        let high = high.plus(high.shifted_right(31)).times(I32x4::load(&self.spread));
        let half = I32x4::splat(1 << (self.shift.wrapping_sub(1) & 31));
        high.plus(half).shifted_right(self.shift)
    }
}

/// A factor for all numbers of a tensor: multiplier, and the shift as in [`Four`] (0 to 31 if rounded twice).
#[derive(Clone, Copy)]
pub struct Factor {
    pub multiplier: i32,
    pub shift: u32,
}

impl Factor {
    /// Whether this makes sense.
    pub const fn is_sound(multiplier: i32, shift: u32) -> bool {
        multiplier >= 0 && shift <= 31
    }

    /// The factor as a real number, and how far from a whole number products with it are right.
    pub fn real<const ROUNDING: u8>(self) -> (f32, f32) {
        let bits = if ROUNDING == SINGLE { 32 } else { 31 };
        let real = self.multiplier as f32 * inverse_power(bits + self.shift);
        (real, 0.5 - OFF - moved::<ROUNDING>(self.shift))
    }

    /// The products, rounded.
    #[inline(always)]
    pub fn of<const ROUNDING: u8>(self, acc: I32x4) -> I32x4 {
        let multiplier = I32x4::splat(self.multiplier);
        if ROUNDING == SINGLE {
            return acc.high(multiplier, 1 << ((31 + self.shift) & 63)).shifted_right(self.shift);
        }
        let high = acc.plus(acc).high(multiplier, 1 << 31);
        if self.shift == 0 {
            return high;
        }
        let half = I32x4::splat(1 << (self.shift.wrapping_sub(1) & 31));
        high.plus(high.shifted_right(31)).plus(half).shifted_right(self.shift)
    }
}

#[cfg(feature = "pack")]
pub use host::{blocks, factor};

#[cfg(feature = "pack")]
mod host {
    use super::*;
    use alloc::vec::Vec;
    use mote_runtime::kernels::conv2d_s8::channels;
    use mote_runtime::kernels::pack::Requant;
    use mote_runtime::kernels::s8::Channel;

    /// Accumulators beside this never occur, or are limited.
    const ROOM: i64 = 1 << 30;

    /// The largest magnitude of an accumulator. What is padding has the zero point as its value, a code like others.
    fn largest(start: i32, weights: &[i8]) -> i64 {
        let sum = |low: i64, high: i64| -> i64 {
            weights.iter().map(|&w| i64::from(w) * if w < 0 { low } else { high }).sum()
        };
        let start = i64::from(start);
        (start + sum(127, -128)).abs().max((start + sum(-128, 127)).abs())
    }

    /// The blocks of a layer, whose weights have the output channel as first axis; `None` if a factor is 1/2 or more, or
    /// an accumulator could overflow.
    pub fn blocks(
        weights: &[i8],
        bias: &[i32],
        outputs: usize,
        zero_point: i32,
        requant: &Requant,
    ) -> Option<Vec<Block>> {
        let channels = channels(weights, bias, outputs, zero_point, requant);
        let inputs = weights.len() / outputs.max(1);
        let each: Vec<Own> = (channels.iter().zip(weights.chunks_exact(inputs.max(1))))
            .map(|(&channel, weights)| Own {
                channel,
                largest: largest(channel[0], weights),
                // A layer of 2^24 inputs: less than 2^31.
                sum: weights.iter().map(|&w| i32::from(w)).sum(),
            })
            .collect();
        let four = |each: &[Own]| four(each, requant);
        let mut fours = each.chunks(4).map(four).collect::<Option<Vec<Four>>>()?;
        if fours.len() % 2 == 1 {
            fours.push(four(&[])?);
        }
        Some(fours.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
    }

    /// A channel, the largest magnitude of its accumulators, and the sum of its weights.
    struct Own {
        channel: Channel,
        largest: i64,
        sum: i32,
    }

    fn four(channels: &[Own], requant: &Requant) -> Option<Four> {
        let rounding = requant.rounding;
        // Bits by which the product (rounded once) or its upper half is shifted.
        let first = if rounding == SINGLE { 32 } else { 1 };
        let bits = |shift: i32| if rounding == SINGLE { 31 - shift } else { -shift };
        // Nothing comes of a product that stays below one half: such channels need no shift.
        let matters = |[_, multiplier, shift]: Channel, largest: i64| {
            i128::from(largest) * i128::from(multiplier) >= 1i128 << (30 - shift)
        };
        let factors = channels.iter().filter(|own| matters(own.channel, own.largest));
        let all: Vec<i32> = factors.map(|own| bits(own.channel[2])).collect();
        if all.iter().any(|bits| *bits < first) {
            return None;
        }
        let shift = all.iter().copied().max().unwrap_or(first);
        let (mut four, mut limited) = (<Four as bytemuck::Zeroable>::zeroed(), false);
        four.sure = 0.5 - OFF;
        four.rounding = if rounding == SINGLE { PLAIN } else { rounding.into() };
        four.spread = [1; 4];
        four.limit = [(ROOM - 1) as i32; 4];
        for (lane, &Own { channel: [start, multiplier, own], largest, sum }) in channels.iter().enumerate() {
            if largest >= ROOM {
                return None;
            }
            four.start[lane] = start;
            // Accumulators wrap, so a start that wraps gives the same sums.
            four.raised[lane] = start.wrapping_sub(sum.wrapping_mul(128));
            if !matters([start, multiplier, own], largest) {
                continue;
            }
            four.multiplier[lane] = multiplier;
            let scale = f64::from(multiplier) / (1u64 << (31 - own)) as f64;
            four.scale[lane] = scale as f32;
            // Beyond, rounding by `WHOLE` does not even saturate.
            let fits = largest as f64 * scale < f64::from(1 << 21);
            if rounding == SINGLE && !(fits && requant.rounds_in_floats(multiplier, own)) {
                four.rounding = SINGLE.into();
            }
            let off = OFF + if rounding == SINGLE { 0.0 } else { moved::<DOUBLE>(bits(own) as u32) };
            four.sure = if fits { four.sure.min(0.5 - off) } else { -1.0 };
            let spread = shift - bits(own);
            if spread > 30 {
                return None;
            }
            if largest << spread >= ROOM {
                // 512 in codes saturates whatever the zero point is; multipliers are 2^30 or more.
                let limit = 1i64 << (10 - own);
                if limit << spread >= ROOM {
                    return None;
                }
                four.limit[lane] = limit as i32;
                limited = true;
            }
            four.spread[lane] = 1 << spread;
        }
        four.shift = (shift - if rounding == SINGLE { 32 } else { 0 }) as u32;
        four.limited = limited.into();
        Some(four)
    }

    /// The factor of `multiplier * 2^(shift - 31)`; `None` if it is 1/2 or more (1 or more, if rounded twice).
    pub fn factor(multiplier: i32, shift: i32, rounding: u8) -> Option<Factor> {
        let bits = if rounding == SINGLE { -1 - shift } else { -shift };
        let shift = if multiplier == 0 { 0 } else { u32::try_from(bits).ok().filter(|bits| *bits <= 31)? };
        Some(Factor { multiplier, shift })
    }
}

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::*;
    use mote_runtime::kernels::pack::Requant;
    use mote_runtime::kernels::requantize::{quantize_multiplier, requantize};

    #[test]
    fn equals_the_definition() {
        let scattered = (0..3000u32).map(|i| i.wrapping_mul(2654435761) as i32 >> (8 + i % 20));
        let powers = (0..24).flat_map(|k| (-2..=2).map(move |d| (1i32 << k) + d));
        let accumulators: alloc::vec::Vec<i32> = scattered.chain(powers).flat_map(|n| [n, -n]).collect();
        // Few and many bits between the channels of a block, the last of which is limited.
        for factors in
            [[0.011, 0.003, 0.4, 0.0001, 0.02, 0.0, 1e-6, 0.49], [0.3, 0.2, 3e-6, 0.1, 1e-9, 0.0, 0.2, 1e-5]]
        {
            for (rounding, zero_point) in [(SINGLE, -128), (SINGLE, 3), (DOUBLE, -7), (DOUBLE, 127)] {
                // As they are, some of which are not right in floats, and near ones which are.
                let near = requant(&factors, rounding, zero_point).steady().factors;
                for factors in [&factors[..], &near] {
                    codes_are_right(factors, rounding, zero_point, accumulators.iter().copied());
                }
                let requant = requant(&near, rounding, zero_point);
                // Accumulators of eight bits, whose results are no larger than floats hold.
                let [block] = blocks(&[1; 8], &[], 8, 0, &requant).unwrap()[..] else { panic!("one block") };
                assert_eq!(is_plain(&block), rounding == SINGLE);
            }
        }
    }

    fn requant(factors: &[f64], rounding: u8, zero_point: i32) -> Requant {
        Requant { factors: factors.to_vec(), zero_point, min: -100, max: 120, rounding }
    }

    fn codes_are_right(
        factors: &[f64],
        rounding: u8,
        zero_point: i32,
        accumulators: impl Iterator<Item = i32> + Clone,
    ) {
        let requant = requant(factors, rounding, zero_point);
        // Weights large enough that accumulators of 24 bits may occur, and such that channels are plain.
        for inputs in [1024, 8] {
            let most = 127 * 127 * inputs as i32;
            let blocks = blocks(&alloc::vec![127; 8 * inputs], &[], 8, 0, &requant).unwrap();
            let stage = Stage::new(zero_point, -100, 120);
            // Where results lie in the middle of two codes, and beside it.
            let middles = factors.iter().flat_map(|factor| {
                let middle = move |code: i32| ((f64::from(code) + 0.5) / factor) as i32;
                (-300..300)
                    .step_by(7)
                    .flat_map(move |code| (-3..=3).map(move |d| middle(code).saturating_add(d)))
            });
            for acc in accumulators.clone().chain(middles) {
                let acc = acc.clamp(-most, most);
                let sums = [I32x4::splat(acc); 2];
                let mut found = [0; 8];
                stage.codes(sums, &blocks[0], &mut found);
                for (factor, found) in factors.iter().zip(found) {
                    let (multiplier, shift) = quantize_multiplier(*factor);
                    let want = requantize(acc, multiplier, shift, rounding) + zero_point;
                    assert_eq!(i32::from(found), want.clamp(-100, 120), "{acc} {factor} {rounding}");
                }
            }
        }
    }
}
