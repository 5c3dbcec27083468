//! Walks a Mote plan: no heap, no model formats, no panic.
//!
//! * [`plan`]: the file format and its parser.
//! * [`engine`]: regions, ticks and memory; [`Engine`] is what applications hold.
//! * [`kernels`]: the operators, one folder each.
//! * [`random`]: numbers that are the same on every machine.
//! * [`train`]: layers forward and backward, and what a device trains with.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "pack")]
extern crate alloc;

pub mod engine;
mod include;
pub mod kernels;
pub mod plan;
pub mod random;
pub mod train;

pub use engine::{Engine, Error, Observer, Progress};
pub use plan::Plan;

#[doc(hidden)]
pub use include::Aligned;
