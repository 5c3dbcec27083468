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

        /// Every portable kernel.
        pub const ENTRIES: &[Entry] = &[$(Entry { id: $code, name: $name, run: $run },)*];

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
}

/// The portable kernels as a library, for plans that come at run time.
pub const PORTABLE: Library = Library { entries: ENTRIES, check };
