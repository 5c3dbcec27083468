//! Packing of `matmul_s8_simd128`.

use mote_runtime::kernels::matmul_s8::{MatmulArgs, MatmulS8};
use mote_runtime::kernels::pack::Packed;

use super::{PLAIN, bits, fits, scratch};
use crate::kernels::id;

/// Most memory for a right matrix: larger ones are for the portable kernel.
const MOST: usize = 1 << 20;

/// The kernel, fed; `None` if it does not compute this product.
pub fn pack(layer: &MatmulS8) -> Option<Packed> {
    let packed = layer.pack();
    let args = MatmulArgs::read(&packed.args, 0)?;
    let sound = args.multiplier == 0 || (0..=31).contains(&bits(&args));
    let scratch = scratch(layer.depth, layer.columns);
    if !sound || layer.depth > 1 << 14 || scratch > MOST {
        return None;
    }
    let requant = &layer.requant;
    let is_plain = fits(&args, requant.factors.first().copied()? as f32)
        && requant.rounds_in_floats(args.multiplier, args.shift);
    let args = MatmulArgs { form: if is_plain { PLAIN } else { 0 }, ..args };
    Some(Packed { kernel: id::MATMUL_S8_SIMD128, args: args.to_bytes().to_vec(), scratch, ..packed })
}
