//! Float softmax for the compiler.

use super::SoftmaxF32Args;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// `softmax(beta * x)` over vectors of `depth` numbers, of which a row holds one or several. The operand may be in
/// place.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxF32 {
    pub depth: usize,
    pub beta: f32,
}

impl SoftmaxF32 {
    pub fn pack(&self) -> Packed {
        let args = SoftmaxF32Args { depth: self.depth as u32, beta: self.beta };
        Packed::new(id::SOFTMAX_F32, args.to_bytes())
    }
}
