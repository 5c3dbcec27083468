//! `mote convert`.

use crate::support::*;

/// All machines that plans are packed for.
const TARGETS: [&str; 9] = [
    "portable",
    "cortex-m0",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "aarch64",
    "wasm",
    "wasm-relaxed",
];

#[test]
fn every_target_takes_every_number_format() {
    let folder = Folder::new();
    for target in TARGETS {
        for dtype in [&["--dtype".into(), "f32".into()][..], &["--dtype".into(), "f16".into()], &int8()] {
            let plan = folder.path("plan.mote");
            let arguments =
                ["convert", &model(), "-o", &plan, "--target", target, "--json"].map(str::to_owned);
            let report = mote(&[&arguments, dtype].concat()).report();
            assert_eq!(report["target"], target);
            let input = report["inputs"][0].as_str().unwrap();
            assert_eq!(input.contains("int8"), dtype.len() > 2, "{target}: {input}");
            assert_eq!(report["quantization"].is_object(), dtype.len() > 2);
            assert_eq!(report["plan_bytes"], std::fs::metadata(&plan).unwrap().len());
            let answer = mote(&["inspect", &plan, "--json"]).report();
            for key in
                ["arena_bytes", "state_bytes", "weight_bytes", "macs", "arena_whole_bytes", "code_bytes"]
            {
                assert_eq!(answer[key], report[key], "{target}: {key}");
            }
        }
    }
    assert_eq!(folder.names(), ["plan.mote"]);
}

#[test]
fn half_weights_are_half_as_large() {
    let folder = Folder::new();
    let bytes = |dtype: &str| {
        let plan = folder.path("plan.mote");
        let report = mote(&["convert", &model(), "-o", &plan, "--dtype", dtype, "--json"]).report();
        report["weight_bytes"].as_f64().unwrap()
    };
    let ratio = bytes("f16") / bytes("f32");
    assert!((0.5..0.55).contains(&ratio), "{ratio}");
}

#[test]
fn plans_of_all_targets_give_the_same_bytes() {
    let folder = Folder::new();
    let input = folder.file("x.npy", npy(&[3, 32, 32, 3], &noise(7, 3 * 32 * 32 * 3)));
    let outputs = TARGETS.map(|target| {
        let (plan, output) = (folder.path("plan.mote"), folder.path("y.npy"));
        let arguments = ["convert", &model(), "-o", &plan, "--target", target].map(str::to_owned);
        mote(&[&arguments[..], &int8()].concat()).text();
        mote(&["run", &plan, "--input", &input, "--output", &output]).text();
        numbers::<i8>(&output)
    });
    assert_eq!(outputs[0].0, [3, 10]);
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}

#[test]
fn rows_lower_the_arena_and_change_no_byte() {
    let folder = Folder::new();
    let input = folder.file("x.npy", npy(&[2, 32, 32, 3], &noise(3, 2 * 32 * 32 * 3)));
    let [(auto, with), (off, without)] = ["auto", "off"].map(|rows| {
        let (plan, output) = (folder.path("plan.mote"), folder.path("y.npy"));
        let arguments = ["convert", &model(), "-o", &plan, "--rows", rows, "--json"].map(str::to_owned);
        let report = mote(&[&arguments[..], &int8()].concat()).report();
        mote(&["run", &plan, "--input", &input, "--output", &output]).text();
        (report, numbers::<i8>(&output))
    });
    assert_eq!(with, without);
    assert!(auto["arena_bytes"].as_u64() < off["arena_bytes"].as_u64());
    assert_eq!(auto["arena_whole_bytes"], off["arena_bytes"]);
    assert_eq!(off["arena_whole_bytes"], off["arena_bytes"]);
}

#[test]
fn calibration_takes_tensors_and_random_numbers() {
    let folder = Folder::new();
    let values: Vec<f32> = noise(1, 4 * 32 * 32 * 3).into_iter().map(|v| f32::from(v) / 64.0).collect();
    let samples = folder.file("samples.npy", npy(&[4, 32, 32, 3], &values));
    for (source, count) in [(samples.as_str(), 4), ("random", 16)] {
        let plan = folder.path("plan.mote");
        let arguments =
            ["convert", &model(), "-o", &plan, "--dtype", "int8", "--calibrate", source, "--json"];
        assert_eq!(mote(&arguments).report()["quantization"]["samples"], count);
    }
}

