//! Which layers go to which kernel (host only).

use mote_runtime::kernels::binary_s8::SumS8;
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::fully_connected_f32::FullyConnectedF32;
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::pack::{Geometry, Packed, Packer};

use super::{
    add_s8_neon, conv_f32_neon, conv_s8_neon, depthwise_s8_neon, fully_connected_f32_neon,
    fully_connected_s8_neon, lut_s8_neon,
};

/// Chooses kernels for cores with NEON: all 64-bit ones.
pub struct Neon;

impl Packer for Neon {
    fn conv_s8(&self, layer: &ConvS8<'_>, geometry: Geometry) -> Packed {
        conv_s8_neon::pack(layer, geometry).unwrap_or_else(|| layer.pack())
    }

    fn depthwise_s8(&self, layer: &DepthwiseS8<'_>, geometry: Geometry) -> Packed {
        depthwise_s8_neon::pack(layer, geometry).unwrap_or_else(|| layer.pack())
    }

    fn fully_connected_s8(&self, layer: &FullyConnectedS8<'_>) -> Packed {
        fully_connected_s8_neon::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn add_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let own = if alike { add_s8_neon::pack(layer) } else { None };
        own.unwrap_or_else(|| layer.pack_add())
    }

    fn lut_s8(&self, layer: &LutS8<'_>) -> Packed {
        lut_s8_neon::pack(layer)
    }

    fn conv_f32(&self, layer: &ConvF32<'_>) -> Packed {
        conv_f32_neon::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn fully_connected_f32(&self, layer: &FullyConnectedF32<'_>) -> Packed {
        fully_connected_f32_neon::pack(layer).unwrap_or_else(|| layer.pack())
    }
}
