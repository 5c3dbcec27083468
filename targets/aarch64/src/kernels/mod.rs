//! Kernels for 64-bit Arm: one folder per operator, as in `mote_runtime::kernels`.
//!
//! Every such core has NEON; what else it has is found out where the kernel runs ([`level`]), so that one plan serves all
//! of them: weights are packed in one layout that dot products and matrix multiplications read as well as the
//! multiplications of NEON, and the bytes are the same.
//!
//! `unsafe` code is in the modules with the inner loops, behind functions that check lengths. On other architectures these
//! do the same in plain Rust, so that a plan packed for a board also runs on the host, and gives the same bytes.
//!
//! [`AARCH64`] holds these kernels and the portable ones.

pub mod add_s8_neon;
pub mod conv_f32_neon;
pub mod conv_s8_neon;
pub mod depthwise_s8_neon;
mod dot;
mod dot_f32;
pub mod fully_connected_f32_neon;
pub mod fully_connected_s8_neon;
mod gather;
#[cfg(target_arch = "aarch64")]
mod instructions;
pub mod level;
pub mod lut_s8_neon;
#[cfg(feature = "pack")]
pub mod pack;
mod stage;
mod windows;

use mote_runtime::target_library;

// Identifiers are from `2000..3000`.
target_library! {
    /// The library of plans for these cores.
    AARCH64:

    CONV_S8_NEON = 2000, "conv_s8_neon", conv_s8_neon::run, conv_s8_neon::check;
    DEPTHWISE_S8_NEON = 2001, "depthwise_s8_neon", depthwise_s8_neon::run, depthwise_s8_neon::check;
    FULLY_CONNECTED_S8_NEON = 2002, "fully_connected_s8_neon", fully_connected_s8_neon::run, fully_connected_s8_neon::check;
    ADD_S8_NEON = 2003, "add_s8_neon", add_s8_neon::run, add_s8_neon::check;
    LUT_S8_NEON = 2004, "lut_s8_neon", lut_s8_neon::run, lut_s8_neon::check;
    CONV_F32_NEON = 2100, "conv_f32_neon", conv_f32_neon::run, conv_f32_neon::check;
    FULLY_CONNECTED_F32_NEON = 2101, "fully_connected_f32_neon", fully_connected_f32_neon::run, fully_connected_f32_neon::check;
}
