//! `mote convert` of networks with many zeros, and of those that get them.

use crate::support::*;
use serde_json::Value;

/// A trained network of 1x1 and depthwise convolutions, and the same with 90 % zeros in its 1x1 convolutions.
const DENSE: &str = "models/mobilenet/cifar10/mobilenet_cifar10.onnx";
const SPARSE: &str = "models/mobilenet/cifar10/mobilenet_sparse90_cifar10.onnx";

/// The report of a conversion.
fn convert(model: &str, plan: &str, more: &[&str]) -> Value {
    let model = repository(model);
    mote(&[&["convert", &model, "-o", plan, "--json"], more].concat()).report()
}

/// Names of the kernels, and the record of each layer that was weighed.
fn steps(report: &Value) -> Vec<(&str, &Value)> {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["kernel"].as_str().unwrap(), &step["weighed"])).collect()
}

fn bytes(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap()
}

#[test]
fn pruned_networks_run_sparse_and_dense_with_one_result() {
    let folder = Folder::new();
    let input = folder.file("x.npy", npy(&[2, 32, 32, 3], &noise(5, 2 * 32 * 32 * 3)));
    // Both kernels of an M4 are faster, the dense one more so: fewer layers are worth it.
    for (target, block, bits, least) in
        [("portable", "4", "8", 6), ("cortex-m4", "4", "8", 3), ("wasm", "1x4", "7", 3)]
    {
        let prune = ["--prune", "0.9", "--block", block, "--weight-bits", bits, "--target", target];
        let int8 = ["--dtype", "int8", "--calibrate", "random", "--sparse"];
        let [(auto, with), (off, without)] = ["auto", "off"].map(|sparse| {
            let (plan, output) = (folder.path("plan.mote"), folder.path("y.npy"));
            let report = convert(DENSE, &plan, &[&prune[..], &int8, &[sparse]].concat());
            mote(&["run", &plan, "--input", &input, "--output", &output]).text();
            (report, numbers::<i8>(&output))
        });
        assert_eq!(with, without, "{target}");
        let pruned = auto["pruned"].as_array().unwrap();
        assert_eq!(pruned.len(), 7, "all 1x1 convolutions");
        for layer in pruned {
            let share = bytes(layer, "zeros") as f64 / bytes(layer, "weights") as f64;
            assert!((0.88..=0.9).contains(&share) && bytes(layer, "zeros_before") < 100, "{layer:#}");
            assert!((0.1..1.0).contains(&layer["squares_left"].as_f64().unwrap()), "{layer:#}");
        }
        let sparse = steps(&auto).iter().filter(|(kernel, _)| kernel.starts_with("spmm_s8")).count();
        assert!(sparse >= least, "{target}: {sparse} of {} layers", pruned.len());
        assert!(steps(&off).iter().all(|(kernel, _)| !kernel.starts_with("spmm")));
        for (kernel, weighed) in steps(&auto).into_iter().filter(|(kernel, _)| kernel.starts_with("spmm_s8"))
        {
            assert_eq!(weighed["choice"], "sparse", "{kernel}: {weighed:#}");
            assert!(weighed["sparse"].as_f64() < weighed["dense"].as_f64(), "{weighed:#}");
        }
        let weights = bytes(&auto, "weight_bytes") as f64 / bytes(&off, "weight_bytes") as f64;
        // Other kernels' weights stand in more bytes beside those of the sparse ones.
        let most = if target == "wasm" { 0.9 } else { 0.5 };
        assert!(weights < most, "{target}: {weights} of the bytes");
        assert!(bytes(&auto, "arena_bytes") <= bytes(&off, "arena_bytes"), "{target}");
    }
}

#[test]
fn zeros_of_trained_networks_are_found_and_told() {
    let folder = Folder::new();
    let plan = folder.path("plan.mote");
    for dtype in ["f32", "f16"] {
        let [sparse, dense] =
            ["auto", "off"].map(|sparse| convert(SPARSE, &plan, &["--dtype", dtype, "--sparse", sparse]));
        assert_eq!(sparse["pruned"], Value::Array(Vec::new()));
        let layers = steps(&sparse).into_iter().filter(|(kernel, _)| kernel.starts_with("spmm_f32"));
        // Training allotted the zeros by layer: few to the first, most to the last ones, 90 % in all.
        let zeros: Vec<f64> = layers.map(|(_, weighed)| weighed["zeros"].as_f64().unwrap()).collect();
        assert!(zeros.len() >= 5 && zeros.is_sorted() && zeros.last() > Some(&0.93), "{dtype}: {zeros:?}");
        let [sparse, dense] = [sparse, dense].map(|report| bytes(&report, "weight_bytes") as f64);
        assert!(sparse / dense < 0.5, "{dtype}: {sparse} of {dense} bytes");
        convert(SPARSE, &plan, &["--dtype", dtype]);
        let text = mote(&["inspect", &plan]).text();
        assert!(text.contains("sparse: 93.6 % zeros") && text.contains("in blocks of 1x1 (ns"), "{text}");
    }
}

#[test]
fn what_cannot_be_pruned_is_told() {
    let folder = Folder::new();
    let plan = folder.path("plan.mote");
    let model = repository(DENSE);
    for (more, told) in [
        (&["--prune", "1"][..], "a share from 0"),
        (&["--prune", "1.5"], "a share from 0"),
        (&["--block", "4"], "--prune"),
        (&["--prune", "0.5", "--block", "3"], "3"),
    ] {
        let answer = mote(&[&["convert", &model, "-o", &plan], more].concat());
        assert_eq!(answer.code, 2, "{more:?}");
        assert!(answer.stderr.contains(told), "{more:?}: {}", answer.stderr);
    }
    assert!(folder.names().is_empty());
}
