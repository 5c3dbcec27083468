//! Which layers go to which kernel (host only).

use mote_runtime::kernels::binary_s8::{MulS8, SumS8};
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_f32::DepthwiseF32;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::fully_connected_s8::FullyConnectedS8;
use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::matmul_s8::MatmulS8;
use mote_runtime::kernels::pack::{Geometry, Packed, Packer};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use mote_runtime::kernels::unary_f32::UnaryF32;

use super::{
    add_s8_simd128, conv_f32_simd128, conv_s8_simd128, depthwise_f32_simd128, depthwise_s8_simd128,
    depthwise_square_s8_simd128, fully_connected_s8_simd128, lut_s8_simd128, matmul_s8_simd128,
    mul_s8_simd128, pool_s8_simd128, spmm_f32_simd128, spmm_s8_simd128, strips::POSITIONS, unary_f32_simd128,
};

/// Chooses kernels for SIMD128.
pub struct Simd128;

impl Packer for Simd128 {
    fn conv_s8(&self, layer: &ConvS8<'_>, geometry: Geometry) -> Packed {
        conv_s8_simd128::pack(layer, geometry).unwrap_or_else(|| layer.pack())
    }

    fn depthwise_s8(&self, layer: &DepthwiseS8<'_>, _: Geometry) -> Packed {
        let square = depthwise_square_s8_simd128::pack(layer);
        square.or_else(|| depthwise_s8_simd128::pack(layer)).unwrap_or_else(|| layer.pack())
    }

    fn fully_connected_s8(&self, layer: &FullyConnectedS8<'_>) -> Packed {
        fully_connected_s8_simd128::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn add_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let own = if alike { add_s8_simd128::pack_add(layer) } else { None };
        own.unwrap_or_else(|| layer.pack_add())
    }

    fn sub_s8(&self, layer: &SumS8, alike: bool) -> Packed {
        let own = if alike { add_s8_simd128::pack_sub(layer) } else { None };
        own.unwrap_or_else(|| layer.pack_sub())
    }

    fn mul_s8(&self, layer: &MulS8, lens: [usize; 3]) -> Packed {
        mul_s8_simd128::pack(layer, lens).unwrap_or_else(|| layer.pack())
    }

    fn lut_s8(&self, layer: &LutS8<'_>) -> Packed {
        lut_s8_simd128::pack(layer)
    }

    fn average_pool_s8(&self, layer: &PoolS8) -> Packed {
        pool_s8_simd128::pack_average(layer).unwrap_or_else(|| layer.pack_average())
    }

    fn max_pool_s8(&self, layer: &PoolS8) -> Packed {
        pool_s8_simd128::pack_max(layer).unwrap_or_else(|| layer.pack_max())
    }

    fn matmul_s8(&self, layer: &MatmulS8) -> Packed {
        matmul_s8_simd128::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn conv_f32(&self, layer: &ConvF32<'_>) -> Packed {
        conv_f32_simd128::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn depthwise_f32(&self, layer: &DepthwiseF32<'_>) -> Packed {
        depthwise_f32_simd128::pack(layer).unwrap_or_else(|| layer.pack())
    }

    fn strip_s8(&self, _: Block) -> usize {
        POSITIONS
    }

    fn spmm_s8(&self, layer: &SpmmS8<'_>, block: Block, strip: usize) -> Packed {
        spmm_s8_simd128::pack(layer, block, strip).unwrap_or_else(|| layer.pack(block, strip))
    }

    fn strip_f32(&self, _: Block) -> usize {
        POSITIONS
    }

    fn spmm_f32(&self, layer: &SpmmF32<'_>, block: Block, strip: usize) -> Packed {
        spmm_f32_simd128::pack(layer, block, strip).unwrap_or_else(|| layer.pack(block, strip))
    }

    fn unary_f32(&self, layer: &UnaryF32) -> Packed {
        unary_f32_simd128::pack(layer).unwrap_or_else(|| layer.pack())
    }
}
