//! Packing of `matmul_s8_simd128`.

use mote_runtime::kernels::matmul_s8::{MatmulArgs, MatmulS8};
use mote_runtime::kernels::pack::Packed;

use super::{bits, scratch};
use crate::kernels::id;

/// The kernel, fed; `None` if it does not compute this product.
pub fn pack(layer: &MatmulS8) -> Option<Packed> {
    let packed = layer.pack();
    let args = MatmulArgs::read(&packed.args, 0)?;
    let sound = args.multiplier == 0 || (0..=31).contains(&bits(&args));
    if !sound || layer.depth > 1 << 14 {
        return None;
    }
    Some(Packed { kernel: id::MATMUL_S8_SIMD128, scratch: scratch(layer.depth), ..packed })
}
