//! Packing of `attention_f32`.

use super::AttentionF32Args;
use crate::kernels::attention::AttentionShape;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// Attention of several heads.
#[derive(Clone, Debug)]
pub struct AttentionF32<'a> {
    pub shape: AttentionShape,
    /// Factor before the softmax.
    pub scale: f32,
    /// `[heads, queries, keys]`, or empty.
    pub bias: &'a [f32],
}

impl AttentionF32<'_> {
    pub fn pack(&self) -> Packed {
        let mut args = self.shape.to_bytes();
        args.extend(AttentionF32Args { scale: self.scale }.to_bytes());
        let mut packed = Packed::new(id::ATTENTION_F32, args);
        packed.scratch = 4 * self.shape.scores() as usize;
        if self.bias.is_empty() { packed } else { packed.with_blob(&self.shape.bias_by_query(self.bias)) }
    }
}
