//! What all readers of golden files need, in the formats of `tests/golden/README.md`. Each test program has the rest,
//! for the files that it alone reads, beside itself.

// Not every test program reads these.
#[allow(dead_code)]
pub mod published;
#[allow(dead_code)]
pub mod skeleton;
#[allow(dead_code)]
pub mod streams;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Root of the repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Path of a file below `tests/golden`.
pub fn path(file: &str) -> PathBuf {
    workspace().join("tests/golden").join(file)
}

/// A file of the data that lie beside the repository (or where `MOTE_DATA` says); without it, says so.
#[allow(dead_code)] // Not every test program needs data.
pub fn data_file(file: &str) -> Option<Vec<u8>> {
    let named = std::env::var_os("MOTE_DATA").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace().join("../shared/data"));
    let bytes = std::fs::read(folder.join(file)).ok();
    if bytes.is_none() {
        println!("skipped: ../shared/data/{file} is not here");
    }
    bytes
}

/// Reads a JSON file below `tests/golden`.
pub fn load<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(path(file)).unwrap()).unwrap()
}

/// Little-endian numbers in base64.
pub fn decode<T, const BYTES: usize>(base64: &str, number: fn([u8; BYTES]) -> T) -> Vec<T> {
    let bytes = BASE64_STANDARD.decode(base64).unwrap();
    bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
}

/// Word `index` of stream `seed` of the random numbers.
pub fn word(seed: u64, index: usize) -> u64 {
    mote_runtime::random::word(seed, index as u64)
}

/// Number `index` of stream `seed`, roughly normal: mean 0, variance 1.
pub fn normal(seed: u64, index: usize) -> f32 {
    let word = word(seed, index);
    let sum: u64 = (0..4).map(|lane| word >> (16 * lane) & 0xffff).sum();
    (sum as i32 - 131_070) as f32 * f32::from_bits(0x37dd_b3d7)
}

/// Largest difference of two answers.
pub fn difference(own: &[f32], other: &[f32]) -> f32 {
    assert_eq!(own.len(), other.len());
    own.iter().zip(other).fold(0.0, |most, (a, b)| if (a - b).abs() <= most { most } else { (a - b).abs() })
}

/// Distance of the largest and the smallest value.
pub fn range(values: &[f32]) -> f32 {
    let largest = |sign: f32| values.iter().fold(f32::NEG_INFINITY, |most, x| most.max(sign * x));
    largest(1.0) + largest(-1.0)
}
