//! The samples: embedded bytes, or random ones that the host can make again.

use crate::app::Error;

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

/// Fills `input` with sample `index`.
pub fn write(index: usize, input: &mut [u8]) -> Result<(), Error> {
    match SOURCE {
        Source::Random { seed } => {
            let first = (index * input.len()) as u64;
            for (byte, i) in input.iter_mut().zip(first..) {
                *byte = random_byte(seed, i);
            }
            Ok(())
        }
        Source::Embedded { bytes } => {
            let input_bytes = input.len();
            let wrong = Error::Samples { sample_bytes: bytes.len() / COUNT.max(1), input_bytes };
            let mut chunks = bytes.chunks_exact(input_bytes.max(1));
            let sample = chunks.nth(index).ok_or(wrong)?;
            if sample.len() != input_bytes || bytes.len() != COUNT * input_bytes {
                return Err(wrong);
            }
            input.copy_from_slice(sample);
            Ok(())
        }
    }
}

#[allow(dead_code)] // an image is built with one of the two
enum Source {
    /// Value `i` of the stream is byte `i % n` of sample `i / n`, where a sample has n bytes.
    Random { seed: u64 },
    /// All samples, one behind the other.
    Embedded { bytes: &'static [u8] },
}

/// Value `i` of the int8 stream that `tests/golden/README.md` defines: the top byte of splitmix64,
/// computed from a counter.
fn random_byte(seed: u64, i: u64) -> u8 {
    let z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 56) as u8
}
