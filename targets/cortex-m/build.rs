//! Tells which instructions the core has: `mote_dbg_hint` where 32-bit hints exist (all
//! Cortex-M but the ARMv6-M and ARMv8-M Baseline ones, which only have 16-bit hints).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(mote_dbg_hint)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7") || target.starts_with("thumbv8m.main") {
        println!("cargo::rustc-cfg=mote_dbg_hint");
    }
}
