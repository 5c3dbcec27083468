//! Networks by name: `mote archs`, `mote convert --arch`, `mote tinynet`.

use crate::support::{Folder, mote};

#[test]
fn archs_are_listed_with_their_figures() {
    let report = mote(&["archs", "--json"]).report();
    let archs = report["archs"].as_array().unwrap();
    let tinynet = archs.iter().find(|arch| arch["arch"] == "tinynet_e").unwrap();
    assert_eq!(
        (tinynet["parameters"].as_u64(), tinynet["macs"].as_u64()),
        (Some(2_042_972), Some(24_356_848))
    );
    assert_eq!(tinynet["picture"].as_array().unwrap()[0], 106);
}

#[test]
fn a_budget_becomes_a_network_that_converts() {
    let folder = Folder::new();
    let prefix = folder.path("small");
    let report = mote(&[
        "tinynet",
        "--macs",
        "20M",
        "--flash",
        "2M",
        "--ram",
        "64K",
        "--classes",
        "10",
        "--target",
        "cortex-m4",
        "-o",
        &prefix,
        "--json",
    ])
    .report();
    let (macs, ram) = (report["macs"].as_u64().unwrap(), report["int8"]["ram_bytes"].as_u64().unwrap());
    assert!(macs < 20_000_000 && ram <= 64 << 10, "{report:#}");
    assert_eq!(folder.names(), ["small.py", "small.safetensors"]);
    let recipe = std::fs::read_to_string(folder.path("small.py")).unwrap();
    assert!(recipe.contains(report["timm"].as_str().unwrap()) && !recipe.contains('@'), "{recipe}");

    let (weights, plan) = (folder.path("small.safetensors"), folder.path("small.mote"));
    let side = report["picture"][0].to_string();
    let arch = report["arch"].as_str().unwrap();
    let converted = mote(&[
        "convert",
        &weights,
        "--arch",
        arch,
        "--picture",
        &side,
        "-o",
        &plan,
        "--dtype",
        "int8",
        "--calibrate",
        "random",
        "--target",
        "cortex-m4",
        "--json",
    ])
    .report();
    // What was promised is what is planned: only numbers differ.
    assert_eq!(converted["arena_bytes"].as_u64(), Some(ram));
}

#[test]
fn nothing_fits_a_tiny_flash() {
    let answer = mote(&["tinynet", "--macs", "20M", "--flash", "300K", "--classes", "10", "--json"]);
    let error = answer.error(2, "usage");
    assert!(error["message"].as_str().unwrap().starts_with("no TinyNet fits"), "{error:#}");
}

#[test]
fn unknown_names_and_weights_of_another_network_are_refused() {
    let folder = Folder::new();
    let plan = folder.path("net.mote");
    let error = mote(&["convert", "--arch", "tinynet-e", "-o", &plan, "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("tinynet_e"), "{error:#}");

    mote(&["tinynet", "--macs", "10M", "--classes", "3", "-o", &folder.path("net"), "--json"]).report();
    let weights = folder.path("net.safetensors");
    let error = mote(&["convert", &weights, "-o", &plan, "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("--arch"), "{error:#}");
    let error =
        mote(&["convert", &weights, "--arch", "mobilenetv1_025", "-o", &plan, "--json"]).error(1, "weights");
    let refused = error["refused"].as_array().unwrap();
    let of =
        |tensor: &str| refused.iter().find(|r| r["tensor"] == tensor).unwrap()["reason"].as_str().unwrap();
    assert!(of("conv_stem.weight").contains("[32, 3, 3, 3]"));
    assert!(of("blocks.0.0.se.conv_reduce.weight").ends_with("no such tensor"));
    assert!(!std::path::Path::new(&plan).exists());
}