#[test]
fn open_axes_get_their_sizes() {
    let folder = Folder::new();
    let model = folder.file("open.onnx", onnx(&["Relu"], &[Some(1), None, Some(3)]));
    let plan = folder.path("plan.mote");
    let error = mote(&["convert", &model, "-o", &plan, "--json"]).error(1, "model");
    assert!(error["message"].as_str().unwrap().contains("axis1"), "{error:#}");
    assert!(error["help"].as_str().unwrap().contains("--size"), "{error:#}");
    let report = mote(&["convert", &model, "-o", &plan, "--size", "axis1=5", "--json"]).report();
    assert!(report["inputs"][0].as_str().unwrap().contains("[1, 5, 3]"), "{report:#}");
}

#[test]
fn stripped_plans_are_smaller_and_run() {
    let folder = Folder::new();
    let [full, stripped] = [&[][..], &["--strip"]].map(|more| {
        let plan = folder.path("plan.mote");
        let arguments = ["convert", &model(), "-o", &plan, "--json"].map(str::to_owned);
        let more: Vec<String> = more.iter().map(|argument: &&str| (*argument).into()).collect();
        let report = mote(&[&arguments[..], &int8(), &more].concat()).report();
        mote(&["run", &plan, "--input", &picture(), "--json"]).report();
        report
    });
    assert_eq!(stripped["name_bytes"], 0);
    assert!(stripped["plan_bytes"].as_u64() < full["plan_bytes"].as_u64());
    assert_eq!(stripped["arena_whole_bytes"], full["arena_whole_bytes"], "convert knows it all the same");
}

#[test]
fn the_networks_of_mlperf_tiny() {
    let folder = Folder::new();
    for name in ["ad", "kws", "sww", "vww", "ic_resnet8"] {
        let Some(model) = data(&format!("mlperf-tiny/{name}_int8.tflite")) else {
            eprintln!("skipped: {name}_int8.tflite is not in the data folder");
            continue;
        };
        let (plan, one, many) = (folder.path("plan.mote"), folder.path("one.npy"), folder.path("many.npy"));
        mote(&["convert", &model, "-o", &plan, "--json"]).report();
        let length = input_length(&plan);
        let codes = noise(11, 3 * length as usize);
        let batch = folder.file("batch.npy", npy(&[3, length], &codes));
        mote(&["run", &plan, "--input", &batch, "--output", &many]).text();
        let (shape, all) = numbers::<i8>(&many);
        assert_eq!(shape[0], 3, "{name}");
        for (index, sample) in codes.chunks(length as usize).enumerate() {
            let input = folder.file("sample.npy", npy(&[1, length], sample));
            mote(&["run", &plan, "--input", &input, "--output", &one]).text();
            let (_, single) = numbers::<i8>(&one);
            assert_eq!(all.chunks(single.len()).nth(index), Some(&single[..]), "{name}");
        }
    }
}

/// Elements of the plan's input, from its description `name int8[1, 96, 96, 3] (..)`.
fn input_length(plan: &str) -> u64 {
    let report = mote(&["inspect", plan, "--json"]).report();
    let input = report["inputs"][0].as_str().unwrap().to_owned();
    let shape = input.split_once('[').and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
    shape.split(", ").map(|n| n.parse::<u64>().unwrap()).product()
}

