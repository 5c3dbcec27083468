//! Tells what the core has: `mote_dbg_hint` where 32-bit hints exist (all Cortex-M but the ARMv6-M and ARMv8-M
//! Baseline ones, which only have 16-bit hints: `mote_small_core`), `mote_dsp` where the DSP extension does,
//! `mote_mve` where Helium does.

/// ARMv8-M Mainline cores with the DSP extension: a part of the architecture that a core may lack, and that the target
/// triple does not tell.
const V8_WITH_DSP: &[&str] = &["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];

/// Cores with Helium.
const WITH_MVE: &[&str] = &["cortex-m52", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(mote_dbg_hint, mote_small_core, mote_dsp, mote_mve)");
    let target = std::env::var("TARGET").unwrap_or_default();
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let v8 = target.starts_with("thumbv8m.main");
    if target.starts_with("thumbv7") || v8 {
        println!("cargo::rustc-cfg=mote_dbg_hint");
    }
    if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        println!("cargo::rustc-cfg=mote_small_core");
    }
    let cpu = flags
        .split('\x1f')
        .filter_map(|flag| flag.rsplit_once("target-cpu="))
        .map(|(_, cpu)| cpu)
        .next_back();
    if target.starts_with("thumbv7em") || v8 && cpu.is_some_and(|cpu| V8_WITH_DSP.contains(&cpu)) {
        println!("cargo::rustc-cfg=mote_dsp");
    }
    if v8 && cpu.is_some_and(|cpu| WITH_MVE.contains(&cpu)) {
        println!("cargo::rustc-cfg=mote_mve");
    }
}
