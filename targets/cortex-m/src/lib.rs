//! What Mote knows about ARM Cortex-M: [`kernels`] for the DSP extension (M4, M7, M33 and later), and [`mark`]
//! (markers that the emulator's instruction counter sees). Every kernel here equals its portable counterpart in
//! `mote-runtime` bit for bit.
//!
//! May be called by firmware, and by the compiler, which packs for these kernels and runs them on the host. The crate
//! compiles for every architecture: the few functions that stand for Arm instructions have a plain body elsewhere.
#![no_std]

#[cfg(feature = "pack")]
extern crate alloc;

pub mod kernels;
pub mod mark;
