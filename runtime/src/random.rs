//! Random numbers that are the same on every machine: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
//! Number Generators, 2014, figure 16).

/// What a stream's state grows by.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number `index` of the stream that a seed makes, without those before.
pub const fn word(seed: u64, index: u64) -> u64 {
    let z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of numbers made from a seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn bits(&mut self) -> u64 {
        let bits = word(self.0, 0);
        self.0 = self.0.wrapping_add(STEP);
        bits
    }

    /// From `0 .. 1`, a multiple of 2^-24.
    pub const fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// From `0 .. end`; 0 where `end` is. Of 2^32 draws at most `end` favour a number.
    pub const fn below(&mut self, end: u32) -> u32 {
        (((self.bits() >> 32) * end as u64) >> 32) as u32
    }

    /// An order in which each other one is as likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            // Refused where both are the same one: nothing is to be done then.
            if let Ok([a, b]) = items.get_disjoint_mut([last, other]) {
                core::mem::swap(a, b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_the_published_ones() {
        let mut random = Random::new(1_234_567);
        let want = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(want.map(|_| random.bits()), want);
        assert_eq!([0, 1, 2].map(|index| word(1_234_567, index)), want);
    }

    #[test]
    fn shuffles_keep_all_and_move_most() {
        let mut items: [u32; 100] = core::array::from_fn(|i| i as u32);
        Random::new(5).shuffle(&mut items);
        assert!(items.iter().enumerate().filter(|(i, item)| *i as u32 == **item).count() < 10);
        items.sort_unstable();
        assert!(items.iter().enumerate().all(|(i, item)| i as u32 == *item));
    }
}
