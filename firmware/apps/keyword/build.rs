//! Chooses what the image runs, from the environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `MOTE_PLAN` | the plan, made by `mote convert --stream` for this app's front end; required for a device |
//! | `MOTE_SOUND` | samples of the front end's rate: i16, little-endian, nothing else; without it a second of silence. Not used with the feature `serial` |

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let plan = variable("MOTE_PLAN").ok_or("MOTE_PLAN names no plan: use cargo xtask firmware keyword")?;
    println!("cargo::rerun-if-changed={plan}");
    fs::copy(&plan, out.join("plan.mote")).map_err(|error| format!("MOTE_PLAN {plan}: {error}"))?;
    let sound = match variable("MOTE_SOUND") {
        Some(file) => {
            println!("cargo::rerun-if-changed={file}");
            fs::read(&file).map_err(|error| format!("MOTE_SOUND {file}: {error}"))?
        }
        None => vec![0; 16_000],
    };
    fs::write(out.join("sound.raw"), sound)?;
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}
