//! The subcommands, one file each: `Arguments` for clap, `run` for the work.

pub mod bundle;
pub mod convert;
pub mod demo;
pub mod eval;
pub mod family;
pub mod inspect;
pub mod run;
pub mod stream;
pub mod tinynet;
