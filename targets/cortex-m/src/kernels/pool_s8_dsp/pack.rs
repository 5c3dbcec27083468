//! Packing of the pools.

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::pool_s8::PoolS8;

use super::fits;
use crate::kernels::id;

/// `max_pool_s8_dsp`, fed; `None` if the kernel has too many taps.
pub fn pack_max(layer: &PoolS8) -> Option<Packed> {
    few_taps(layer).then(|| Packed { kernel: id::MAX_POOL_S8_DSP, ..layer.pack_max() })
}

/// `average_pool_s8_dsp`, fed; `None` if the kernel has too many taps.
pub fn pack_average(layer: &PoolS8) -> Option<Packed> {
    few_taps(layer).then(|| Packed { kernel: id::AVERAGE_POOL_S8_DSP, ..layer.pack_average() })
}

/// Whether the kernels have room for the taps.
pub(in crate::kernels) fn few_taps(layer: &PoolS8) -> bool {
    fits(layer.kernel_rows, layer.kernel_width)
}
