//! Packing of `lut_s8_simd128`.

use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::pack::Packed;

use crate::kernels::id;

/// The kernel, fed.
pub fn pack(layer: &LutS8<'_>) -> Packed {
    Packed { kernel: id::LUT_S8_SIMD128, ..layer.pack() }
}
