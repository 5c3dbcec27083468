//! Packing of `spmm_f32_simd128`.

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_f32::SpmmF32;

use super::SUMS;
use crate::kernels::id;
use crate::kernels::strips::POSITIONS;

/// The kernel, fed; `None` for weights in half precision or in blocks, or where there is no room for its strips.
pub fn pack(layer: &SpmmF32<'_>, block: Block, strip: usize) -> Option<Packed> {
    if layer.half || block != Block::of(1, 1) || strip < POSITIONS {
        return None;
    }
    let packed = layer.pack(block, POSITIONS);
    Some(Packed { kernel: id::SPMM_F32_SIMD128, scratch: packed.scratch + SUMS, ..packed })
}
