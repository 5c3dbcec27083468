//! Packing of `attention_s8_mve`.

use mote_runtime::kernels::attention_s8::AttentionS8;
use mote_runtime::kernels::pack::Packed;

use crate::kernels::id;

/// The kernel, fed.
pub fn pack(layer: &AttentionS8<'_>) -> Packed {
    Packed { kernel: id::ATTENTION_S8_MVE, ..layer.pack() }
}
