//! `cargo xtask setup`: what the other tasks need and Rust's toolchain file does not bring.

use anyhow::{Result, bail};

use crate::{
    steps::Steps,
    workspace::{available, capture, cargo, command, run as run_command},
};

const TARGETS: &[&str] =
    &["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf", "wasm32-unknown-unknown"];
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
    steps.run("QEMU", qemu);
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

fn qemu() -> Result<()> {
    const QEMU: &str = "qemu-system-arm";
    if available(QEMU) {
        return Ok(());
    }
    if available("apt-get") && capture(command("id").arg("-u"))?.trim() == "0" {
        run_command(command("apt-get").args(["update", "-qq"]))?;
        return run_command(command("apt-get").args([
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            QEMU,
        ]));
    }
    bail!(
        "install {QEMU} (Debian, Ubuntu: apt-get install {QEMU}; Fedora: qemu-system-arm-core; macOS: qemu)"
    )
}

fn deny() -> Result<()> {
    if available("cargo-deny") {
        return Ok(());
    }
    // About four minutes on two cores, once.
    run_command(cargo().args(["install", "--locked", "cargo-deny"]))
}
