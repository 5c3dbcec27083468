//! What people hand over that is wrong: each time the exit code, and what is said about what was wrong, where, and what
//! to do; with `--json` as an object on standard output, without as text on standard error.

use crate::support::*;

/// Starts the command with and without `--json`. `parts` must stand in the message or the help; `place` is the file that
/// it is about.
fn refused(
    arguments: &[&str],
    code: i32,
    kind: &str,
    place: Option<&str>,
    parts: &[&str],
) -> serde_json::Value {
    let error = mote(&[arguments, &["--json"]].concat()).error(code, kind);
    assert_eq!(error["where"].as_str(), place, "{error:#}");
    let help = error["help"].as_str().unwrap_or_default();
    assert!(!help.is_empty(), "{arguments:?}: {error:#}");
    let told = format!("{} {help}", error["message"].as_str().unwrap());
    for part in parts {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    let text = mote(arguments);
    assert_eq!((text.code, text.stdout.as_str()), (code, ""), "{arguments:?}");
    // The text is broken into lines.
    let flat = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect::<String>();
    let first = error["message"].as_str().unwrap().lines().next().unwrap().to_owned();
    let count = flat(&text.stderr).matches(&flat(&first)).count();
    assert_eq!(count, 1, "said once, not {count} times: {}", text.stderr);
    error
}

#[test]
fn files_that_are_not_there() {
    let folder = Folder::new();
    let (gone, out) = (folder.path("gone.onnx"), folder.path("out.mote"));
    refused(&["convert", &gone, "-o", &out], 1, "file", Some(&gone), &["No such file", "check the path"]);
    refused(&["inspect", &gone], 1, "file", Some(&gone), &["check the path"]);
    refused(&["run", &plan(), "--input", &gone], 1, "file", Some(&gone), &["check the path"]);
    refused(&["eval", &plan(), "--images", &gone], 1, "file", Some(&gone), &["check the path"]);
    let labels = ["convert", &model(), "-o", &out, "--labels", &gone];
    refused(&labels, 1, "file", Some(&gone), &["check the path"]);
    assert!(folder.names().is_empty(), "nothing was written");
}

#[test]
fn models_that_are_none() {
    let folder = Folder::new();
    let out = folder.path("out.mote");
    let text = folder.file("notes.txt", "these are notes, not a network");
    let empty = folder.file("empty.onnx", "");
    let whole = std::fs::read(model()).unwrap();
    let cut = folder.file("cut.onnx", &whole[..whole.len() / 2]);
    let picture = picture();
    for file in [&empty, &cut] {
        refused(
            &["convert", file, "-o", &out],
            1,
            "model",
            Some(file),
            &["not a readable ONNX", "cut short"],
        );
    }
    for file in [&text, &picture] {
        refused(
            &["convert", file, "-o", &out],
            1,
            "model",
            Some(file),
            &["neither an ONNX nor a TFLite", ".onnx"],
        );
    }
    let tflite = std::fs::read(repository("tests/fuzz/corpus/misc.tflite")).unwrap();
    let cut = folder.file("cut.tflite", &tflite[..tflite.len() / 2]);
    refused(&["convert", &cut, "-o", &out], 1, "model", Some(&cut), &["TFLite", "cut short"]);
    assert!(!folder.names().contains(&"out.mote".to_string()));
}

#[test]
fn all_operators_that_cannot_be_converted_are_listed() {
    let folder = Folder::new();
    let file =
        folder.file("exotic.onnx", onnx(&["Det", "Relu", "NonZero", "Einsum"], &[Some(1), Some(4), Some(4)]));
    let out = folder.path("out.mote");
    let error = refused(
        &["convert", &file, "-o", &out],
        1,
        "unsupported_operators",
        Some(&file),
        &["3 node(s)", "node0 (Det)", "node2 (NonZero)", "node3 (Einsum)"],
    );
    let nodes: Vec<_> = error["refused"].as_array().unwrap().iter().collect();
    assert_eq!(nodes.iter().map(|node| &node["operator"]).collect::<Vec<_>>(), ["Det", "NonZero", "Einsum"]);
    for node in nodes {
        assert!(node["node"].is_string() && node["reason"].is_string(), "{node:#}");
        assert!(node.as_object().unwrap().contains_key("alternative"), "{node:#}");
    }
}

#[test]
fn streams_that_break_a_rule() {
    let folder = Folder::new();
    let out = folder.path("out.mote");
    let arguments = ["convert", &model(), "-o", &out, "--stream"];
    let parts = ["cannot run frame by frame", "breaks rule 1", "--whole-stream"];
    let error = refused(&arguments, 1, "not_streamable", Some(&model()), &parts);
    assert!(error["refused"].as_array().unwrap().iter().all(|node| node["rule"] == 1), "{error:#}");

    // What has no translation at all may break a rule, too.
    let file = folder.file("sums.onnx", onnx(&["CumSum", "Det"], &[Some(1), Some(4), Some(4)]));
    let arguments = ["convert", &file, "-o", &out, "--stream"];
    let error = refused(&arguments, 1, "unsupported_operators", Some(&file), &["breaks rule 4"]);
    assert_eq!(
        (&error["refused"][0]["rule"], &error["refused"][1]["rule"]),
        (&4.into(), &serde_json::Value::Null)
    );
}

#[test]
fn int8_without_calibration() {
    let folder = Folder::new();
    let (out, empty) = (folder.path("out.mote"), folder.path("empty"));
    std::fs::create_dir(&empty).unwrap();
    let start = ["convert", &model(), "-o", &out, "--dtype", "int8"];
    refused(&start, 1, "calibration", Some(&model()), &["--calibrate", "random"]);
    let preprocess = repository("models/cifar10/preprocess.json");
    let pictures = [&start[..], &["--calibrate", &empty, "--preprocess", &preprocess]].concat();
    refused(&pictures, 1, "input", Some(&empty), &["no pictures", ".png"]);
    let unknown = [&start[..], &["--calibrate", &empty]].concat();
    refused(&unknown, 2, "usage", None, &["--preprocess"]);
    let forgotten = ["convert", &model(), "-o", &out, "--calibrate", "random"];
    refused(&forgotten, 2, "usage", None, &["--dtype int8"]);
    let gone = folder.path("gone.npy");
    refused(&[&start[..], &["--calibrate", &gone]].concat(), 1, "file", Some(&gone), &["check the path"]);
    // As PyTorch has them.
    let first = folder.file("first.npy", npy(&[2, 3, 32, 32], &[0f32; 2 * 3 * 32 * 32]));
    let channels = [&start[..], &["--calibrate", &first]].concat();
    refused(&channels, 1, "input", Some(&first), &["another order", "--keep-layout"]);
    let kept = [&channels[..], &["--keep-layout", "--json"]].concat();
    mote(&kept).report();
}

#[test]
fn arguments_that_do_not_parse() {
    let folder = Folder::new();
    let out = folder.path("out.mote");
    let convert = ["convert", &model(), "-o", &out];
    let target = mote(&[&convert[..], &["--target", "z80", "--json"]].concat()).error(2, "usage");
    let message = target["message"].as_str().unwrap();
    assert!(message.contains("z80") && message.contains("cortex-m4"), "{message}");
    for wrong in [
        &["--hop", "2"][..],
        &["--size", "n"],
        &["--frame-ms", "0"],
        &["--state", "h"],
        &["--dtype", "int3"],
        &["--weight-bits", "6"],
        &["--weight-bits", "7", "--dtype", "f32"],
        // The file's own format is that of floats.
        &["--weight-bits", "7"],
    ] {
        mote(&[&convert[..], wrong, &["--json"]].concat()).error(2, "usage");
        let text = mote(&[&convert[..], wrong].concat());
        assert_eq!((text.code, text.stdout.as_str()), (2, ""));
        assert!(text.stderr.contains(wrong[0]), "{}", text.stderr);
    }
    mote(&["frobnicate", "--json"]).error(2, "usage");
    mote(&["run", &plan(), "--json"]).error(2, "usage");
    assert!(folder.names().is_empty());
}

#[test]
fn places_where_nothing_can_be_written() {
    let folder = Folder::new();
    let nowhere = folder.path("none/out.mote");
    let parts = ["no folder", "another place"];
    refused(&["convert", &model(), "-o", &nowhere], 1, "output", Some(&nowhere), &parts);
    let itself = folder.path("");
    refused(&["convert", &model(), "-o", &itself], 1, "output", Some(&itself), &["it is a folder"]);
    let array = folder.path("none/y.npy");
    refused(&["run", &plan(), "--input", &picture(), "--output", &array], 1, "output", Some(&array), &parts);
    let drawn = folder.path("none/map.svg");
    refused(&["inspect", &plan(), "--svg", &drawn], 1, "output", Some(&drawn), &parts);
}

#[test]
fn what_is_read_is_not_overwritten() {
    let folder = Folder::new();
    let bytes = std::fs::read(model()).unwrap();
    let file = folder.file("net.onnx", &bytes);
    refused(&["convert", &file, "-o", &file], 1, "output", Some(&file), &["what is read"]);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let own = folder.file("int8.mote", std::fs::read(plan()).unwrap());
    let other = folder.path("./int8.mote");
    refused(
        &["run", &own, "--input", &picture(), "--output", &other],
        1,
        "output",
        Some(&other),
        &["what is read"],
    );
    refused(&["inspect", &own, "--svg", &own], 1, "output", Some(&own), &["what is read"]);
}

#[test]
fn a_failure_keeps_what_was_there() {
    let folder = Folder::new();
    let out = folder.file("out.mote", "an older plan");
    let file = folder.file("exotic.onnx", onnx(&["Det"], &[Some(1), Some(4), Some(4)]));
    refused(&["convert", &file, "-o", &out], 1, "unsupported_operators", Some(&file), &[]);
    refused(&["convert", &model(), "-o", &out, "--dtype", "int8"], 1, "calibration", Some(&model()), &[]);
    assert_eq!(std::fs::read(&out).unwrap(), b"an older plan");
    assert_eq!(folder.names(), ["exotic.onnx", "out.mote"], "and leaves nothing beside it");
}

#[test]
fn plans_that_cannot_be_used() {
    let folder = Folder::new();
    let whole = std::fs::read(plan()).unwrap();
    let cut = folder.file("cut.mote", &whole[..whole.len() - 100]);
    refused(&["inspect", &cut], 1, "plan", Some(&cut), &["cut short", "convert"]);
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 4;
    let damaged = folder.file("damaged.mote", &bytes);
    refused(&["run", &damaged, "--input", &picture()], 1, "plan", Some(&damaged), &["damaged"]);
    refused(&["inspect", &model()], 1, "plan", Some(&model()), &["not a plan", "mote convert"]);
    let mut newer = whole;
    newer[8] = 200;
    let newer = folder.file("newer.mote", &newer);
    refused(&["inspect", &newer], 1, "plan", Some(&newer), &["version 200"]);
}

#[test]
fn tensors_that_do_not_fit() {
    let folder = Folder::new();
    let run = |file: &str, parts: &[&str]| {
        refused(&["run", &plan(), "--input", file], 1, "input", Some(file), parts);
    };
    run(&folder.file("text.npy", "no array"), &["not a .npy file", "numpy.save"]);
    run(&folder.file("long.npy", npy(&[1, 32, 32, 3], &[0i64; 3072])), &["<i8", "float32"]);
    run(&folder.file("few.npy", npy(&[1, 32, 32], &[0i8; 1024])), &["not a whole number", "[1, 32, 32, 3]"]);
    run(&folder.file("first.npy", npy(&[1, 3, 32, 32], &[0i8; 3072])), &["another order", "numpy.transpose"]);
    let whole = npy(&[1, 32, 32, 3], &[0f32; 3072]);
    run(&folder.file("cut.npy", &whole[..whole.len() - 8]), &["cut short"]);
    let mut vast = npy(&[1, 32, 32, 3], &[0i8; 3072]);
    let header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (99999999, 99999999), }";
    vast[10..10 + header.len()].copy_from_slice(header);
    run(&folder.file("vast.npy", vast), &[]);
    run(&folder.file("no.png", "no picture"), &["no picture", "PNG"]);
    let sample = folder.file("x.npy", npy(&[1, 32, 32, 3], &[0i8; 3072]));
    let twice = ["run", &plan(), "--input", &sample, "--input", &sample];
    refused(&twice, 2, "usage", None, &["1 input(s), 2 given", "mote inspect"]);
    let outputs = [folder.path("y.npy"), folder.path("z.npy")];
    let twice = ["run", &plan(), "--input", &sample, "--output", &outputs[0], "--output", &outputs[1]];
    refused(&twice, 2, "usage", None, &["1 output(s), 2 given"]);
}

