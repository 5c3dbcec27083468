//! Benchmarks, one module each: `mcu` counts instructions on emulated microcontrollers, `aarch64` on 64-bit Arm cores,
//! `peers` holds what others need for the same work, `baseline` what we needed before; `stream` measures times on the
//! host, `web` in Node, `sparse` both times and instructions of sparse layers, `code` the code of kernels, `cost` what
//! their work costs.

mod aarch64;
mod baseline;
pub mod code;
mod cost;
pub mod mcu;
mod peers;
mod sparse;
mod steps;
mod stream;
mod web;

use anyhow::Result;

#[derive(clap::Subcommand)]
pub enum Bench {
    /// Instructions, memory and flash of networks on emulated microcontrollers
    Mcu(mcu::Options),
    /// Instructions of networks on emulated 64-bit Arm cores, beside the portable kernels
    Aarch64(aarch64::Options),
    /// Time of a stream's step beside that of a window, on the host
    Stream(stream::Options),
    /// Time of networks in WebAssembly (Node), beside onnxruntime-web
    Web(web::Options),
    /// Costs of every kernel on each core, for `mote estimate` and the compiler: writes host-tools/compiler/src/cost/tables
    Cost(cost::Options),
    /// Instructions and memory of training a last layer on an emulated M4
    Train,
    /// Sparse 1x1 convolutions beside dense ones: times on the host, instructions on an emulated M4
    Sparse(sparse::Options),
    /// Code of every kernel, for `mote inspect`: writes host-tools/cli/code
    Code(code::Options),
}

pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Mcu(options) => mcu::run(options),
        Bench::Aarch64(options) => aarch64::run(options),
        Bench::Stream(options) => stream::measure(options),
        Bench::Web(options) => web::run(options),
        Bench::Cost(options) => cost::measure(options),
        Bench::Train => crate::train::bench(),
        Bench::Sparse(options) => sparse::measure(options),
        Bench::Code(options) => code::run(options),
    }
}
