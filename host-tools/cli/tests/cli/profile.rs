//! `mote profile` and `mote estimate`. Profiles need QEMU, cargo and the board's Rust target; without QEMU they are
//! skipped.

use crate::support::*;
use serde_json::Value;
use std::process::Command;

const BOARD: &str = "mps2-an386";

/// Whether boards can be emulated here.
fn emulator() -> bool {
    let there = Command::new("qemu-system-arm").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: there is no qemu-system-arm");
    }
    there
}

fn model_on(command: &str, machine: [&str; 2]) -> Vec<String> {
    let mut arguments = vec![command.to_owned(), model(), "--json".into()];
    arguments.extend(machine.map(str::to_owned));
    arguments.extend(int8());
    arguments
}

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("{key}: {:?}", report[key]))
}

#[test]
fn every_layer_is_counted_under_its_own_name() {
    if !emulator() {
        return;
    }
    let report = mote(&model_on("profile", ["--board", BOARD])).report();
    let steps = report["steps"].as_array().unwrap();
    let sum = |key: &str| steps.iter().map(|step| number(step, key)).sum::<f64>();
    let total = number(&report, "instructions");
    // The engine works between steps, but not much.
    assert!(sum("instructions") <= total && sum("instructions") > 0.99 * total, "{report:#}");
    assert!((sum("share") - 1.0).abs() < 1e-6);
    assert_eq!(sum("macs"), number(&report, "macs"));
    assert!(number(&report, "instructions_per_mac") < 2.0, "{report:#}");
    assert!(number(&report, "cycles_estimate") > total);
    assert!(number(&report, "startup_instructions") > 1000.0 && number(&report, "stack_bytes") > 100.0);
    let convolutions =
        steps.iter().filter(|step| step["kernel"].as_str().unwrap().starts_with("conv_s8_dsp"));
    for step in convolutions.clone() {
        let name = step["name"].as_str().unwrap();
        assert!(name.contains("Conv") || name.contains("conv"), "not a name of the file: {name}");
    }
    assert!(convolutions.count() > 3);
    // Exact, so the same again; and the plan gives what the model gives.
    let folder = Folder::new();
    let plan = folder.path("m4.mote");
    let convert = ["convert", &model(), "-o", &plan, "--target", "cortex-m4"].map(str::to_owned);
    mote(&[convert.to_vec(), int8()].concat()).text();
    let again = mote(&["profile", &plan, "--board", BOARD, "--json"]).report();
    assert_eq!(again["instructions"], report["instructions"]);
    assert_eq!(again["steps"], report["steps"]);
    let text = mote(&["profile", &plan, "--board", BOARD]).text();
    assert!(text.contains("estimate") && text.contains("conv_s8_dsp"), "{text}");
}

/// Networks that no table was made from: `benches/cost/networks.rs` of the compiler leaves them out.
#[test]
fn estimates_of_unknown_networks_are_within_their_error_of_the_count() {
    if !emulator() {
        return;
    }
    let networks = ["tinynet/cifar10/tinynet_cifar10.onnx", "mobilenet/cifar10/mobilenet_cifar10.onnx"];
    for (board, target) in [(BOARD, "cortex-m4"), ("mps3-an547", "cortex-m55")] {
        for network in networks {
            let folder = Folder::new();
            let plan = folder.path("plan.mote");
            let file = repository(&format!("models/{network}"));
            let convert = ["convert", &file, "-o", &plan, "--target", target].map(str::to_owned);
            mote(&[convert.to_vec(), int8()].concat()).text();
            let counted =
                number(&mote(&["profile", &plan, "--board", board, "--json"]).report(), "instructions");
            let estimate = mote(&["estimate", &plan, "--json"]).report();
            let (estimated, error) = (number(&estimate, "instructions"), number(&estimate, "error"));
            let off = estimated / counted - 1.0;
            println!(
                "{network} on {target}: {counted} counted, {estimated:.0} estimated, {:+.1} %",
                100.0 * off
            );
            assert!(error < 0.25, "the error bar says nothing: {error}");
            assert!(off.abs() <= error, "{network} on {target}: {estimated} for {counted}, +-{error}");
        }
    }
}

#[test]
fn streams_are_told_by_the_frame() {
    let stream = repository("models/continual/digits_conv/digits_conv.onnx");
    let report =
        mote(&["estimate", &stream, "--stream", "--target", "m4", "--clock", "120MHz", "--json"]).report();
    assert_eq!(report["per_frame"], true);
    let cycles = number(&report, "cycles_estimate");
    assert!((number(&report, "milliseconds") - cycles / 120e3).abs() < 1e-3, "{report:#}");
    assert_eq!(report["not_measured"], serde_json::json!([]));
    if emulator() {
        let counted = mote(&["profile", &stream, "--stream", "--board", BOARD, "--json"]).report();
        assert_eq!(counted["per_frame"], true);
        let (estimated, counted) = (number(&report, "instructions"), number(&counted, "instructions"));
        assert!((estimated / counted - 1.0).abs() <= number(&report, "error"), "{estimated} for {counted}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let (folder, plan) = (Folder::new(), plan());
    let told = |variable: (&str, &str), parts: &[&str]| {
        let mut mote = Command::new(env!("CARGO_BIN_EXE_mote"));
        let output = mote.args(["profile", &plan, "--json"]).env(variable.0, variable.1).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["error"]["kind"], "board");
        let text = format!("{} {}", report["error"]["message"], report["error"]["help"]);
        parts.iter().for_each(|part| assert!(text.contains(part), "{part} is not in: {text}"));
    };
    told(("PATH", &folder.path("")), &["qemu-system-arm", "apt-get install"]);
    told(("MOTE_SOURCES", &folder.path("gone")), &["gone", "MOTE_SOURCES"]);
    if emulator() {
        let compiler = folder.file("rustc", "#!/bin/sh\necho /nowhere\n");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&compiler, executable).unwrap();
        told(("RUSTC", &compiler), &["thumbv7em-none-eabihf", "rustup target add"]);
    }
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    if emulator() {
        let large = folder.file("large.onnx", onnx(&["Softmax"], &[1, 64, 600, 600].map(Some)));
        let error =
            mote(&["profile", &large, "--board", BOARD, "--rows", "off", "--json"]).error(1, "too_large");
        let told = format!("{} {}", error["message"], error["help"]);
        assert!(told.contains("arena and state") && told.contains("more memory"), "{told}");
    }
    let helium = folder.path("helium.mote");
    let convert = ["convert", &model(), "-o", &helium, "--target", "cortex-m55"].map(str::to_owned);
    mote(&[convert.to_vec(), int8()].concat()).text();
    let error = mote(&["profile", &helium, "--board", BOARD, "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("--target cortex-m4"), "{error:#}");
    let stripped = folder.path("stripped.mote");
    let convert =
        ["convert", &model(), "-o", &stripped, "--target", "cortex-m4", "--strip"].map(str::to_owned);
    mote(&convert).text();
    let error = mote(&["estimate", &stripped, "--json"]).error(1, "input");
    assert!(error["help"].as_str().unwrap().contains("--strip"), "{error:#}");
    let error = mote(&["estimate", &model(), "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("cortex-m4"), "{error:#}");
}
