//! The portable library: every kernel that defines an operator, with its identifier and its check.

use super::*;
use crate::plan::Fault;

/// Declares the portable kernels: identifier, name, module path of `run` and `check`.
macro_rules! portable {
    ($($id:ident = $code:literal, $name:literal, $run:path, $check:path;)*) => {
        /// Identifiers of the portable kernels, `1..1000`. Never reused for another meaning.
        pub mod id {
            $(#[doc = $name] pub const $id: u16 = $code;)*
        }

        /// Every portable kernel, by ascending identifiers.
        pub const ENTRIES: &[Entry] = &[$(Entry { id: $code, name: $name, run: $run },)*];

        const _: () = assert!(library::ascending(ENTRIES));

        /// Accepts or refuses a step whose kernel is `id`.
        pub const fn check(id: u16, step: &StepView<'_>) -> Result<(), Fault> {
            let _ = step;
            match id {
                $($code => $check(step),)*
                _ => Err(Fault::Code),
            }
        }
    };
}

portable! {
    // Int8: 1 to 99.
    CONV2D_S8 = 1, "conv2d_s8", conv2d_s8::run, conv2d_s8::check;
    DEPTHWISE_S8 = 2, "depthwise_s8", depthwise_s8::run, depthwise_s8::check;
    FULLY_CONNECTED_S8 = 3, "fully_connected_s8", fully_connected_s8::run, fully_connected_s8::check;
    MATMUL_S8 = 4, "matmul_s8", matmul_s8::run, matmul_s8::check;
    ADD_S8 = 5, "add_s8", binary_s8::add, binary_s8::check_sum;
    SUB_S8 = 6, "sub_s8", binary_s8::sub, binary_s8::check_sum;
    MUL_S8 = 7, "mul_s8", binary_s8::mul, binary_s8::check_mul;
    MAXIMUM_S8 = 8, "maximum_s8", binary_s8::maximum, binary_s8::check_extreme;
    MINIMUM_S8 = 9, "minimum_s8", binary_s8::minimum, binary_s8::check_extreme;
    AVERAGE_POOL_S8 = 10, "average_pool_s8", pool_s8::average, pool_s8::check;
    MAX_POOL_S8 = 11, "max_pool_s8", pool_s8::max, pool_s8::check;
    MEAN_S8 = 12, "mean_s8", reduce_s8::mean, reduce_s8::check_mean;
    REDUCE_S8 = 13, "reduce_s8", reduce_s8::reduce, reduce_s8::check_reduce;
    SOFTMAX_S8 = 14, "softmax_s8", softmax_s8::run, softmax_s8::check;
    SOFTMAX_S8_S16 = 15, "softmax_s8_s16", softmax_s8::run_s16, softmax_s8::check_s16;
    LAYER_NORM_S8 = 16, "layer_norm_s8", layer_norm_s8::run, layer_norm_s8::check;
    LUT_S8 = 17, "lut_s8", lut_s8::run, lut_s8::check;
    PRELU_S8 = 18, "prelu_s8", prelu_s8::run, prelu_s8::check;
    RUNNING_SUM_S8 = 19, "running_sum_s8", running_sum::run_s8, running_sum::check_s8;
    AVERAGE_OF_SUMS_S8 = 20, "average_of_sums_s8", running_sum::average, running_sum::check_average;
    MEAN_OF_SUMS_S8 = 21, "mean_of_sums_s8", running_sum::mean, running_sum::check_mean;
    ATTENTION_S8 = 22, "attention_s8", attention_s8::run, attention_s8::check;
    SPMM_S8 = 23, "spmm_s8", spmm_s8::run, spmm_s8::check;

    // Floats: 100 to 149.
    CONV2D_F32 = 100, "conv2d_f32", conv2d_f32::run, conv2d_f32::check;
    CONV2D_F32_W16 = 101, "conv2d_f32_w16", conv2d_f32::run_w16, conv2d_f32::check_w16;
    DEPTHWISE_F32 = 102, "depthwise_f32", depthwise_f32::run, depthwise_f32::check;
    DEPTHWISE_F32_W16 = 103, "depthwise_f32_w16", depthwise_f32::run_w16, depthwise_f32::check_w16;
    FULLY_CONNECTED_F32 = 104, "fully_connected_f32", fully_connected_f32::run, fully_connected_f32::check;
    FULLY_CONNECTED_F32_W16 = 105, "fully_connected_f32_w16", fully_connected_f32::run_w16, fully_connected_f32::check_w16;
    MATMUL_F32 = 106, "matmul_f32", matmul_f32::run, matmul_f32::check;
    BINARY_F32 = 107, "binary_f32", binary_f32::run, binary_f32::check;
    UNARY_F32 = 108, "unary_f32", unary_f32::run, unary_f32::check;
    PRELU_F32 = 109, "prelu_f32", prelu_f32::run, prelu_f32::check;
    AVERAGE_POOL_F32 = 110, "average_pool_f32", pool_f32::run_average, pool_f32::check;
    MAX_POOL_F32 = 111, "max_pool_f32", pool_f32::run_max, pool_f32::check;
    REDUCE_F32 = 112, "reduce_f32", reduce_f32::run, reduce_f32::check;
    SOFTMAX_F32 = 113, "softmax_f32", softmax_f32::run, softmax_f32::check;
    LAYER_NORM_F32 = 114, "layer_norm_f32", layer_norm_f32::run, layer_norm_f32::check;
    RUNNING_SUM_F32 = 115, "running_sum_f32", running_sum::run_f32, running_sum::check_f32;
    ATTENTION_F32 = 116, "attention_f32", attention_f32::run, attention_f32::check;
    GRU_F32 = 117, "gru_f32", recurrent_f32::run_gru, recurrent_f32::check_gru;
    GRU_F32_W16 = 118, "gru_f32_w16", recurrent_f32::run_gru_w16, recurrent_f32::check_gru_w16;
    LSTM_F32 = 119, "lstm_f32", recurrent_f32::run_lstm, recurrent_f32::check_lstm;
    LSTM_F32_W16 = 120, "lstm_f32_w16", recurrent_f32::run_lstm_w16, recurrent_f32::check_lstm_w16;
    SPMM_F32 = 121, "spmm_f32", spmm_f32::run, spmm_f32::check;
    SPMM_F32_W16 = 122, "spmm_f32_w16", spmm_f32::run_w16, spmm_f32::check_w16;

    // Any type, movement and conversion: 150 to 199.
    COPY = 150, "copy", copy::run, copy::check;
    CONCAT = 151, "concat", concat::run, concat::check;
    SLICE = 152, "slice", slice::run, slice::check;
    PAD = 153, "pad", pad::run, pad::check;
    STRIDED = 154, "strided", strided::run, strided::check;
    GATHER = 155, "gather", gather::run, gather::check;
    RESIZE_NEAREST = 156, "resize_nearest", resize::run_nearest, resize::check_nearest;
    RESIZE_BILINEAR_F32 = 157, "resize_bilinear_f32", resize::run_bilinear_f32, resize::check_bilinear_f32;
    RESIZE_BILINEAR_S8 = 158, "resize_bilinear_s8", resize::run_bilinear_s8, resize::check_bilinear_s8;
    QUANTIZE_F32_S8 = 170, "quantize_f32_s8", quantize::run_quantize, quantize::check_quantize;
    DEQUANTIZE_S8_F32 = 171, "dequantize_s8_f32", quantize::run_dequantize, quantize::check_dequantize;
    REQUANTIZE_S8 = 172, "requantize_s8", quantize::run_requantize, quantize::check_requantize;
    CAST = 173, "cast", cast::run, cast::check;
}

/// The portable kernels as a library, for plans that come at run time.
pub const PORTABLE: Library = Library { entries: ENTRIES, check };
