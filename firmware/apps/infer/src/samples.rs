//! The samples: embedded bytes, or random numbers that the host can make again
//! (`tests/golden/README.md` defines them).

use mote_runtime::{engine::TensorMut, plan::DType};

use crate::app::Error;

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

#[allow(dead_code)] // an image is built with one of the two
enum Source {
    /// Element `i` of the stream is element `i % n` of sample `i / n`, where a sample has n elements.
    Random { seed: u64 },
    /// All samples, one behind the other.
    Embedded { bytes: &'static [u8] },
}

/// Fills `input` with sample `index`.
pub fn write(index: usize, input: &mut TensorMut<'_>) -> Result<(), Error> {
    match SOURCE {
        Source::Random { seed } => {
            let words = (index * input.len()..).map(|i| random_word(seed, i as u64));
            if input.dtype() == DType::F32 {
                let floats = words.map(|word| (word >> 40) as f32 * UNIFORM);
                input.as_f32_mut()?.iter_mut().zip(floats).for_each(|(to, from)| *to = from);
            } else {
                let top_bytes = words.map(|word| (word >> 56) as u8);
                input.bytes_mut().iter_mut().zip(top_bytes).for_each(|(to, from)| *to = from);
            }
            Ok(())
        }
        Source::Embedded { bytes } => {
            let (given, needed) = (bytes.len() / COUNT.max(1), input.bytes_mut().len());
            let sample = bytes.chunks_exact(given.max(1)).nth(index).filter(|_| given == needed);
            let sample = sample.ok_or(Error::Samples { given, needed })?;
            input.bytes_mut().iter_mut().zip(sample).for_each(|(to, from)| *to = *from);
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
