//! Linker scripts of the programs: vector table and reset code, and the log's strings. The cases of the conformance
//! suite, packed for the board's core.

use std::{env, error::Error, fs, path::PathBuf};

use mote_conformance::Case;
use mote_cortex_m::kernels::mve::pack::Helium;
use mote_cortex_m::kernels::pack::Dsp;
use mote_runtime::kernels::pack::Packer;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    if env::var_os("CARGO_FEATURE_MAINLINE").is_some() {
        let helium = env::var_os("CARGO_FEATURE_MPS3_AN547").is_some();
        let packer: &dyn Packer = if helium { &Helium } else { &Dsp };
        let out = PathBuf::from(env::var("OUT_DIR")?);
        fs::write(out.join("windows.bin"), cases(&mote_conformance::windows(packer)))?;
        fs::write(out.join("elements.bin"), cases(&mote_conformance::elements(packer)))?;
    }
    Ok(())
}

/// For each case the lengths of plan, inputs, outputs and name as `u32`, then these, each padded to 16 bytes.
fn cases(cases: &[Case]) -> Vec<u8> {
    let mut file = Vec::new();
    for case in cases {
        // Requantizations are what makes names long.
        let name = case.name.split(" Requant").next().unwrap_or_default();
        let inputs: Vec<u8> = case.inputs().flatten().copied().collect();
        let parts = [case.plan(), inputs, case.expected(), name.into()];
        file.extend(parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes()));
        for part in parts {
            file.extend(part);
            file.resize(file.len().next_multiple_of(16), 0);
        }
    }
    file
}
