//! Kernels for SIMD128: one folder per operator, as in `mote_runtime::kernels`.
//!
//! [`WASM`] holds these kernels and the portable ones.

pub mod add_s8_simd128;
pub mod conv_f32_simd128;
pub mod conv_s8_simd128;
pub mod depthwise_f32_simd128;
pub mod depthwise_s8_simd128;
pub mod depthwise_square_s8_simd128;
pub mod fully_connected_s8_simd128;
mod functions;
mod gather;
pub mod gemm;
pub mod gemm_f32;
pub mod lut_s8_simd128;
pub mod matmul_s8_simd128;
pub mod mul_s8_simd128;
#[cfg(feature = "pack")]
pub mod pack;
mod pieces;
pub mod pool_s8_simd128;
pub mod spmm_f32_simd128;
pub mod spmm_s8_simd128;
pub mod stage;
mod strips;
pub mod unary_f32_simd128;

use self::stage::{DOUBLE, SINGLE};
use mote_runtime::target_library;

// Identifiers are from `3000..4000`.
// Elementwise kernels that make codes have two roundings: the identifier is its name's plus the rounding.
target_library! {
    /// The library of plans for WebAssembly.
    WASM:

    CONV_S8_SIMD128 = 3000, "conv_s8_simd128", conv_s8_simd128::run, conv_s8_simd128::check;
    DEPTHWISE_S8_SIMD128 = 3004, "depthwise_s8_simd128", depthwise_s8_simd128::run, depthwise_s8_simd128::check;
    DEPTHWISE_SQUARE_S8_SIMD128 = 3006, "depthwise_square_s8_simd128", depthwise_square_s8_simd128::run, depthwise_square_s8_simd128::check;
    FULLY_CONNECTED_S8_SIMD128 = 3008, "fully_connected_s8_simd128", fully_connected_s8_simd128::run, fully_connected_s8_simd128::check;
    ADD_S8_SIMD128 = 3012, "add_s8_simd128", add_s8_simd128::run::<SINGLE>, add_s8_simd128::check;
    ADD_S8_SIMD128_DOUBLE = 3013, "add_s8_simd128_double", add_s8_simd128::run::<DOUBLE>, add_s8_simd128::check;
    SUB_S8_SIMD128 = 3016, "sub_s8_simd128", add_s8_simd128::run::<SINGLE>, add_s8_simd128::check;
    SUB_S8_SIMD128_DOUBLE = 3017, "sub_s8_simd128_double", add_s8_simd128::run::<DOUBLE>, add_s8_simd128::check;
    MUL_S8_SIMD128 = 3020, "mul_s8_simd128", mul_s8_simd128::run::<SINGLE>, mul_s8_simd128::check;
    MUL_S8_SIMD128_DOUBLE = 3021, "mul_s8_simd128_double", mul_s8_simd128::run::<DOUBLE>, mul_s8_simd128::check;

    MATMUL_S8_SIMD128 = 3022, "matmul_s8_simd128", matmul_s8_simd128::run, matmul_s8_simd128::check;
    AVERAGE_POOL_S8_SIMD128 = 3023, "average_pool_s8_simd128", pool_s8_simd128::average, pool_s8_simd128::check;
    MAX_POOL_S8_SIMD128 = 3024, "max_pool_s8_simd128", pool_s8_simd128::max, pool_s8_simd128::check;
    LUT_S8_SIMD128 = 3025, "lut_s8_simd128", lut_s8_simd128::run, lut_s8_simd128::check;
    SPMM_S8_SIMD128 = 3026, "spmm_s8_simd128", spmm_s8_simd128::run, spmm_s8_simd128::check;
    CONV_F32_SIMD128 = 3100, "conv_f32_simd128", conv_f32_simd128::run, conv_f32_simd128::check;
    DEPTHWISE_F32_SIMD128 = 3101, "depthwise_f32_simd128", depthwise_f32_simd128::run, depthwise_f32_simd128::check;
    UNARY_F32_SIMD128 = 3102, "unary_f32_simd128", unary_f32_simd128::run, unary_f32_simd128::check;
    SPMM_F32_SIMD128 = 3103, "spmm_f32_simd128", spmm_f32_simd128::run, spmm_f32_simd128::check;
    CONV_F32_W16_SIMD128 = 3110, "conv_f32_w16_simd128", conv_f32_simd128::run_w16, conv_f32_simd128::check_w16;
}
