//! Reading of golden files, in the formats of `tests/golden/README.md`.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `tests/golden/mlperf/<network>.json`, as far as it is needed here.
#[derive(Deserialize)]
pub struct Golden {
    pub input_shape: Vec<usize>,
    pub input_scale: f32,
    pub input_zero_point: i32,
    /// Every tensor that an operator writes.
    pub tensors: Vec<Tensor>,
    pub sets: Vec<Set>,
}

#[derive(Deserialize)]
pub struct Tensor {
    pub name: String,
}

/// A set of inputs and what became of them.
#[derive(Deserialize)]
pub struct Set {
    pub name: String,
    pub seed: Option<u64>,
    pub count: usize,
    /// Base64, one `u32` per sample.
    pub input_crc32: String,
    /// Base64, one `u32` per sample and tensor.
    pub crc32: String,
}

/// Reads the golden file of a network.
pub fn load(network: &str) -> Golden {
    let path = workspace().join(format!("tests/golden/mlperf/{network}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Root of the repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `shared/data` beside the repository, if it is there.
pub fn shared_data() -> Option<PathBuf> {
    let candidates = ["../shared/data", "../../shared/data"].map(|path| workspace().join(path));
    let named = std::env::var_os("MOTE_DATA").map(PathBuf::from);
    named.into_iter().chain(candidates).find(|path| path.is_dir())
}

/// Word `index` of stream `seed` of the random numbers.
pub fn word(seed: u64, index: usize) -> u64 {
    let z = seed.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Little-endian numbers in base64.
pub fn words(base64: &str) -> Vec<u32> {
    let bytes = BASE64_STANDARD.decode(base64).unwrap();
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}
