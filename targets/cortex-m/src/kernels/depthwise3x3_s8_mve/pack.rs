//! Packing of `depthwise3x3_s8_mve`.

use alloc::vec::Vec;

use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Geometry, Packed};

use super::{Depthwise3x3Args, OUTPUTS, WEIGHTS, scratch};
use crate::kernels::id;
use crate::kernels::mve::stage::scaled;

/// The kernel, fed; `None` if it does not compute this layer exactly, or not faster than `depthwise_s8_mve`.
pub fn pack(layer: &DepthwiseS8<'_>, geometry: Geometry) -> Option<Packed> {
    let &DepthwiseS8 { weights, bias, in_channels, input_zero_point, ref requant, .. } = layer;
    let shape = (layer.kernel_rows, layer.kernel_width, layer.dilation, layer.multiplier);
    let few = in_channels * OUTPUTS < 1 << 16;
    // Of one or two columns not enough outputs lie side by side.
    if shape != (3, 3, 1, 1) || !(1..=2).contains(&layer.stride) || !few || geometry.columns < 3 {
        return None;
    }
    let scales = scaled(weights, bias, in_channels, input_zero_point, requant)?;
    let mut packed: Vec<i8> = [0; WEIGHTS].into();
    for taps in weights.chunks_exact(9) {
        let weight = |column: usize, row: usize| {
            if column < 3 && row < 3 { taps[row * 3 + column] } else { 0 }
        };
        packed.extend((0..WEIGHTS).map(|i| weight(i / 4, i % 4)));
    }
    let args = Depthwise3x3Args {
        channels: in_channels as u32,
        stride: layer.stride as u16,
        pad_left: layer.pad_left as i16,
        input_zero_point,
        zero_point: requant.zero_point,
        min: i8::try_from(requant.min).ok()?,
        max: i8::try_from(requant.max).ok()?,
        reserved: 0,
    };
    let kernel = id::DEPTHWISE3X3_S8_MVE + u16::from(requant.cheapest_rounding());
    let packed = Packed::new(kernel, args.to_bytes()).with_blob(&packed).with_blob(&scales);
    Some(Packed { scratch: scratch(geometry.columns, layer.stride), ..packed })
}
