//! Float layer normalisation for the compiler.

use super::LayerNormF32Args;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over vectors as long as `gamma`, of which a row holds one or
/// several. The operand may be in place.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormF32<'a> {
    pub gamma: &'a [f32],
    /// As long as `gamma`.
    pub beta: &'a [f32],
    pub epsilon: f32,
}

impl LayerNormF32<'_> {
    pub fn pack(&self) -> Packed {
        let args = LayerNormF32Args { depth: self.gamma.len() as u32, epsilon: self.epsilon };
        Packed::new(id::LAYER_NORM_F32, args.to_bytes()).with_blob(self.gamma).with_blob(self.beta)
    }
}
