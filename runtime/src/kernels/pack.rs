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
