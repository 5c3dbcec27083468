//! Kernels for cores with the DSP extension: one folder per operator, as in `mote_runtime::kernels`.
//!
//! `unsafe` code is in the modules with the inner loops, behind functions that check lengths. Elsewhere than on such a
//! core these do the same in plain Rust, so that a plan packed for a device also runs on the host, and gives the same
//! bytes.
//!
//! [`CORTEX_M`] holds these kernels and the portable ones; firmware names this module in `include_plan!`.

pub mod add_s8_dsp;
pub mod add_s8_mve;
pub mod attention_s8_dsp;
pub mod attention_s8_mve;
mod block;
pub mod conv_s8_dsp;
pub mod conv_s8_mve;
pub mod depthwise3x3_s8_dsp;
pub mod depthwise3x3_s8_mve;
pub mod depthwise_s8_dsp;
pub mod depthwise_s8_mve;
mod expand;
pub mod fully_connected_s8_dsp;
pub mod fully_connected_s8_mve;
mod instructions;
pub mod layer_norm_s8_dsp;
pub mod layer_norm_s8_mve;
pub mod lut_s8_dsp;
pub mod lut_s8_mve;
pub mod mul_s8_dsp;
pub mod mul_s8_mve;
pub mod mve;
#[cfg(feature = "pack")]
pub mod pack;
pub mod pool_s8_dsp;
pub mod pool_s8_mve;
pub mod running_sum_s8_dsp;
pub mod running_sum_s8_mve;
pub mod spmm_s8_dsp;
mod stage;
mod taps;
mod window;

use self::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};
use mote_runtime::target_library;

