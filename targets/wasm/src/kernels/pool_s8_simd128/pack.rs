//! Packing of `average_pool_s8_simd128` and `max_pool_s8_simd128`.

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::pool_s8::PoolS8;

use crate::kernels::id;

/// The kernel, fed; `None` for windows of more codes.
pub fn pack_average(layer: &PoolS8) -> Option<Packed> {
    fits(layer).then(|| Packed { kernel: id::AVERAGE_POOL_S8_SIMD128, ..layer.pack_average() })
}

/// As [`pack_average`], of the largest code.
pub fn pack_max(layer: &PoolS8) -> Option<Packed> {
    fits(layer).then(|| Packed { kernel: id::MAX_POOL_S8_SIMD128, ..layer.pack_max() })
}

fn fits(layer: &PoolS8) -> bool {
    layer.kernel_rows * layer.kernel_width < 256
}
