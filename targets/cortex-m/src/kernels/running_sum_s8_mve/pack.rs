//! Packing of `running_sum_s8_mve`.

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::running_sum::RunningSum;

use crate::kernels::id;

/// The kernel, fed; `None` if channels do not come in fours.
pub fn pack(layer: &RunningSum) -> Option<Packed> {
    layer.channels.is_multiple_of(4).then(|| Packed { kernel: id::RUNNING_SUM_S8_MVE, ..layer.pack_s8() })
}