// Identifiers are from `1000..2000`.
// Kernels that make codes have three roundings (`stage`): the identifier is its name's plus the rounding.
target_library! {
    /// The library of plans for these cores.
    CORTEX_M:

    CONV_S8_DSP = 1000, "conv_s8_dsp", conv_s8_dsp::run::<SINGLE>, conv_s8_dsp::check;
    CONV_S8_DSP_DOUBLE = 1001, "conv_s8_dsp_double", conv_s8_dsp::run::<DOUBLE>, conv_s8_dsp::check;
    CONV_S8_DSP_RELU = 1002, "conv_s8_dsp_relu", conv_s8_dsp::run::<DOUBLE_CLAMPED>, conv_s8_dsp::check;
    DEPTHWISE3X3_S8_DSP = 1004, "depthwise3x3_s8_dsp", depthwise3x3_s8_dsp::run::<SINGLE>, depthwise3x3_s8_dsp::check;
    DEPTHWISE3X3_S8_DSP_DOUBLE = 1005, "depthwise3x3_s8_dsp_double", depthwise3x3_s8_dsp::run::<DOUBLE>, depthwise3x3_s8_dsp::check;
    DEPTHWISE3X3_S8_DSP_RELU = 1006, "depthwise3x3_s8_dsp_relu", depthwise3x3_s8_dsp::run::<DOUBLE_CLAMPED>, depthwise3x3_s8_dsp::check;
    DEPTHWISE_S8_DSP = 1008, "depthwise_s8_dsp", depthwise_s8_dsp::run::<SINGLE>, depthwise_s8_dsp::check;
    DEPTHWISE_S8_DSP_DOUBLE = 1009, "depthwise_s8_dsp_double", depthwise_s8_dsp::run::<DOUBLE>, depthwise_s8_dsp::check;
    DEPTHWISE_S8_DSP_RELU = 1010, "depthwise_s8_dsp_relu", depthwise_s8_dsp::run::<DOUBLE_CLAMPED>, depthwise_s8_dsp::check;
    FULLY_CONNECTED_S8_DSP = 1012, "fully_connected_s8_dsp", fully_connected_s8_dsp::run::<SINGLE>, fully_connected_s8_dsp::check;
    FULLY_CONNECTED_S8_DSP_DOUBLE = 1013, "fully_connected_s8_dsp_double", fully_connected_s8_dsp::run::<DOUBLE>, fully_connected_s8_dsp::check;
    FULLY_CONNECTED_S8_DSP_RELU = 1014, "fully_connected_s8_dsp_relu", fully_connected_s8_dsp::run::<DOUBLE_CLAMPED>, fully_connected_s8_dsp::check;
    ADD_S8_DSP = 1016, "add_s8_dsp", add_s8_dsp::run::<SINGLE>, add_s8_dsp::check;
    ADD_S8_DSP_DOUBLE = 1017, "add_s8_dsp_double", add_s8_dsp::run::<DOUBLE>, add_s8_dsp::check;
    ADD_S8_DSP_RELU = 1018, "add_s8_dsp_relu", add_s8_dsp::run::<DOUBLE_CLAMPED>, add_s8_dsp::check;
    RUNNING_SUM_S8_DSP = 1020, "running_sum_s8_dsp", running_sum_s8_dsp::run, running_sum_s8_dsp::check;
    LUT_S8_DSP = 1024, "lut_s8_dsp", lut_s8_dsp::run, lut_s8_dsp::check;
    MUL_S8_DSP = 1028, "mul_s8_dsp", mul_s8_dsp::run::<SINGLE>, mul_s8_dsp::check;
    MUL_S8_DSP_DOUBLE = 1029, "mul_s8_dsp_double", mul_s8_dsp::run::<DOUBLE>, mul_s8_dsp::check;
    MUL_S8_DSP_RELU = 1030, "mul_s8_dsp_relu", mul_s8_dsp::run::<DOUBLE_CLAMPED>, mul_s8_dsp::check;
    MAX_POOL_S8_DSP = 1032, "max_pool_s8_dsp", pool_s8_dsp::max, pool_s8_dsp::check;
    AVERAGE_POOL_S8_DSP = 1033, "average_pool_s8_dsp", pool_s8_dsp::average, pool_s8_dsp::check;
    SUB_S8_DSP = 1036, "sub_s8_dsp", add_s8_dsp::run::<SINGLE>, add_s8_dsp::check;
    SUB_S8_DSP_DOUBLE = 1037, "sub_s8_dsp_double", add_s8_dsp::run::<DOUBLE>, add_s8_dsp::check;
    SUB_S8_DSP_RELU = 1038, "sub_s8_dsp_relu", add_s8_dsp::run::<DOUBLE_CLAMPED>, add_s8_dsp::check;
    ATTENTION_S8_DSP = 1040, "attention_s8_dsp", attention_s8_dsp::run, attention_s8_dsp::check;
    LAYER_NORM_S8_DSP = 1044, "layer_norm_s8_dsp", layer_norm_s8_dsp::run, layer_norm_s8_dsp::check;
    SPMM_S8_DSP = 1048, "spmm_s8_dsp", spmm_s8_dsp::run::<SINGLE>, spmm_s8_dsp::check;
    SPMM_S8_DSP_DOUBLE = 1049, "spmm_s8_dsp_double", spmm_s8_dsp::run::<DOUBLE>, spmm_s8_dsp::check;
    SPMM_S8_DSP_RELU = 1050, "spmm_s8_dsp_relu", spmm_s8_dsp::run::<DOUBLE_CLAMPED>, spmm_s8_dsp::check;
    CONV_S8_MVE = 1100, "conv_s8_mve", conv_s8_mve::run::<SINGLE>, conv_s8_mve::check;
    CONV_S8_MVE_DOUBLE = 1101, "conv_s8_mve_double", conv_s8_mve::run::<DOUBLE>, conv_s8_mve::check;
    CONV_S8_MVE_RELU = 1102, "conv_s8_mve_relu", conv_s8_mve::run::<DOUBLE_CLAMPED>, conv_s8_mve::check;
    DEPTHWISE3X3_S8_MVE = 1104, "depthwise3x3_s8_mve", depthwise3x3_s8_mve::run::<SINGLE>, depthwise3x3_s8_mve::check;
    DEPTHWISE3X3_S8_MVE_DOUBLE = 1105, "depthwise3x3_s8_mve_double", depthwise3x3_s8_mve::run::<DOUBLE>, depthwise3x3_s8_mve::check;
    DEPTHWISE3X3_S8_MVE_RELU = 1106, "depthwise3x3_s8_mve_relu", depthwise3x3_s8_mve::run::<DOUBLE_CLAMPED>, depthwise3x3_s8_mve::check;
    DEPTHWISE_S8_MVE = 1108, "depthwise_s8_mve", depthwise_s8_mve::run::<SINGLE>, depthwise_s8_mve::check;
    DEPTHWISE_S8_MVE_DOUBLE = 1109, "depthwise_s8_mve_double", depthwise_s8_mve::run::<DOUBLE>, depthwise_s8_mve::check;
    DEPTHWISE_S8_MVE_RELU = 1110, "depthwise_s8_mve_relu", depthwise_s8_mve::run::<DOUBLE_CLAMPED>, depthwise_s8_mve::check;
    FULLY_CONNECTED_S8_MVE = 1112, "fully_connected_s8_mve", fully_connected_s8_mve::run::<SINGLE>, fully_connected_s8_mve::check;
    FULLY_CONNECTED_S8_MVE_DOUBLE = 1113, "fully_connected_s8_mve_double", fully_connected_s8_mve::run::<DOUBLE>, fully_connected_s8_mve::check;
    FULLY_CONNECTED_S8_MVE_RELU = 1114, "fully_connected_s8_mve_relu", fully_connected_s8_mve::run::<DOUBLE_CLAMPED>, fully_connected_s8_mve::check;
    ADD_S8_MVE = 1116, "add_s8_mve", add_s8_mve::run::<SINGLE>, add_s8_mve::check;
    ADD_S8_MVE_DOUBLE = 1117, "add_s8_mve_double", add_s8_mve::run::<DOUBLE>, add_s8_mve::check;
    ADD_S8_MVE_RELU = 1118, "add_s8_mve_relu", add_s8_mve::run::<DOUBLE_CLAMPED>, add_s8_mve::check;
    RUNNING_SUM_S8_MVE = 1120, "running_sum_s8_mve", running_sum_s8_mve::run, running_sum_s8_mve::check;
    LUT_S8_MVE = 1124, "lut_s8_mve", lut_s8_mve::run, lut_s8_mve::check;
    MUL_S8_MVE = 1128, "mul_s8_mve", mul_s8_mve::run::<SINGLE>, mul_s8_mve::check;
    MUL_S8_MVE_DOUBLE = 1129, "mul_s8_mve_double", mul_s8_mve::run::<DOUBLE>, mul_s8_mve::check;
    MUL_S8_MVE_RELU = 1130, "mul_s8_mve_relu", mul_s8_mve::run::<DOUBLE_CLAMPED>, mul_s8_mve::check;
    MAX_POOL_S8_MVE = 1132, "max_pool_s8_mve", pool_s8_mve::max, pool_s8_mve::check;
    AVERAGE_POOL_S8_MVE = 1133, "average_pool_s8_mve", pool_s8_mve::average, pool_s8_mve::check;
    SUB_S8_MVE = 1136, "sub_s8_mve", add_s8_mve::run::<SINGLE>, add_s8_mve::check;
    SUB_S8_MVE_DOUBLE = 1137, "sub_s8_mve_double", add_s8_mve::run::<DOUBLE>, add_s8_mve::check;
    SUB_S8_MVE_RELU = 1138, "sub_s8_mve_relu", add_s8_mve::run::<DOUBLE_CLAMPED>, add_s8_mve::check;
    ATTENTION_S8_MVE = 1140, "attention_s8_mve", attention_s8_mve::run, attention_s8_mve::check;
    LAYER_NORM_S8_MVE = 1144, "layer_norm_s8_mve", layer_norm_s8_mve::run, layer_norm_s8_mve::check;
}
