//! Float matrix products for the compiler.

use super::MatMulF32Args;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// `C[m, n] = A[m, k] * B[k, n]`, floats. A row of operand 0 is one whole `A`, a row of operand 1 one whole `B`, an
/// output row one whole `C`; a batch that broadcasts is a window of stride 0.
#[derive(Clone, Copy, Debug)]
pub struct MatMulF32 {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// `A` is stored as `[k, m]`.
    pub transpose_a: bool,
    /// `B` is stored as `[n, k]`.
    pub transpose_b: bool,
}

impl MatMulF32 {
    pub fn pack(&self) -> Packed {
        let args = MatMulF32Args {
            m: self.m as u32,
            k: self.k as u32,
            n: self.n as u32,
            transpose_a: self.transpose_a.into(),
            transpose_b: self.transpose_b.into(),
            reserved: 0,
        };
        Packed::new(id::MATMUL_F32, args.to_bytes())
    }
}
