//! A number kept in memory that outlives resets, so that a reset at any time leaves either the old or the new one.

use crate::device::Keep;
use core::convert::Infallible;

/// Memory of 32-bit words that outlives resets: written in order, a word whole or not at all.
pub trait Words {
    fn read(&self, index: usize) -> u32;
    fn write(&mut self, index: usize, value: u32);
}

/// Keeps a [`crate::device::Device`]'s counter in the first [`Slots::WORDS`] words: two slots, each the number and its
/// complement, of which the older one is written. A slot that was cut off has no right complement.
#[derive(Debug)]
pub struct Slots<W>(pub W);

impl<W: Words> Slots<W> {
    pub const WORDS: usize = 2 * SLOT;

    fn slot(&self, slot: usize) -> Option<u64> {
        let number = |first: usize| {
            let [low, high] = [0, 1].map(|word| u64::from(self.0.read(SLOT * slot + first + word)));
            high << 32 | low
        };
        let (number, complement) = (number(0), number(2));
        (number == !complement).then_some(number)
    }
}

const SLOT: usize = 4;

impl<W: Words> Keep for Slots<W> {
    type Error = Infallible;

    fn load(&mut self) -> Result<u64, Infallible> {
        Ok(self.slot(0).max(self.slot(1)).unwrap_or(0))
    }

    fn store(&mut self, number: u64) -> Result<(), Infallible> {
        // `None` is less than any number.
        let older = usize::from(self.slot(1) < self.slot(0));
        let words = [number as u32, (number >> 32) as u32, !number as u32, (!number >> 32) as u32];
        for (word, value) in words.into_iter().enumerate() {
            self.0.write(SLOT * older + word, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses its power before so many further writes.
    #[derive(Clone)]
    struct Memory {
        words: [u32; 8],
        left: usize,
    }

    impl Words for Memory {
        fn read(&self, index: usize) -> u32 {
            self.words[index]
        }
        fn write(&mut self, index: usize, value: u32) {
            if self.left > 0 {
                self.left -= 1;
                self.words[index] = value;
            }
        }
    }

    #[test]
    fn a_reset_leaves_the_old_number_or_the_new_one() {
        for garbage in [0, u32::MAX, 0x5a5a_5a5a] {
            let mut slots = Slots(Memory { words: [garbage; 8], left: usize::MAX });
            assert_eq!(slots.load(), Ok(0), "memory that was never written");
            let mut last = 0;
            for number in [1, 257, 0xffff_ffff, 0x1_0000_0000, u64::MAX - 1] {
                for writes in 0..=4 {
                    let mut cut = Slots(Memory { left: writes, ..slots.0.clone() });
                    let _ = cut.store(number);
                    // The last words may be what they were, so that the new number is there early.
                    let found = cut.load();
                    assert!(
                        found == Ok(number) || (found == Ok(last) && writes < 4),
                        "{writes} writes: {found:?}"
                    );
                }
                let _ = slots.store(number);
                last = number;
            }
        }
    }
}
