//! Packing of `depthwise_s8_neon`.

use alloc::vec::Vec;

use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Geometry, Packed};
use mote_runtime::kernels::target_s8::DepthwiseArgs;

use super::SLOTS;
use super::columns::{GROUP, Kernel, LANES, Weights, blocks, channel};
use crate::kernels::dot::is_narrow;
use crate::kernels::id;
use crate::kernels::stage::scaled;

/// The kernel, fed; `None` if it does not compute this layer exactly.
pub fn pack(layer: &DepthwiseS8<'_>, geometry: Geometry) -> Option<Packed> {
    let &DepthwiseS8 { weights, bias, in_channels, input_zero_point, ref requant, .. } = layer;
    let kernel = Kernel { rows: layer.kernel_rows, width: layer.kernel_width };
    let few = kernel.rows < SLOTS && kernel.width < SLOTS && kernel.groups() * GROUP <= SLOTS;
    if layer.multiplier != 1 || !(LANES / 2..1 << 20).contains(&in_channels) || !few {
        return None;
    }
    let scales = scaled(weights, bias, in_channels, input_zero_point, requant)?;
    let taps = kernel.rows * kernel.width;
    let weight = |block: usize, group: usize, i: usize| {
        let channel = channel(in_channels, block, i / GROUP);
        match (channel, kernel.is_tap(group * GROUP + i % GROUP)) {
            (Some(channel), Some(tap)) => weights[channel * taps + tap],
            _ => 0,
        }
    };
    let groups = kernel.groups();
    let packed: Vec<Weights> = (0..blocks(in_channels) * groups)
        .map(|i| core::array::from_fn(|k| weight(i / groups, i % groups, k)))
        .collect();
    let of = |block: usize, part: usize, lane: usize| {
        channel(in_channels, block, lane).map_or([0, 0, -1][part], |channel| scales[channel][part])
    };
    let scales: Vec<[[i32; LANES]; 3]> = (0..blocks(in_channels))
        .map(|block| core::array::from_fn(|part| core::array::from_fn(|lane| of(block, part, lane))))
        .collect();
    let args = DepthwiseArgs {
        form: is_narrow(weights).into(),
        rounding: requant.cheapest_rounding(),
        ..DepthwiseArgs::of_layer(layer)?
    };
    let packed = Packed::new(id::DEPTHWISE_S8_NEON, args.to_bytes())
        .with_blob(packed.as_flattened())
        .with_blob(&scales);
    Some(Packed { scratch: geometry.width * in_channels, ..packed })
}
