//! Packing of `layer_norm_s8_mve`.

use mote_runtime::kernels::layer_norm_s8::LayerNormS8;
use mote_runtime::kernels::pack::Packed;

use crate::kernels::id;
use crate::kernels::layer_norm_s8_dsp::constants;

/// The kernel, fed; `None` if 32 bits are not enough, or elements do not come in fours.
pub fn pack(layer: &LayerNormS8<'_>) -> Option<Packed> {
    let mut packed = constants(layer)?;
    let blob = packed.blobs.first_mut()?;
    if !layer.gamma.len().is_multiple_of(4) {
        return None;
    }
    for four in blob.as_chunks_mut::<32>().0 {
        let pairs = *four;
        for (i, pair) in pairs.as_chunks::<8>().0.iter().enumerate() {
            four[4 * i..][..4].copy_from_slice(&pair[..4]);
            four[16 + 4 * i..][..4].copy_from_slice(&pair[4..]);
        }
    }
    Some(Packed { kernel: id::LAYER_NORM_S8_MVE, ..packed })
}
