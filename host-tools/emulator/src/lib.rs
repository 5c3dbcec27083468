//! Firmware from the host: building it for a board, running it on an emulated one, counting its instructions.
//!
//! May be called by the project's tasks (`xtask`) and by the command-line tool (`mote profile`); knows neither the
//! compiler nor the runtime. From the bottom up:
//!
//! * [`workspace`]: where the sources are, and how other programs are started.
//! * [`board`]: the boards, their cores and memory.
//! * [`image`]: images built by cargo, and what they occupy.
//! * [`qemu`]: a run of an image, with the counting plugin of `tests/bench/qemu-count`.
//! * [`counts`]: the plugin's log, and cycles estimated from it.
//! * [`profile`]: a plan on a board, with the counts of every step.

pub mod board;
pub mod counts;
mod error;
pub mod image;
pub mod profile;
pub mod qemu;
pub mod workspace;

pub use error::{Error, Result};
