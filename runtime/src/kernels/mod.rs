//! Kernels: one folder per operator.
//!
//! Each folder holds, side by side, so that they cannot drift apart:
//! * `run`: the portable kernel, which is the operator's definition (`no_std`, called by the engine);
//! * `check`: a `const fn` that accepts or refuses a step's arguments, types and shapes;
//! * `pack` (feature `pack`, host only): from a description with plain weights to the kernel's identifier,
//!   arguments, constants and scratch size.
//!
//! May use `plan` and `engine::call`; called through [`Library`].

pub mod library;
#[cfg(feature = "pack")]
pub mod pack;
pub mod portable;
pub mod requantize;
pub mod step;

pub use library::{Entry, KernelTable, Library};
pub use portable::PORTABLE;
pub use step::StepView;
