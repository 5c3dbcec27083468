//! What the build scripts of all apps do. They include this file.

use std::{env, error::Error, fs, path::PathBuf};

/// For a device, tells the linker what an image is made of and puts the plan that `MOTE_PLAN` names beside the code.
/// Gives the folder of what is embedded; `None` on the host, where an app is empty. `command` makes such a plan.
pub fn prepare(command: &str) -> Result<Option<PathBuf>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../image.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(None);
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
    let plan = variable("MOTE_PLAN").ok_or_else(|| format!("MOTE_PLAN names no plan: use {command}"))?;
    println!("cargo::rerun-if-changed={plan}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy(&plan, out.join("plan.mote")).map_err(|error| format!("MOTE_PLAN {plan}: {error}"))?;
    Ok(Some(out))
}

/// A variable of the environment; the script runs again when it changes.
pub fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}
