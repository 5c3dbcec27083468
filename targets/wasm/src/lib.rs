//! What Mote knows about WebAssembly: [`kernels`] for SIMD128, which equal their portable counterparts in `mote-runtime`
//! bit for bit, and (feature `module`) the functions that the module of the npm package exports.
//!
//! May be called by the compiler, which packs for these kernels and runs them on the host: [`vector`] holds the few
//! operations that they are written in, with plain bodies where there is no SIMD128.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(feature = "pack")]
extern crate alloc;

pub mod kernels;
#[cfg(all(feature = "module", target_arch = "wasm32"))]
mod module;
pub mod vector;
