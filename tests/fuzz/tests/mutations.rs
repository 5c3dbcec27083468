//! 100,000 damaged files, each with a clear error or a working result: no panic, no hang, no huge allocation.

use std::process::Command;

#[test]
fn a_hundred_thousand_damaged_files() {
    let output = Command::new(env!("CARGO_BIN_EXE_mote-fuzz")).args(["--cases", "100000"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "again: cargo run --release -p mote-fuzz -- <what stands above>");
    // The figure that this test is about: nothing was left out.
    let cases: u64 = text.lines().last().and_then(|line| line.split(' ').next()?.parse().ok()).unwrap();
    assert!(cases >= 100_000, "{cases} cases");
}
