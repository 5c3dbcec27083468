//! What every kernel's `pack` gives to the compiler (host only).

use alloc::vec::Vec;

/// A kernel chosen and fed: everything of a step but its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Identifier of the kernel.
    pub kernel: u16,
    /// Its argument record.
    pub args: Vec<u8>,
    /// Its constants, in the layout that it reads; each is stored 16-byte aligned.
    pub blobs: Vec<Vec<u8>>,
    /// Bytes of scratch.
    pub scratch: usize,
}

impl Packed {
    /// A kernel without constants and scratch.
    pub fn new(kernel: u16, args: Vec<u8>) -> Self {
        Self { kernel, args, blobs: Vec::new(), scratch: 0 }
    }

    /// Adds a constant.
    pub fn with_blob<T: bytemuck::NoUninit>(mut self, values: &[T]) -> Self {
        self.blobs.push(bytemuck::cast_slice(values).to_vec());
        self
    }

    /// Adds a constant of real numbers, in half precision if so asked (saturated to its largest number).
    pub fn with_reals(self, values: &[f32], half: bool) -> Self {
        if !half {
            return self.with_blob(values);
        }
        let largest = f32::from(half::f16::MAX);
        let values: Vec<_> = values.iter().map(|v| half::f16::from_f32(v.clamp(-largest, largest))).collect();
        self.with_blob(&values)
    }
}

/// The bias as kernels read it: zeros where a layer has none.
pub fn bias_or_zeros(bias: &[f32], channels: usize) -> Vec<f32> {
    if bias.is_empty() { alloc::vec![0.0; channels] } else { bias.to_vec() }
}

/// How integer accumulators become output codes: the real factor per output channel (one, or one each), the
/// output's zero point, its clamp, and the rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct Requant {
    /// `s_in * s_w[c] / s_out`.
    pub factors: Vec<f64>,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
    /// [`SINGLE`](super::requantize::SINGLE) or [`DOUBLE`](super::requantize::DOUBLE).
    pub rounding: u8,
}
