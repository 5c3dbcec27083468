//! Hands the chosen board's memory map to the linker as `memory.x`.

use std::{env, error::Error, fs, path::PathBuf};

const BOARDS: &[&str] = &["mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "microbit"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    let chosen: Vec<_> = BOARDS.iter().filter(|board| feature(board)).collect();
    let [board] = chosen[..] else {
        return Err(format!("choose exactly one board by feature: {}", BOARDS.join(", ")).into());
    };
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy(format!("memory/{board}.x"), out.join("memory.x"))?;
    // Where cortex-m-rt looks for names of interrupts: no board uses one.
    fs::write(out.join("device.x"), "")?;
    println!("cargo::rustc-link-search={}", out.display());
    Ok(())
}

fn feature(board: &str) -> bool {
    let name = board.to_uppercase().replace('-', "_");
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}
