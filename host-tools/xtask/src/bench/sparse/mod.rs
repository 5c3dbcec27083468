//! `cargo xtask bench sparse`: 1x1 convolutions with few weights beside dense ones: times on the host and in WebAssembly
//! (Node), instructions on emulated microcontrollers, there with the portable kernels and with the core's own.
//!
//! `--fit` makes the compiler's cost model of the measurements ([`fit`]): linear forms in what a kernel does at a position,
//! written to `host-tools/compiler/src/cost/tables/sparse.json`, by which `lower` chooses between dense and sparse.

mod elsewhere;
mod fit;

use crate::{
    board::Board,
    workspace::{capture, cargo, run},
};
use anyhow::{Context, Result};
use fit::Sample;
use serde::Deserialize;

#[derive(clap::Args)]
pub struct Options {
    /// Only times on the host or in WebAssembly, or only instructions on this core
    #[arg(long, value_parser = ["host", "wasm", "m4", "m55"])]
    only: Option<String>,
    /// A few layers with 90 % zeros only
    #[arg(long, conflicts_with = "fit")]
    quick: bool,
    /// Write the compiler's cost model anew from what is measured
    #[arg(long)]
    fit: bool,
    /// Further arguments of the host's part, after `--`: --f32, --int8
    #[arg(last = true)]
    host: Vec<String>,
}

pub fn measure(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let quick = options.quick.then_some("--quick");
    let mut tables = Vec::new();
    if wanted("host") {
        let mut host = bench();
        host.args(&options.host).args(quick);
        if options.fit {
            let told = capture(host.arg("--samples"))?;
            tables.push((fit::HOST, told.lines().map(samples).collect::<Result<Vec<_>>>()?.concat()));
        } else {
            run(&mut host)?;
        }
    }
    if wanted("wasm") {
        crate::wasm::build()?;
        let steps = elsewhere::time(quick)?;
        elsewhere::print("WebAssembly", "ns", &steps)?;
        tables.push((fit::WASM, elsewhere::samples(&steps)));
    }
    for (core, profile) in
        [("m4", fit::CORTEX_M4), ("m55", fit::CORTEX_M55)].into_iter().filter(|(core, _)| wanted(core))
    {
        let board = Board::by_core(core)?;
        let steps = elsewhere::count(board, quick)?;
        elsewhere::print(&format!("int8 on {} ({})", board.core, board.name), "instructions", &steps)?;
        tables.push((profile, elsewhere::samples(&steps)));
    }
    if options.fit { fit::write(&tables) } else { Ok(()) }
}

/// The program that measures on the host and writes the plan for the microcontroller.
fn bench() -> std::process::Command {
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "-p", "mote-conformance", "--bench", "sparse", "--"]);
    bench
}

/// A layer that was measured on the host.
#[derive(Deserialize)]
struct Measured {
    dtype: String,
    positions: f64,
    inputs: f64,
    outputs: f64,
    block: usize,
    short: bool,
    entries: f64,
    dense_us: f64,
    sparse_us: f64,
}

/// Both kernels of a layer.
fn samples(line: &str) -> Result<Vec<Sample>> {
    let m: Measured = serde_json::from_str(line).with_context(|| format!("reading {line}"))?;
    let dtype = if m.dtype == "f32" { "f32" } else { "s8" };
    let sample = |kernel: String, weights: f64, us: f64| Sample {
        kernel,
        work: [weights, m.inputs, m.outputs],
        cost: us * 1e3 / m.positions,
    };
    let short = if m.short { "/short" } else { "" };
    Ok(vec![
        sample(format!("conv2d_{dtype}"), m.inputs * m.outputs, m.dense_us),
        sample(format!("spmm_{dtype}/{}x1{short}", m.block), m.entries, m.sparse_us),
    ])
}
