//! Linker scripts of the programs: vector table and reset code, and the log's strings. And the cases of `kernels`.

use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

use mote_cortex_m::kernels::pack::Dsp;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        cases()?;
    }
    Ok(())
}

/// Writes the plans of the conformance suite, their inputs, and what the portable kernels make of them.
fn cases() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut text = String::from("static CASES: &[Case] = &[\n");
    for (i, case) in mote_conformance::cases(&Dsp).iter().enumerate() {
        let include = |name: &str, bytes: &[u8]| -> Result<String, Box<dyn Error>> {
            let path = out.join(format!("{i}.{name}"));
            fs::write(&path, bytes)?;
            Ok(format!("include_bytes!({path:?})"))
        };
        let plan = include("plan", &case.plan())?;
        let mut inputs = String::new();
        for (k, bytes) in case.inputs().enumerate() {
            write!(inputs, "{}, ", include(&format!("input{k}"), bytes)?)?;
        }
        let expected = include("expected", &case.expected())?;
        writeln!(text, "Case {{ plan: &Aligned(*{plan}), inputs: &[{inputs}], expected: {expected} }},")?;
    }
    text.push_str("];\n");
    fs::write(out.join("cases.rs"), text)?;
    Ok(())
}
