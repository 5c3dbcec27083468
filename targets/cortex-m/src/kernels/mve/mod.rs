//! What the kernels for Helium (`*_mve`) share: the loops over inputs and weights in [`dot`] and [`lanes`], codes in
//! [`stage`], the packer. Used by those kernels only.
//!
//! On a core with Helium the loops are assembler; elsewhere the same functions are plain Rust that reads the same packed
//! weights, so that a plan for such a core gives the same bytes on any machine.

pub mod dot;
#[cfg(mote_mve)]
mod dot_arm;
pub mod gather;
#[cfg(feature = "pack")]
pub mod pack;
pub mod stage;
