//! Packing of the pools.

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::pool_s8::PoolS8;

use crate::kernels::id;
use crate::kernels::pool_s8_dsp::few_taps;

/// `max_pool_s8_mve`, fed; `None` if the kernel has too many taps.
pub fn pack_max(layer: &PoolS8) -> Option<Packed> {
    few_taps(layer).then(|| Packed { kernel: id::MAX_POOL_S8_MVE, ..layer.pack_max() })
}

/// `average_pool_s8_mve`, fed; `None` if the kernel has too many taps.
pub fn pack_average(layer: &PoolS8) -> Option<Packed> {
    few_taps(layer).then(|| Packed { kernel: id::AVERAGE_POOL_S8_MVE, ..layer.pack_average() })
}
