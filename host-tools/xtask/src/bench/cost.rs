//! `cargo xtask bench cost`: what steps cost on each core, for `mote estimate` and for the choice of kernels.

use crate::workspace::{cargo, run};
use anyhow::Result;

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value = "m4,m7,m33,m55")]
    core: String,
}

/// With the features that the tests use: with those of the package alone, tract would be compiled once more.
pub fn measure(options: &Options) -> Result<()> {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--workspace", "--bench", "cost", "--", "--core", &options.core]);
    Ok(run(&mut bench)?)
}
