//! Packing of `matmul_s8`.

use super::MatmulArgs;
use crate::kernels::pack::{Packed, Requant};
use crate::kernels::portable::id;
use crate::kernels::requantize::quantize_multiplier;

/// A product of two computed matrices.
#[derive(Clone, Debug)]
pub struct MatmulS8 {
    /// Length of the axis that is summed over.
    pub depth: usize,
    /// Columns of the product.
    pub columns: usize,
    pub transpose_a: bool,
    pub transpose_b: bool,
    pub zero_a: i32,
    pub zero_b: i32,
    /// One factor: `s_a * s_b / s_out`.
    pub requant: Requant,
}

impl MatmulS8 {
    /// Kernel and arguments.
    pub fn pack(&self) -> Packed {
        let (multiplier, shift) = quantize_multiplier(self.requant.factors[0]);
        let args = MatmulArgs {
            depth: self.depth as u32,
            transpose_a: self.transpose_a.into(),
            transpose_b: self.transpose_b.into(),
            rounding: self.requant.rounding,
            form: 0,
            zero_a: self.zero_a,
            zero_b: self.zero_b,
            multiplier,
            shift,
            zero_point: self.requant.zero_point,
            min: self.requant.min as i8,
            max: self.requant.max as i8,
            reserved2: 0,
        };
        Packed::new(id::MATMUL_S8, args.to_bytes())
    }
}