#[test]
fn pictures_need_a_recipe() {
    let folder = Folder::new();
    let plain = folder.path("plain.mote");
    mote(&["convert", &model(), "-o", &plain]).text();
    refused(&["run", &plain, "--input", &picture()], 1, "input", Some(&picture()), &["--preprocess"]);
    let images = repository("models/cifar10/samples");
    refused(&["eval", &plain, "--images", &images], 2, "usage", None, &["--preprocess"]);
    let convert = |recipe: &str, parts: &[&str]| {
        let arguments = ["convert", &model(), "-o", &plain, "--preprocess", recipe];
        refused(&arguments, 1, "input", Some(recipe), &[parts, &["\"mean\""]].concat());
    };
    convert(&folder.file("no.json", "{"), &["no recipe"]);
    convert(&folder.file("typo.json", r#"{"size": [32, 32], "maen": [0], "std": [1]}"#), &["maen"]);
    convert(&folder.file("zero.json", r#"{"size": [32, 32], "mean": [0], "std": [0]}"#), &["std not zero"]);
    let order = r#"{"size": [32, 32], "mean": [0], "std": [1], "order": "cmyk"}"#;
    convert(&folder.file("order.json", order), &["cmyk", "bgr"]);
    let large = r#"{"size": [224, 224], "mean": [0], "std": [1]}"#;
    convert(&folder.file("large.json", large), &["224 x 224", "3072"]);
}

#[test]
fn folders_that_hold_no_classes() {
    let folder = Folder::new();
    let eval = |name: &str, parts: &[&str]| {
        let images = folder.path(name);
        refused(&["eval", &plan(), "--images", &images], 1, "input", Some(&images), parts);
    };
    folder.file("flat/a.png", "");
    eval("flat", &["no class folders", "folder of its own"]);
    folder.file("strange/spaceship/a.png", "");
    eval("strange", &["spaceship", "airplane"]);
    folder.file("empty/cat/readme.txt", "");
    eval("empty", &["no pictures"]);

    let unnamed = folder.path("unnamed.mote");
    let preprocess = repository("models/cifar10/preprocess.json");
    mote(&["convert", &model(), "-o", &unnamed, "--preprocess", &preprocess]).text();
    for class in 0..11 {
        folder.file(&format!("many/{class:02}/a.jpg"), std::fs::read(picture()).unwrap());
    }
    let many = folder.path("many");
    let parts = ["class 10", "10 classes"];
    refused(&["eval", &unnamed, "--images", &many], 1, "input", Some(&many), &parts);
}

#[test]
fn every_page_of_help_is_there() {
    for command in ["", "convert", "inspect", "run", "stream", "eval", "bundle", "demo"] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let text = mote(&arguments).text();
        assert!(text.contains("Usage: mote") && text.contains("--help"), "{text}");
        if !command.is_empty() {
            assert!(text.contains("--json"), "{command} reports as JSON, too");
        }
    }
}
