//! Packing of `attention_s8_dsp`.

use mote_runtime::kernels::attention_s8::AttentionS8;
use mote_runtime::kernels::pack::Packed;

use super::fits;
use crate::kernels::id;

/// The kernel, fed; `None` if elements of heads do not come in fours.
pub fn pack(layer: &AttentionS8<'_>) -> Option<Packed> {
    fits(&layer.shape).then(|| Packed { kernel: id::ATTENTION_S8_DSP, ..layer.pack() })
}
