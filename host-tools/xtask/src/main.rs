//! `cargo xtask`: the project's own tasks. The tasks are modules of their own (`setup`, `lint`,
//! `test`, `bench`, `firmware`); what they share lies beside them: `steps` (collecting errors),
//! `qemu` (with logs), `linux`, `calls`, `kernels` and `panics`, and in the crate `mote-emulator`: `workspace` (paths, cargo),
//! `board`, `image`, `counts`.

mod bench;
mod calls;
mod firmware;
mod golden;
mod kernels;
mod keyword;
mod lint;
mod linux;
mod models;
mod npy;
mod on_target;
mod panics;
mod qemu;
mod qmp;
mod sensor;
mod setup;
mod sound;
mod steps;
mod test;
mod train;
mod twin;
mod wasm;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mote_emulator::{board, counts, image, workspace};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need: targets, QEMU, a linker for 64-bit Arm, cargo-deny
    Setup,
    /// Everything that must hold: set-up, lints, all tests on the host and under QEMU
    Test(test::Options),
    /// Formatting, clippy for host and device, licences, forbidden texts
    Lint,
    /// Run the programs of tests/on-target under QEMU and compare with what they must print
    OnTarget(on_target::Options),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// WebAssembly: build the modules, test the npm package
    #[command(subcommand)]
    Wasm(wasm::Wasm),
    /// Build, run and check firmware
    #[command(subcommand)]
    Firmware(firmware::Firmware),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Setup => setup::run(),
        Task::Test(options) => test::run(&options),
        Task::Lint => lint::run(),
        Task::OnTarget(options) => on_target::run(&options),
        Task::Bench(bench) => bench::run(&bench),
        Task::Wasm(task) => wasm::run(&task),
        Task::Firmware(firmware) => firmware::run(&firmware),
    }
}
