//! What the tests share: numbers of the golden files (`tests/golden/README.md`), and `.safetensors` files of them.

// Not every test program needs all of it.
#![allow(dead_code)]

use base64::prelude::{BASE64_STANDARD, Engine};
use mote_runtime::random::word;
use safetensors::tensor::{Dtype, TensorView};

/// Name, shape and values of a tensor.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// A `.safetensors` file in f32.
pub fn safetensors(tensors: &[Named]) -> Vec<u8> {
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
    file(Dtype::F32, &tensors.iter().map(|(n, s, v)| (n.clone(), s.clone(), bytes(v))).collect::<Vec<_>>())
}

/// A `.safetensors` file of raw bytes.
pub fn file(dtype: Dtype, tensors: &[(String, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, shape, data)| (name.as_str(), TensorView::new(dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// What `families.py` fills a tensor with.
pub fn filled(name: &str, shape: &[usize], gain: f32) -> Vec<f32> {
    let last = name.rsplit('.').next().unwrap();
    let (mean, deviation) = match last {
        "weight" if shape.len() > 1 => {
            let fan_in: usize = shape[1..].iter().product();
            (0.0, (gain / fan_in as f32).sqrt())
        }
        "weight" | "running_var" => (1.0, 0.1),
        "gamma" => (0.3, 0.1),
        "attention_biases" => (0.0, 0.5),
        _ => (0.0, 0.03),
    };
    let seed = crc32fast::hash(name.as_bytes()).into();
    (0..shape.iter().product()).map(|i| mean + deviation * normal(seed, i)).collect()
}

/// A picture of `families.py`, channels last.
pub fn picture(seed: u64, [rows, columns]: [usize; 2]) -> Vec<f32> {
    let wide = columns.div_ceil(32);
    let pixel = |y: usize, x: usize, c: usize| {
        let level = normal(seed + (1 << 32), ((y / 32) * wide + x / 32) * 3 + c);
        (normal(seed, c) + level) + 0.1 * normal(seed + (2 << 32), (y * columns + x) * 3 + c)
    };
    (0..rows * columns * 3).map(|i| pixel(i / 3 / columns, i / 3 % columns, i % 3)).collect()
}

/// Number `index` of stream `seed`, roughly normal: mean 0, variance 1.
fn normal(seed: u64, index: usize) -> f32 {
    let word = word(seed, index as u64);
    let sum: u64 = (0..4).map(|lane| word >> (16 * lane) & 0xffff).sum();
    (sum as i32 - 131_070) as f32 * f32::from_bits(0x37dd_b3d7)
}

/// Little-endian f32 in base64.
pub fn decode(base64: &str) -> Vec<f32> {
    let bytes = BASE64_STANDARD.decode(base64).unwrap();
    bytes.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()
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
