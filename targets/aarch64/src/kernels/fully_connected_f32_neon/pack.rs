//! Packing of `fully_connected_f32_neon`.

use mote_runtime::kernels::fully_connected_f32::FullyConnectedF32;
use mote_runtime::kernels::pack::Packed;

use crate::kernels::id;

/// The kernel, fed; `None` for weights in half precision.
pub fn pack(layer: &FullyConnectedF32<'_>) -> Option<Packed> {
    (!layer.half).then(|| Packed {
        kernel: id::FULLY_CONNECTED_F32_NEON,
        scratch: 4 * layer.inputs,
        ..layer.pack()
    })
}
