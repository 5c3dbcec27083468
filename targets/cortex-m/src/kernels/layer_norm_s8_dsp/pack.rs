//! Packing of `layer_norm_s8_dsp`.

use mote_runtime::kernels::layer_norm_s8::{LayerNormArgs, LayerNormS8};
use mote_runtime::kernels::pack::Packed;

use crate::kernels::id;

/// The kernel, fed; `None` if 32 bits are not enough for this layer.
pub fn pack(layer: &LayerNormS8<'_>) -> Option<Packed> {
    constants(layer).map(|packed| Packed { kernel: id::LAYER_NORM_S8_DSP, ..packed })
}

/// The portable kernel's arguments and constants, whose offsets include the last rounding and the zero point; `None` if
/// 32 bits are not enough.
pub fn constants(layer: &LayerNormS8<'_>) -> Option<Packed> {
    let mut packed = layer.pack();
    let args = LayerNormArgs::read(&packed.args, 0)?;
    let blob = packed.blobs.first_mut()?;
    // The magnitude of z, which has 16 fractional bits, and of its rounding.
    let largest = i128::from(((layer.gamma.len() as u64) << 32).isqrt() + 2);
    let limit = i128::from(i32::MAX) - 65536;
    if args.shift == 0 || largest << 32 >> args.shift > limit {
        return None;
    }
    for channel in blob.as_chunks_mut::<8>().0 {
        let (scale, offset) = channel.split_at_mut(4);
        let scale = i32::from_le_bytes((&*scale).try_into().ok()?);
        let own = i64::from(i32::from_le_bytes((&*offset).try_into().ok()?));
        let whole = own + (i64::from(args.zero_point) << 16) + (1 << 15);
        let reach = ((largest * i128::from(scale.unsigned_abs())) >> args.shift) + 1;
        if reach + i128::from(whole.unsigned_abs()) > limit {
            return None;
        }
        offset.copy_from_slice(&(whole as i32).to_le_bytes());
    }
    Some(packed)
}
