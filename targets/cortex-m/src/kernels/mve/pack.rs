//! Which layers go to which kernel (host only).

use mote_runtime::kernels::attention_s8::AttentionS8;
use mote_runtime::kernels::binary_s8::{MulS8, SumS8};
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::layer_norm_s8::LayerNormS8;
use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::pack::{Geometry, Packed, Packer};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::running_sum::RunningSum;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_s8::SpmmS8;

use crate::kernels::pack::Dsp;
use crate::kernels::{
    add_s8_mve, attention_s8_mve, conv_s8_mve, depthwise_s8_mve, depthwise3x3_s8_mve, fully_connected_s8_mve,
    layer_norm_s8_dsp, layer_norm_s8_mve, lut_s8_mve, mul_s8_mve, pool_s8_mve, running_sum_s8_mve,
};

/// Chooses kernels for cores with Helium.
pub struct Helium;

impl Packer for Helium {
    fn rows_at_a_time(&self) -> usize {
        2
    }

    fn conv_s8(&self, layer: &ConvS8<'_>, geometry: Geometry) -> Packed {
        conv_s8_mve::pack(layer, geometry).unwrap_or_else(|| layer.pack())
    }

    fn depthwise_s8(&self, layer: &DepthwiseS8<'_>, geometry: Geometry) -> Packed {
        depthwise3x3_s8_mve::pack(layer, geometry)
            .or_else(|| depthwise_s8_mve::pack(layer))
            .unwrap_or_else(|| layer.pack())
    }

    fn fully_connected_s8(&self, layer: &FullyConnectedS8<'_>) -> Packed {
        fully_connected_s8_mve::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn add_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let own = if alike { add_s8_mve::pack_add(layer) } else { None };
        own.unwrap_or_else(|| layer.pack_add())
    }

    fn sub_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let own = if alike { add_s8_mve::pack_sub(layer) } else { None };
        own.unwrap_or_else(|| layer.pack_sub())
    }

    fn mul_s8(&self, layer: &MulS8, lens: [usize; 3]) -> Packed {
        mul_s8_mve::pack(layer, lens).unwrap_or_else(|| layer.pack())
    }

    fn lut_s8(&self, layer: &LutS8<'_>) -> Packed {
        lut_s8_mve::pack(layer)
    }

    fn average_pool_s8(&self, layer: &PoolS8) -> Packed {
        pool_s8_mve::pack_average(layer).unwrap_or_else(|| layer.pack_average())
    }

    fn max_pool_s8(&self, layer: &PoolS8) -> Packed {
        pool_s8_mve::pack_max(layer).unwrap_or_else(|| layer.pack_max())
    }

    fn running_sum_s8(&self, layer: &RunningSum) -> Packed {
        running_sum_s8_mve::pack(layer).unwrap_or_else(|| layer.pack_s8())
    }

    fn strip_s8(&self, block: Block) -> usize {
        Dsp.strip_s8(block)
    }

    fn strip_f32(&self, block: Block) -> usize {
        Dsp.strip_f32(block)
    }

    fn spmm_s8(&self, layer: &SpmmS8<'_>, block: Block, strip: usize) -> Packed {
        Dsp.spmm_s8(layer, block, strip)
    }

    fn attention_s8(&self, layer: &AttentionS8<'_>) -> Packed {
        attention_s8_mve::pack(layer)
    }

    fn layer_norm_s8(&self, layer: &LayerNormS8<'_>) -> Packed {
        layer_norm_s8_mve::pack(layer)
            .or_else(|| layer_norm_s8_dsp::pack(layer))
            .unwrap_or_else(|| layer.pack())
    }
}

/// Chooses kernels without an own loop for the layer's window, where [`Helium`] takes one with it.
pub struct HeliumGeneral;

impl Packer for HeliumGeneral {
    fn depthwise_s8(&self, layer: &DepthwiseS8<'_>, _: Geometry) -> Packed {
        depthwise_s8_mve::pack(layer).unwrap_or_else(|| layer.pack())
    }
}