#[test]
fn the_end_that_is_trained_is_cut_off_and_counted() {
    let folder = Folder::new();
    let out = folder.path("features.mote");
    let convert = |more: &[&str]| {
        let start = ["convert", &model(), "-o", &out, "--target", "cortex-m4", "--json"].map(str::to_owned);
        let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        mote(&[start.to_vec(), int8(), more].concat())
    };
    let report = convert(&["--train", "head"]).report();
    let training = &report["training"];
    assert_eq!((training["features"].as_u64(), training["parameters"].as_u64()), (Some(64), Some(650)));
    let parts = training["memory"].as_object().unwrap();
    let total: u64 = parts.values().map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(training["memory_bytes"].as_u64(), Some(total));
    assert_eq!(parts["arena"], report["arena_bytes"]);
    let (shape, numbers) = numbers::<f32>(&folder.path("features.parameters.npy"));
    assert_eq!((shape, numbers.len()), (vec![650], 650));
    let without = convert(&["--train", "head", "--no-momentum"]).report();
    assert_eq!(without["training"]["memory_bytes"].as_u64(), Some(total - 4 * 650));
    // What is told is enough, and what training takes alone is too little.
    convert(&["--train", "head", "--ram-limit", &total.to_string()]).report();
    let error = convert(&["--train", "head", "--ram-limit", "9K"]).error(1, "too_large");
    assert!(error["needed_bytes"].as_u64().unwrap() > 9 << 10, "{error:#}");
    // The layer before the last one stands in a block with a way around it.
    let error = convert(&["--train", "bias:1"]).error(1, "not_trainable");
    assert!(
        error["message"].as_str().unwrap().contains("cannot be trained through")
            || error["message"].as_str().unwrap().contains("may read only"),
        "{error:#}"
    );
    convert(&["--train", "tail"]).error(2, "usage");
}

#[test]
fn a_limit_of_memory_gives_the_fastest_plan_within() {
    let folder = Folder::new();
    let out = folder.path("out.mote");
    let convert = |more: &[&str]| {
        let start = ["convert", &model(), "-o", &out, "--target", "cortex-m4", "--json"].map(str::to_owned);
        let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        mote(&[start.to_vec(), int8(), more].concat())
    };
    let arena = |report: &serde_json::Value| report["arena_bytes"].as_u64().unwrap();
    let cost = || {
        let report = mote(&["estimate", &out, "--json"]).report();
        report["instructions"].as_f64().unwrap()
    };
    let answer = || {
        let result = folder.path("out.npy");
        mote(&["run", &out, "--input", &picture(), "--output", &result, "--json"]).text();
        numbers::<i8>(&result).1
    };
    let least = arena(&convert(&[]).report());
    let (slowest, expected) = (cost(), answer());
    let whole = arena(&convert(&["--opt", "speed"]).report());
    let fastest = cost();
    assert!(least < whole && fastest < slowest, "{least} {whole} {fastest} {slowest}");
    let limit = (least + whole) / 2;
    let between = arena(&convert(&["--ram-limit", &limit.to_string()]).report());
    assert!(between <= limit, "{between} for at most {limit}");
    assert!(cost() <= slowest && cost() >= fastest, "{} is not from {fastest} to {slowest}", cost());
    assert_eq!(answer(), expected);
    let error = convert(&["--ram-limit", "1K"]).error(1, "too_large");
    // What it asks for is enough, and not more than without a wish: slower kernels may need less.
    let needed = error["needed_bytes"].as_u64().unwrap();
    assert!(needed <= least && error["message"].as_str().unwrap().contains(&needed.to_string()), "{error:#}");
    assert_eq!(arena(&convert(&["--ram-limit", &needed.to_string()]).report()), needed);
    assert_eq!(answer(), expected);
    convert(&["--ram-limit", &(needed - 1).to_string()]).error(1, "too_large");
    convert(&["--ram-limit", "lots"]).error(2, "usage");
}

#[test]
fn the_cheapest_kernel_is_chosen_and_told() {
    let folder = Folder::new();
    let out = folder.path("out.mote");
    let convert = ["convert", &model(), "-o", &out, "--target", "cortex-m4"].map(str::to_owned);
    mote(&[convert.to_vec(), int8()].concat()).text();
    let report = mote(&["inspect", &out, "--json"]).report();
    let mut weighed = 0;
    for step in report["steps"].as_array().unwrap() {
        let candidates = step["candidates"].as_array().unwrap();
        let costs: Vec<u64> =
            candidates.iter().map(|candidate| candidate["cost"].as_u64().unwrap()).collect();
        if let Some(first) = candidates.first() {
            weighed += 1;
            assert_eq!(first["kernel"], step["kernel"]);
            // Not more than any other one, but for what figures can be doubted.
            assert!(costs.iter().all(|&cost| 2 * cost >= costs[0]), "{step:#}");
        }
    }
    assert!(weighed > 3, "{weighed} steps had more than one kernel to choose from");
    let text = mote(&["inspect", &out]).text();
    assert!(text.contains("chosen at about"), "{text}");
}
