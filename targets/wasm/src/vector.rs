//! Vectors of 128 bits: the operations that the kernels are written in, each one instruction (or few) of SIMD128, and the
//! same in plain Rust elsewhere.
//!
//! The only `unsafe` code of the kernels is here: loads and stores through references to whole arrays.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use plain::{I16x8, I32x4};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::{I16x8, I32x4};
