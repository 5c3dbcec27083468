//! Kernels for SIMD128: one folder per operator, as in `mote_runtime::kernels`.
//!
//! [`WASM`] holds these kernels and the portable ones.

pub mod add_s8_simd128;
pub mod conv_s8_simd128;
pub mod depthwise_s8_simd128;
pub mod fully_connected_s8_simd128;
pub mod gemm;
pub mod mul_s8_simd128;
#[cfg(feature = "pack")]
pub mod pack;
mod pieces;
pub mod stage;

use self::stage::{DOUBLE, SINGLE};
use mote_runtime::kernels::library::joined;
use mote_runtime::kernels::{Entry, Library, StepView, portable};
use mote_runtime::plan::Fault;

/// Declares the kernels: identifier, name, module path of `run` and `check`.
macro_rules! kernels {
    ($($id:ident = $code:literal, $name:literal, $run:path, $check:path;)*) => {
        /// Identifiers of the kernels, `3000..4000`. Never reused for another meaning.
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

// Kernels that make codes have two roundings (`stage`): the identifier is its name's plus the rounding.
kernels! {
    CONV_S8_SIMD128 = 3000, "conv_s8_simd128", conv_s8_simd128::run::<SINGLE>, conv_s8_simd128::check;
    CONV_S8_SIMD128_DOUBLE = 3001, "conv_s8_simd128_double", conv_s8_simd128::run::<DOUBLE>, conv_s8_simd128::check;
    DEPTHWISE_S8_SIMD128 = 3004, "depthwise_s8_simd128", depthwise_s8_simd128::run::<SINGLE>, depthwise_s8_simd128::check;
    DEPTHWISE_S8_SIMD128_DOUBLE = 3005, "depthwise_s8_simd128_double", depthwise_s8_simd128::run::<DOUBLE>, depthwise_s8_simd128::check;
    FULLY_CONNECTED_S8_SIMD128 = 3008, "fully_connected_s8_simd128", fully_connected_s8_simd128::run::<SINGLE>, fully_connected_s8_simd128::check;
    FULLY_CONNECTED_S8_SIMD128_DOUBLE = 3009, "fully_connected_s8_simd128_double", fully_connected_s8_simd128::run::<DOUBLE>, fully_connected_s8_simd128::check;
    ADD_S8_SIMD128 = 3012, "add_s8_simd128", add_s8_simd128::run::<SINGLE>, add_s8_simd128::check;
    ADD_S8_SIMD128_DOUBLE = 3013, "add_s8_simd128_double", add_s8_simd128::run::<DOUBLE>, add_s8_simd128::check;
    SUB_S8_SIMD128 = 3016, "sub_s8_simd128", add_s8_simd128::run::<SINGLE>, add_s8_simd128::check;
    SUB_S8_SIMD128_DOUBLE = 3017, "sub_s8_simd128_double", add_s8_simd128::run::<DOUBLE>, add_s8_simd128::check;
    MUL_S8_SIMD128 = 3020, "mul_s8_simd128", mul_s8_simd128::run::<SINGLE>, mul_s8_simd128::check;
    MUL_S8_SIMD128_DOUBLE = 3021, "mul_s8_simd128_double", mul_s8_simd128::run::<DOUBLE>, mul_s8_simd128::check;
}

/// These kernels and the portable ones.
pub const ENTRIES: &[Entry] = &joined::<{ OWN.len() + portable::ENTRIES.len() }>(OWN, portable::ENTRIES);

/// The library of plans for WebAssembly.
pub const WASM: Library = Library { entries: ENTRIES, check };
