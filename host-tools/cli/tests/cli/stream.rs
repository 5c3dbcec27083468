//! `mote stream`.

use crate::support::*;

#[test]
fn frames_give_results_from_the_first_window_on() {
    let folder = Folder::new();
    let plan = folder.path("stream.mote");
    let model = repository("models/continual/digits_conv/digits_conv.onnx");
    mote(&["convert", &model, "-o", &plan, "--stream", "--frame-ms", "16"]).text();
    let first = mote(&["inspect", &plan, "--json"]).report()["stream"]["first_ready"].as_u64().unwrap();
    let frames = first + 5;
    let values: Vec<f32> = noise(2, frames as usize * 32).into_iter().map(|v| f32::from(v) / 32.0).collect();
    let input = folder.file("frames.npy", npy(&[frames, 32], &values));
    let output = folder.path("results.npy");
    let arguments = ["stream", &plan, "--input", &input, "--output", &output, "--threshold", "0", "--json"];
    let report = mote(&arguments).report();
    assert_eq!(report["frames"], frames);
    assert_eq!((&report["results"], &report["first_ready"]), (&5.into(), &first.into()));
    let (shape, results) = numbers::<f32>(&output);
    assert_eq!((shape[0], results.iter().all(|v| v.is_finite())), (5, true));
    let detections = report["detections"].as_array().unwrap();
    assert_eq!(detections[0]["first_frame"], first);
    let from = detections[0]["from_s"].as_f64().unwrap();
    assert!((from - 0.016 * (first + 1) as f64).abs() < 1e-9, "a frame is complete at its end: {from}");

    // The last window of the stream is what the clip-wise network makes of it.
    let clip = folder.path("clip.mote");
    mote(&["convert", &model, "-o", &clip]).text();
    let window = &values[(frames - first - 1) as usize * 32..];
    let input = folder.file("window.npy", npy(&[1, first + 1, 32], window));
    mote(&["run", &clip, "--input", &input, "--output", &output]).text();
    let (_, last) = numbers::<f32>(&output);
    let largest = last.iter().fold(0f32, |most, v| most.max(v.abs()));
    for (a, b) in last.iter().zip(&results[results.len() - last.len()..]) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
}

#[test]
fn each_kind_of_plan_has_its_command() {
    let folder = Folder::new();
    let stream = folder.path("stream.mote");
    let model = repository("models/continual/digits_conv/digits_conv.onnx");
    mote(&["convert", &model, "-o", &stream, "--stream"]).text();
    let input = folder.file("x.npy", npy(&[1, 32], &[0f32; 32]));
    let error = mote(&["run", &stream, "--input", &input, "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("mote stream"), "{error:#}");
    let error = mote(&["stream", &plan(), "--input", &input, "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("mote run"), "{error:#}");
    let error = mote(&["eval", &stream, "--images", &repository("models"), "--json"]).error(2, "usage");
    assert!(error["help"].as_str().unwrap().contains("without --stream"), "{error:#}");
}
