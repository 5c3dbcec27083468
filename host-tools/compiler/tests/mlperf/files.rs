//! The golden files of the MLPerf Tiny networks.

use crate::golden::{decode, load};
use serde::Deserialize;

/// `mlperf/<network>.json`, as far as it is needed here.
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

impl Golden {
    pub fn load(network: &str) -> Self {
        load(&format!("mlperf/{network}.json"))
    }
}

pub fn words(base64: &str) -> Vec<u32> {
    decode(base64, u32::from_le_bytes)
}
