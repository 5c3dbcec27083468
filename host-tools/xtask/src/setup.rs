//! `cargo xtask setup`: what the other tasks need and Rust's toolchain file does not bring.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{
    steps::Steps,
    wasm,
    workspace::{available, capture, cargo, command, run as run_command},
};

const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "wasm32-unknown-unknown",
    crate::linux::TRIPLE,
];
const COMPONENTS: &[&str] = &["clippy", "rustfmt", "llvm-tools"];

pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    add_steps(&mut steps);
    steps.finish()
}

pub fn add_steps(steps: &mut Steps) {
    steps.run("compiler targets and components", toolchain);
    steps.run("C compiler (for the counting plugin)", || match available("cc") {
        true => Ok(()),
        false => bail!("no C compiler: install gcc or clang so that `cc` runs"),
    });
    steps.run("QEMU, linker for 64-bit Arm", packages);
    browser(steps);
    steps.run("cargo-deny", deny);
}

fn toolchain() -> Result<()> {
    if !available("rustup") {
        // A distribution's compiler: it has the targets or the builds will say so.
        eprintln!("no rustup: targets are left to the system");
        return Ok(());
    }
    let installed = capture(command("rustup").args(["target", "list", "--installed"]))?;
    let missing: Vec<_> =
        TARGETS.iter().filter(|target| !installed.lines().any(|line| line == **target)).collect();
    if !missing.is_empty() {
        run_command(command("rustup").args(["target", "add"]).args(missing))?;
    }
    let installed = capture(command("rustup").args(["component", "list", "--installed"]))?;
    // Listed with the host's name behind them.
    let missing: Vec<_> =
        COMPONENTS.iter().filter(|name| !installed.lines().any(|line| line.starts_with(**name))).collect();
    if !missing.is_empty() {
        run_command(command("rustup").args(["component", "add"]).args(missing))?;
    }
    Ok(())
}

/// Emulators, and what links programs for 64-bit Arm: program or library, the package of Debian and Ubuntu that has it.
const PACKAGES: &[(&str, &str)] = &[
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-aarch64", "qemu-user"),
    (crate::linux::LINKER, "gcc-aarch64-linux-gnu"),
];

/// The C library for 64-bit Arm: where Debian's package has it, and its name.
const LIBRARY: (&str, &str) = ("/usr/aarch64-linux-gnu/lib/libc.a", "libc6-dev-arm64-cross");

fn packages() -> Result<()> {
    let mut missing: Vec<_> =
        PACKAGES.iter().filter(|(program, _)| !available(program)).map(|(_, package)| *package).collect();
    // Other systems keep it elsewhere; there the linker will say so.
    if !Path::new(LIBRARY.0).exists() && (available("apt-get") || !available(crate::linux::LINKER)) {
        missing.push(LIBRARY.1);
    }
    if missing.is_empty() {
        return Ok(());
    }
    if may_install() {
        return install(&missing);
    }
    bail!(
        "install what Debian and Ubuntu call {0} (apt-get install {0}; Fedora: qemu-system-arm-core, qemu-user, \
         gcc-aarch64-linux-gnu, a sysroot with glibc; macOS: qemu, and a linker for aarch64-linux-gnu)",
        missing.join(" ")
    )
}

/// Whether packages of Debian or Ubuntu can be installed without asking.
fn may_install() -> bool {
    available("apt-get") && capture(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn install(packages: &[&str]) -> Result<()> {
    run_command(command("apt-get").args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    Ok(run_command(command("apt-get").args(install).args(packages))?)
}

/// A browser for the tests of pages, where the system's package manager has one; they are skipped elsewhere.
fn browser(steps: &mut Steps) {
    if wasm::browser().is_some() {
        return;
    }
    if !may_install() {
        return steps.skip("Chromium", "install one, or let MOTE_CHROMIUM name it");
    }
    steps.run("Chromium", || install(&["chromium"]));
}

fn deny() -> Result<()> {
    if available("cargo-deny") {
        return Ok(());
    }
    // About four minutes on two cores, once.
    Ok(run_command(cargo().args(["install", "--locked", "cargo-deny"]))?)
}
