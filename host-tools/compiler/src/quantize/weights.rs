//! Weights and biases of convolutions and dense layers.

use crate::graph::Quant;

/// Weights as codes.
pub(super) struct Weights {
    /// From `-largest` to `largest`.
    pub codes: Vec<i8>,
    pub largest: i8,
    /// One per output channel.
    pub scales: Vec<f32>,
}

/// Largest code of a bias: leaves room for the sum of products.
const LARGEST_BIAS: f64 = (1u32 << 30) as f64;

/// Symmetric codes per output channel (the first axis). `bias` may be empty; a channel whose bias would not fit an
/// `i32` at the accumulator's scale gets coarser weights. `largest_code` is what the largest weight of a channel becomes.
pub(super) fn quantize(
    weights: &[f32],
    bias: &[f32],
    channels: usize,
    input_scale: f32,
    largest_code: i8,
) -> Weights {
    let limit = f64::from(largest_code);
    let per_channel = (weights.len() / channels.max(1)).max(1);
    let largest = |w: &[f32]| w.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    let overall = largest(weights);
    let mut codes = Vec::with_capacity(weights.len());
    let mut scales = Vec::with_capacity(channels);
    for (channel, w) in weights.chunks(per_channel).enumerate() {
        let own = largest(w);
        let own = if own > 0.0 { own } else { overall };
        let scale = (if own > 0.0 { own / f32::from(largest_code) } else { 1.0 }).max(1e-20);
        let bias = bias.get(channel).copied().unwrap_or(0.0).abs();
        let least = (f64::from(bias) / (f64::from(input_scale) * LARGEST_BIAS)) as f32;
        let scale = scale.max(least);
        codes.extend(w.iter().map(|&x| (f64::from(x) / f64::from(scale)).round().clamp(-limit, limit) as i8));
        scales.push(scale);
    }
    Weights { codes, largest: largest_code, scales }
}

impl Weights {
    fn per_channel(&self) -> usize {
        (self.codes.len() / self.scales.len().max(1)).max(1)
    }

    /// What the codes stand for.
    pub fn reals(&self) -> Vec<f32> {
        let n = self.per_channel();
        self.codes.iter().enumerate().map(|(i, &code)| f32::from(code) * self.scales[i / n]).collect()
    }

    pub fn quant(&self) -> Quant {
        Quant { scales: self.scales.clone(), zero_points: vec![0; self.scales.len()], axis: Some(0) }
    }

    /// A bias as codes at the accumulator's scale, and their quantization.
    pub fn bias(&self, bias: &[f64], input_scale: f32) -> (Vec<i32>, Quant) {
        let scales: Vec<f32> = self.scales.iter().map(|s| s * input_scale).collect();
        let code =
            |(&b, &s): (&f64, &f32)| (b / f64::from(s)).round().clamp(-LARGEST_BIAS, LARGEST_BIAS) as i32;
        let codes = bias.iter().zip(&scales).map(code).collect();
        let zero_points = vec![0; scales.len()];
        (codes, Quant { scales, zero_points, axis: Some(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_uses_all_codes_and_errs_by_half_a_step() {
        let weights: Vec<f32> =
            (0..60).map(|i| ((i * 37 % 61) as f32 - 30.0) * 10f32.powi(i / 20 - 1)).collect();
        let quantized = quantize(&weights, &[], 3, 0.1, 127);
        for channel in 0..3 {
            let own = &quantized.codes[channel * 20..][..20];
            assert_eq!(own.iter().map(|c| c.unsigned_abs()).max(), Some(127));
            assert!(own.iter().all(|&c| c != -128));
        }
        for (i, (w, q)) in weights.iter().zip(quantized.reals()).enumerate() {
            assert!((w - q).abs() <= quantized.scales[i / 20] * 0.5001);
        }
    }

    #[test]
    fn dead_channels_and_large_biases_fit() {
        let weights = [0.0, 0.0, 1e-12, -1e-12, 1.0, 0.5];
        let bias = [3.0, 100.0, 0.1];
        let quantized = quantize(&weights, &bias, 3, 0.01, 127);
        let (codes, quant) = quantized.bias(&bias.map(f64::from), 0.01);
        for ((code, scale), bias) in codes.iter().zip(&quant.scales).zip(bias) {
            assert!((*code as f32 * scale - bias).abs() < 1e-4 * bias, "{code} {scale} {bias}");
        }
        assert_eq!(quantized.codes[..2], [0, 0]);
    }
}
