//! What a loader put into the board's memory, so that one image serves many devices: the device's key, and its samples.
//! Words are little-endian:
//!
//! | what | bytes |
//! |---|---|
//! | `MOTR` | 4 |
//! | number of samples, bytes of a sample | 4 + 4 |
//! | secret key (ed25519) | 32 |
//! | class of each sample | 1 each |
//! | samples, as the frozen network's input has them | each |

use crate::Error;

pub struct Job {
    pub secret: &'static [u8; 32],
    pub count: usize,
    pub sample_bytes: usize,
    pub classes: &'static [u8],
    samples: &'static [u8],
}

impl Job {
    pub fn read(received: &'static [u8]) -> Result<Job, Error> {
        Self::parse(received).ok_or(Error::Job { given: 0, needed: 1 })
    }

    fn parse(received: &'static [u8]) -> Option<Job> {
        let rest = received.strip_prefix(b"MOTR")?;
        let (count, rest) = rest.split_first_chunk()?;
        let (sample_bytes, rest) = rest.split_first_chunk()?;
        let (secret, rest) = rest.split_first_chunk()?;
        let [count, sample_bytes] = [*count, *sample_bytes].map(|word| u32::from_le_bytes(word) as usize);
        let (classes, rest) = rest.split_at_checked(count)?;
        let samples = rest.get(..count.checked_mul(sample_bytes)?)?;
        Some(Job { secret, count, sample_bytes, classes, samples })
    }

    pub fn samples(&self) -> impl Iterator<Item = &'static [u8]> {
        self.samples.chunks_exact(self.sample_bytes.max(1))
    }
}
