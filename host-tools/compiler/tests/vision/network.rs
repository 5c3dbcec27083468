//! Networks whose weights are recipes of random numbers (`tests/golden/vision/*.onnx.gz`), and their golden files.

use crate::golden::{decode, load, normal, path, skeleton};
use serde::Deserialize;

/// A golden file, as far as both kinds of networks have the same fields.
#[derive(Deserialize)]
pub struct Golden {
    weights_crc32: u32,
    input_shape: Vec<usize>,
    input_seeds: Vec<u64>,
    #[serde(default)]
    input_sums: Vec<f64>,
    logits: Vec<String>,
}

impl Golden {
    pub fn load(model: &str) -> Self {
        load(&format!("vision/{model}.json"))
    }

    /// The pictures, channels last, each with ONNX Runtime's logits for it.
    pub fn samples(&self) -> Vec<(Vec<f32>, Vec<f32>)> {
        let [_, c, h, w] = self.input_shape[..] else { panic!("{:?}", self.input_shape) };
        let samples = self.input_seeds.iter().zip(&self.logits).enumerate();
        let sample = |(i, (&seed, logits)): (usize, (&u64, &String))| {
            let picture = picture(seed, [c, h, w]);
            if let Some(told) = self.input_sums.get(i) {
                let sum: f64 = picture.iter().map(|&x| f64::from(x)).sum();
                assert!(
                    (sum - told).abs() < 1e-6 * told.abs().max(1.0),
                    "picture {i}: sum {sum}, not {told}"
                );
            }
            (picture, decode(logits, f32::from_le_bytes))
        };
        samples.map(sample).collect()
    }

    /// The network as an ONNX file with all its weights.
    pub fn network(&self, model: &str) -> Vec<u8> {
        skeleton::fill(&path(&format!("vision/{model}.onnx.gz")), self.weights_crc32)
    }
}

/// A random picture with structure at three sizes, channels last.
fn picture(seed: u64, [c, h, w]: [usize; 3]) -> Vec<f32> {
    let (blocks_high, blocks_wide) = (h.div_ceil(32), w.div_ceil(32));
    let pixel = |y: usize, x: usize, channel: usize| {
        let block = (channel * blocks_high + y / 32) * blocks_wide + x / 32;
        (0.5 * normal(seed, channel) + normal(seed + (1 << 32), block))
            + 0.25 * normal(seed + (2 << 32), (channel * h + y) * w + x)
    };
    (0..h * w * c).map(|i| pixel(i / c / w, i / c % w, i % c)).collect()
}

#[test]
fn normal_numbers_have_their_bits() {
    let bits: Vec<u32> = (0..6).map(|i| normal(42, i).to_bits()).collect();
    assert_eq!(bits, [0xbf44_9833, 0x3f98_080c, 0xbf89_a84e, 0x3e98_5a52, 0xc013_f39f, 0x3e89_c77b]);
    let scaled: Vec<u32> = (0..6).map(|i| (0.5 + 0.1 * normal(42, i)).to_bits()).collect();
    assert_eq!(scaled, [0x3ed8_ae5c, 0x3f1e_6802, 0x3ec8_efe1, 0x3f07_9e1e, 0x3e89_a380, 0x3f06_e393]);
}
