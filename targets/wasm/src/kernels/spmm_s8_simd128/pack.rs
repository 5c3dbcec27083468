//! Packing of `spmm_s8_simd128`.

use alloc::vec::Vec;

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_s8::SpmmS8;

use super::{FOURS, SINGLES, SUMS, strip_bytes};
use crate::kernels::id;
use crate::kernels::stage::blocks;
use crate::kernels::strips::POSITIONS;

/// The kernel, fed; `None` if it does not compute this layer, or has no loop for such blocks, or no room for its strips.
pub fn pack(layer: &SpmmS8<'_>, block: Block, strip: usize) -> Option<Packed> {
    let SpmmS8 { weights, bias, out_channels, input_zero_point, requant, .. } = *layer;
    // Any two products with numbers from 0 to 255 fit 16 bits.
    let is_small = weights.iter().all(|w| w.unsigned_abs() <= 64);
    if !(block == SINGLES || block == FOURS && is_small) || strip < POSITIONS {
        return None;
    }
    let scales = blocks(weights, bias, out_channels, input_zero_point, requant)?;
    let (mut stream, mut counts) = layer.stream(block);
    if block == SINGLES {
        (stream, counts) = even(&stream, &counts);
    }
    let counts: Vec<[i32; 1]> = counts.into_iter().map(|count| [count]).collect();
    let packed = layer.packed(id::SPMM_S8_SIMD128, block, POSITIONS, &stream, &counts);
    let packed = packed.with_blob(bytemuck::cast_slice::<_, i32>(&scales));
    let scratch = strip_bytes(layer.inputs() as u64) as usize + SUMS;
    Some(Packed { scratch, ..packed })
}

/// An entry of zero behind each odd number of them.
fn even(stream: &[u8], counts: &[i32]) -> (Vec<u8>, Vec<i32>) {
    let (mut filled, mut rest) = (Vec::new(), stream);
    for count in counts {
        let (own, behind) = rest.split_at(2 * *count as usize);
        filled.extend_from_slice(own);
        filled.resize(filled.len().next_multiple_of(4), 0);
        rest = behind;
    }
    (filled, counts.iter().map(|count| count + count % 2).collect())
}
