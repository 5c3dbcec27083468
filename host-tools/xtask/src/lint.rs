//! `cargo xtask lint`: formatting, clippy for host and device, dependencies, forbidden texts.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    board::{BOARDS, Board},
    keyword::Network,
    linux,
    models::{self, Found},
    sensor,
    steps::Steps,
    train,
    workspace::{available, capture, cargo, command, root, run as run_command, target},
};

pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    add_steps(&mut steps);
    steps.finish()
}

pub fn add_steps(steps: &mut Steps) {
    steps.run("formatting", || run_command(cargo().args(["fmt", "--all", "--check"])));
    steps.run("clippy, host", || {
        run_command(clippy().args(["--workspace", "--all-targets"]).args(["--", "-Dwarnings"]))
    });
    steps.run("peer without connections", || {
        let peer = "--manifest-path=host-tools/peer/Cargo.toml";
        run_command(cargo().args(["fmt", peer, "--check"]))?;
        run_command(clippy().args([peer, "--no-default-features", "--all-targets", "--", "-Dwarnings"]))
    });
    for (name, packages, features) in DEVICE {
        steps.run(&format!("clippy, device: {name}"), || device_clippy(packages, features));
    }
    steps.run("clippy, 64-bit Arm", || {
        let packages = ["--package=mote-aarch64", "--package=mote-conformance", "--package=mote-on-linux"];
        let features =
            ["--release", "--quiet", "--all-targets", "--features=mote-aarch64/pack,mote-aarch64/std"];
        Ok::<_, anyhow::Error>(run_command(
            linux::cross("clippy")?.args(packages).args(features).args(["--", "-Dwarnings"]),
        )?)
    });
    steps.run("clippy, WebAssembly", crate::wasm::clippy);
    steps.run("texts", texts);
    dependencies(steps);
}

/// Device crates: name of the step, packages, features.
const DEVICE: &[(&str, &[&str], &str)] = &[
    ("runtime", &["mote-runtime", "mote-audio", "mote-cortex-m"], ""),
    ("runtime with defmt", &["mote-runtime", "mote-audio"], "mote-runtime/defmt,mote-audio/defmt"),
    ("app", &["mote-boards", "mote-infer"], "mote-infer/mps2-an386"),
    ("app with log", &["mote-boards", "mote-infer"], "mote-infer/mps2-an386,mote-infer/log"),
    ("profile", &["mote-profile"], "mote-profile/mps2-an386"),
    ("keyword", &["mote-keyword"], "mote-keyword/mps2-an386"),
    (
        "keyword with all features",
        &["mote-keyword"],
        "mote-keyword/mps3-an547,mote-keyword/log,mote-keyword/wakeword,mote-keyword/serial,mote-keyword/results,\
         mote-keyword/fft-alone",
    ),
    ("sensor", &["mote-sensor"], "mote-sensor/mps2-an386"),
    ("sensor with log", &["mote-sensor"], "mote-sensor/mps3-an547,mote-sensor/log,mote-sensor/paced"),
    ("train", &["mote-train"], "mote-train/mps2-an386"),
    ("train with log, measured", &["mote-train"], "mote-train/mps3-an547,mote-train/log,mote-train/measure"),
    ("programs on the target", &["mote-on-target"], "mote-on-target/mps2-an386"),
];

fn clippy() -> Command {
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--release"]);
    clippy
}

fn device_clippy(packages: &[&str], features: &str) -> Result<()> {
    let board = &BOARDS[0];
    let mut clippy = clippy();
    clippy
        .args(["--target", board.triple, "--features", features])
        .arg("--target-dir")
        .arg(target()?.join("device/clippy"));
    for package in packages {
        clippy.args(["--package", package]);
    }
    if let Some(plan) = plan_for(packages, board)? {
        clippy.env("MOTE_PLAN", plan);
    }
    Ok(run_command(clippy.args(["--", "-Dwarnings"]))?)
}

/// Apps do not compile without a plan.
fn plan_for(packages: &[&str], board: &Board) -> Result<Option<PathBuf>> {
    let holds = |app| packages.contains(&app);
    if holds("mote-infer") {
        let Found::Here(model) = models::find("cifar10")? else { bail!("the bundled network is missing") };
        return model.convert(board, &[]).map(Some);
    }
    if holds("mote-keyword") {
        return Network::Digits.plan(board, &[]);
    }
    if holds("mote-train") {
        return train::plan(board).map(Some);
    }
    if holds("mote-sensor") {
        return sensor::plan(board).map(Some);
    }
    Ok(None)
}

/// No file may name a folder of somebody's machine.
fn texts() -> Result<()> {
    // Put together here, so that this file holds none of them.
    let homes = ["home", "root", "Users", "work"].map(|folder| format!("/{folder}/"));
    let mut found = Vec::new();
    for file in
        capture(command("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?.lines()
    {
        // Binary files can't be checked line by line, and deleted ones not at all.
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if homes.iter().any(|home| names_path(line, home)) {
                found.push(format!("{file}:{}", number + 1));
            }
        }
    }
    if !found.is_empty() {
        bail!("absolute paths of some machine in {}", found.join(", "));
    }
    Ok(())
}

/// Whether the line has an absolute path that begins so: nothing that could be a folder or an address
/// stands before it.
fn names_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-/}{$~".contains(c))
    })
}

fn dependencies(steps: &mut Steps) {
    const NAME: &str = "licences, bans, sources (cargo-deny)";
    const ADVISORIES: &str = "security advisories (cargo-deny)";
    if !available("cargo-deny") {
        steps.skip(NAME, "cargo-deny is missing: cargo xtask setup");
        return;
    }
    let deny = |checks: &[&str]| {
        let mut deny = cargo();
        deny.args(["deny", "--log-level", "error", "check"]).args(checks);
        deny
    };
    steps.run(NAME, || run_command(&mut deny(&["licenses", "bans", "sources"])));
    // The advisories are fetched anew each time, which needs a network.
    let fetched = cargo().args(["deny", "--log-level", "error", "fetch", "db"]).output();
    if !fetched.is_ok_and(|output| output.status.success()) {
        steps.skip(ADVISORIES, "the database can't be fetched");
        return;
    }
    steps.run(ADVISORIES, || run_command(&mut deny(&["advisories"])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_addresses() {
        const HOME: &str = "/somebody/";
        for line in ["/somebody/x", "see \"/somebody/x\"", "=/somebody/x"] {
            assert!(names_path(line, HOME), "{line}");
        }
        for line in ["a.example/somebody/x", "${X}/somebody/", "src/somebody/mod.rs", "somebody/x"] {
            assert!(!names_path(line, HOME), "{line}");
        }
    }
}
