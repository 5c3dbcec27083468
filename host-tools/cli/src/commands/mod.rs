//! The subcommands, one file each: `Arguments` for clap, `run` for the work. [`conversion`] is what those share that take
//! a model.

pub mod bundle;
mod conversion;
pub mod convert;
pub mod demo;
pub mod estimate;
pub mod eval;
pub mod family;
pub mod inspect;
pub mod peer;
pub mod profile;
pub mod run;
pub mod simulate;
pub mod stream;
pub mod tinynet;
