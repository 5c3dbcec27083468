//! Embeds the plan that `MOTE_PLAN` names: made by `mote convert --stream` from `models/continual/fridge`.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MOTE_PLAN");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
    let plan =
        env::var("MOTE_PLAN").map_err(|_| "MOTE_PLAN names no plan: use cargo xtask firmware sensor")?;
    println!("cargo::rerun-if-changed={plan}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy(&plan, out.join("plan.mote")).map_err(|error| format!("MOTE_PLAN {plan}: {error}"))?;
    Ok(())
}
