//! `cargo xtask wasm`: the WebAssembly modules of the npm package, and its tests in Node.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    steps::{Steps, Tally},
    workspace::{available, cargo, command, root, run as run_command, target},
};

#[derive(clap::Subcommand)]
pub enum Wasm {
    /// Build the modules into targets/wasm/npm/wasm
    Build,
    /// Build them, and run the package's tests in Node
    Test,
}

pub fn run(task: &Wasm) -> Result<()> {
    match task {
        Wasm::Build => build(),
        Wasm::Test => {
            let mut steps = Steps::default();
            add_steps(&mut steps);
            steps.finish()
        }
    }
}

pub fn add_steps(steps: &mut Steps) {
    steps.run("WebAssembly modules", build);
    match available("node") {
        true => steps.tests("npm package in Node", in_node),
        false => steps.skip("npm package in Node", "no node"),
    }
}

/// The modules: name, and what the engine must have beside the base.
const MODULES: &[(&str, &str)] = &[("mote-simd", "-Ctarget-feature=+simd128"), ("mote-plain", "")];

/// Kernels take a few hundred bytes of stack, the deepest calls a few thousand.
const STACK: &str = "-Clink-arg=-zstack-size=65536";

/// Builds the modules.
pub fn build() -> Result<()> {
    let folder = package().join("wasm");
    fs::create_dir_all(&folder)?;
    for (name, features) in MODULES {
        let flags: Vec<_> = [*features, STACK].into_iter().filter(|flag| !flag.is_empty()).collect();
        let mut cargo = cargo();
        cargo
            .args(["rustc", "--quiet", "--package", "mote-wasm", "--lib", "--crate-type", "cdylib"])
            .args(["--target", "wasm32-unknown-unknown", "--profile", "wasm", "--features", "module"])
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        run_command(&mut cargo)?;
        let built = target()?.join("wasm32-unknown-unknown/wasm/mote_wasm.wasm");
        let to = folder.join(format!("{name}.wasm"));
        fs::copy(&built, &to).with_context(|| format!("copying {} to {}", built.display(), to.display()))?;
        println!("{name}.wasm: {} bytes", fs::metadata(&to)?.len());
    }
    Ok(())
}

/// The package's tests; among them the conformance suite, whose cases are written first.
fn in_node() -> Result<Tally> {
    let cases = target()?.join("wasm-cases.json");
    let mut cargo = cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "mote-conformance", "--example", "cases", "--"]);
    run_command(cargo.arg(&cases))?;
    let mut node = command("node");
    node.args(["--test", "--test-reporter=tap"]).current_dir(package()).env("MOTE_CASES", &cases);
    let output = node.output().context("starting node")?;
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let count = |what: &str| {
        let line = told.lines().rev().find_map(|line| line.strip_prefix(what));
        line.and_then(|number| number.trim().parse().ok()).with_context(|| format!("node told no `{what}`"))
    };
    Ok(Tally { passed: count("# pass ")?, failed: count("# fail ")? })
}

fn package() -> PathBuf {
    root().join("targets/wasm/npm")
}
