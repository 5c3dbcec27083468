//! Random samples that the host can make again (`tests/golden/README.md` defines them). Apps take this file as a module.

use mote_runtime::plan::DType;

/// Writes elements of the random stream of `seed`, from element `first` on: bytes of any type but f32, which gets
/// numbers from 0 to 1.
pub fn write(seed: u64, first: usize, dtype: DType, bytes: &mut [u8]) {
    let words = (first..).map(|i| word(seed, i as u64));
    if dtype == DType::F32 {
        let floats = words.map(|word| (word >> 40) as f32 * UNIFORM);
        let (elements, _) = bytes.as_chunks_mut();
        elements.iter_mut().zip(floats).for_each(|(to, from)| *to = from.to_le_bytes());
    } else {
        let top_bytes = words.map(|word| (word >> 56) as u8);
        bytes.iter_mut().zip(top_bytes).for_each(|(to, from)| *to = from);
    }
}

/// 2^-24: makes the top 24 bits of a word uniform in [0, 1).
const UNIFORM: f32 = 1.0 / (1 << 24) as f32;

/// Element `i` of the stream: splitmix64, computed from a counter. Not inlined: the samples are no part of what
/// is measured, and must not be much of what it occupies.
#[inline(never)]
fn word(seed: u64, i: u64) -> u64 {
    let z = seed.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
