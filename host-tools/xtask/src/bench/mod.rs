//! Benchmarks, one module each: `mcu` counts instructions on emulated microcontrollers, `peers` holds
//! what others need for the same work, `baseline` what we needed before; `code` measures kernels' code.

mod baseline;
pub mod code;
pub mod mcu;
mod peers;

use anyhow::Result;

#[derive(clap::Subcommand)]
pub enum Bench {
    /// Instructions, memory and flash of networks on emulated microcontrollers
    Mcu(mcu::Options),
    /// Code of every kernel, for `mote inspect`: writes host-tools/cli/code
    Code(code::Options),
}

pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Mcu(options) => mcu::run(options),
        Bench::Code(options) => code::run(options),
    }
}
