//! Benchmarks, one module each: `mcu` counts instructions on emulated microcontrollers, `peers` holds
//! what others need for the same work, `baseline` what we needed before.

mod baseline;
pub mod mcu;
mod peers;

use anyhow::Result;

#[derive(clap::Subcommand)]
pub enum Bench {
    /// Instructions, memory and flash of networks on emulated microcontrollers
    Mcu(mcu::Options),
}

pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Mcu(options) => mcu::run(options),
    }
}
