//! Packing of `layer_norm_s8`.

use alloc::vec::Vec;

use super::LayerNormArgs;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// Layer normalization of int8 codes.
#[derive(Clone, Debug)]
pub struct LayerNormS8<'a> {
    /// One per channel; its length is the depth, at most [`MAX_DEPTH`](super::MAX_DEPTH).
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub epsilon: f64,
    pub input_scale: f64,
    pub output_scale: f64,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

impl LayerNormS8<'_> {
    /// Kernel, arguments and constants.
    pub fn pack(&self) -> Packed {
        let depth = self.gamma.len();
        let epsilon = (depth * depth) as f64 * self.epsilon / (self.input_scale * self.input_scale) * 256.0;
        let epsilon = libm::round(epsilon.min((1u64 << 55) as f64)) as u64;
        let scales: Vec<f64> = self.gamma.iter().map(|&g| f64::from(g) / self.output_scale).collect();
        let largest = scales.iter().fold(0.0f64, |largest, scale| largest.max(scale.abs()));
        // As many bits as the largest scale leaves.
        let shift = (29 - libm::frexp(largest).1).clamp(0, 31) as u32;
        let unit = (1u64 << shift) as f64;
        let channels: Vec<[i32; 2]> = scales
            .iter()
            .zip(self.beta)
            .map(|(scale, &beta)| {
                let offset = f64::from(beta) / self.output_scale * 65536.0;
                // The conversion saturates.
                [libm::round(scale * unit) as i32, libm::round(offset) as i32]
            })
            .collect();
        let args = LayerNormArgs {
            depth: depth as u32,
            epsilon_low: epsilon as u32,
            epsilon_high: (epsilon >> 32) as u32,
            shift,
            zero_point: self.zero_point,
            min: self.min as i8,
            max: self.max as i8,
            reserved: 0,
        };
        Packed::new(id::LAYER_NORM_S8, args.to_bytes()).with_blob(&channels)
    }
}
