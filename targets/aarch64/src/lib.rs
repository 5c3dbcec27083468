//! What Mote knows about 64-bit Arm: [`kernels`] for NEON, which use dot products and matrix multiplications where the
//! core has them, and [`mark`] (markers that the emulator's instruction counter sees). Every int8 kernel here equals its
//! portable counterpart in `mote-runtime` bit for bit.
//!
//! May be called by applications, and by the compiler, which packs for these kernels and runs them on the host. The crate
//! compiles for every architecture: the few functions with NEON instructions have a plain body elsewhere.
#![no_std]

#[cfg(feature = "pack")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod kernels;
pub mod mark;
