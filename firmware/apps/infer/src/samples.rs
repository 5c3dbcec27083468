//! The samples: embedded bytes, or random numbers that the host can make again
//! (`tests/golden/README.md` defines them).

use mote_runtime::{engine::Format, plan::DType};

use crate::app::Error;

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

#[allow(dead_code)] // an image is built with one of the two
enum Source {
    /// Element `i` of the stream is element `i % n` of sample `i / n`, where a sample has n elements.
    Random { seed: u64 },
    /// All samples, one behind the other.
    Embedded { bytes: &'static [u8] },
}

/// Writes the elements of sample `index` from element `first` on.
pub fn write(index: usize, format: &Format, first: usize, bytes: &mut [u8]) -> Result<(), Error> {
    match SOURCE {
        Source::Random { seed } => {
            let words = (index * format.len() + first..).map(|i| random_word(seed, i as u64));
            if format.dtype() == DType::F32 {
                let floats = words.map(|word| (word >> 40) as f32 * UNIFORM);
                let (elements, _) = bytes.as_chunks_mut();
                elements.iter_mut().zip(floats).for_each(|(to, from)| *to = from.to_le_bytes());
            } else {
                let top_bytes = words.map(|word| (word >> 56) as u8);
                bytes.iter_mut().zip(top_bytes).for_each(|(to, from)| *to = from);
            }
            Ok(())
        }
        Source::Embedded { bytes: samples } => {
            let (given, needed) = (samples.len() / COUNT.max(1), format.bytes());
            let sample = samples.chunks_exact(given.max(1)).nth(index).filter(|_| given == needed);
            let part = sample.and_then(|sample| sample.get(first * format.dtype().size()..));
            let part = part.ok_or(Error::Samples { given, needed })?;
            bytes.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            Ok(())
        }
    }
}

/// 2^-24: makes the top 24 bits of a word uniform in [0, 1).
const UNIFORM: f32 = 1.0 / (1 << 24) as f32;

/// Element `i` of the stream: splitmix64, computed from a counter. Not inlined: the samples are no part of what
/// is measured, and must not be much of what it occupies.
#[inline(never)]
fn random_word(seed: u64, i: u64) -> u64 {
    let z = seed.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
