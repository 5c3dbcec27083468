//! `cargo xtask bench stream`: what a frame of a stream takes beside a whole window, on the host.

use crate::workspace::{cargo, run};
use anyhow::Result;

#[derive(clap::Args)]
pub struct Options {
    /// Parts of names of networks; all if none is given
    names: Vec<String>,
}

/// With the features that the tests use: with those of the package alone, tract would be compiled once more.
pub fn measure(options: &Options) -> Result<()> {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--workspace", "--bench", "stream", "--"]);
    Ok(run(bench.args(&options.names))?)
}
