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

use mote_runtime::kernels::library::joined;
use mote_runtime::kernels::{Entry, Library, StepView, portable};
use mote_runtime::plan::Fault;

/// Declares the kernels: identifier, name, module path of `run` and `check`.
macro_rules! kernels {
    ($($id:ident = $code:literal, $name:literal, $run:path, $check:path;)*) => {
        /// Identifiers of the kernels, `2000..3000`. Never reused for another meaning.
        pub mod id {
            $(#[doc = $name] pub const $id: u16 = $code;)*
        }

        const OWN: &[Entry] = &[$(Entry { id: $code, name: $name, run: $run },)*];

        /// Accepts or refuses a step whose kernel is `id`.
        pub const fn check(id: u16, step: &StepView<'_>) -> Result<(), Fault> {
            match id {
                $($code => $check(step),)*
                _ => portable::check(id, step),
            }
        }
    };
}

kernels! {
    CONV_S8_NEON = 2000, "conv_s8_neon", conv_s8_neon::run, conv_s8_neon::check;
    DEPTHWISE_S8_NEON = 2001, "depthwise_s8_neon", depthwise_s8_neon::run, depthwise_s8_neon::check;
    FULLY_CONNECTED_S8_NEON = 2002, "fully_connected_s8_neon", fully_connected_s8_neon::run, fully_connected_s8_neon::check;
    ADD_S8_NEON = 2003, "add_s8_neon", add_s8_neon::run, add_s8_neon::check;
    LUT_S8_NEON = 2004, "lut_s8_neon", lut_s8_neon::run, lut_s8_neon::check;
    CONV_F32_NEON = 2100, "conv_f32_neon", conv_f32_neon::run, conv_f32_neon::check;
    FULLY_CONNECTED_F32_NEON = 2101, "fully_connected_f32_neon", fully_connected_f32_neon::run, fully_connected_f32_neon::check;
}

/// These kernels and the portable ones.
pub const ENTRIES: &[Entry] = &joined::<{ OWN.len() + portable::ENTRIES.len() }>(OWN, portable::ENTRIES);

/// The library of plans for these cores.
pub const AARCH64: Library = Library { entries: ENTRIES, check };
