//! The networks of `tests/golden/continual`, window by window: the clip-wise half of what a step-wise plan must equal.
//!
//! Each is converted as it stands and run on the first windows of its stream; results come from PyTorch and ONNX
//! Runtime (`tests/golden/README.md`).

use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::{Executor, encode};
use mote_compiler::quantize::Calibration;
use mote_compiler::stream::time;
use mote_runtime::engine::Progress;
use prost::Message;
use serde::Deserialize;
use std::collections::BTreeSet;
use tract_onnx::pb::ModelProto;

// Its other readers are for other tests.
#[allow(dead_code)]
mod golden;

use golden::difference;
use golden::streams::{self, Stream};

/// Largest difference, relative to the larger of 1 and the range of the results.
const TOLERANCE: f32 = 1e-5;

#[test]
fn vectors() {
    let mut worst: (f32, String) = (0.0, String::new());
    let streams = streams::vectors();
    let count = streams.len();
    for stream in streams {
        let error = check(&stream);
        if error > worst.0 {
            worst = (error, stream.name);
        }
    }
    println!("{count} networks, largest difference {:.1e} ({})", worst.0, worst.1);
    assert!(count >= 55);
}

#[test]
fn trained_networks() {
    let streams = streams::networks();
    assert_eq!(streams.len(), 4);
    for stream in streams {
        let error = check(&stream);
        println!("{}: largest difference {error:.1e}", stream.name);
    }
}

/// Attention in integers, with positions from a table: nothing stays float, and frame by frame the codes are those of
/// the windows.
#[test]
fn transformer_in_int8() {
    let stream = streams::networks().into_iter().find(|s| s.name == "digits_transformer").unwrap();
    let model = stream.model();
    let windows: Vec<_> = stream.windows().iter().map(|&(start, _)| (start, stream.window(start))).collect();
    assert!(windows.len() > 1, "the positions come back once at least");
    let samples = windows.iter().map(|(_, window)| vec![window.clone()]).collect();
    let options = |by_frames| Options {
        precision: Precision::Int8,
        calibration: Some(Calibration::new(Clone::clone(&samples))),
        ..stream.options(by_frames)
    };
    let clip = convert(&model, &options(false)).unwrap();
    let report = clip.quantization.unwrap();
    println!("{report}");
    assert_eq!(report.float_nodes.len(), 0);
    assert!(report.nodes.iter().any(|node| node.op == "attention" && node.snr.unwrap() > 25.0));
    assert!(report.output_snr().unwrap() > 28.0);

    let steps = convert(&model, &options(true)).unwrap();
    println!("{} bytes of state, {} of arena", steps.schedule.state_bytes, steps.schedule.arena);
    let (mut by_window, mut by_frame) =
        (Executor::new(&clip.plan).unwrap(), Executor::new(&steps.plan).unwrap());
    let mut results = Vec::new();
    by_frame
        .with(|engine| {
            for frame in 0..windows.last().unwrap().0 + stream.length() {
                if engine.step(&encode(&engine.input_format(0)?, &stream.frame(frame))?)? == Progress::Ready {
                    results.push(engine.output(0)?.bytes().to_vec());
                }
            }
            Ok(())
        })
        .unwrap();
    for (start, window) in windows {
        let codes = by_window.with(|engine| encode(&engine.input_format(0)?, &window)).unwrap();
        assert_eq!(by_window.run(&[&codes]).unwrap()[0], results[start], "window at {start}");
    }
}

/// Frame by frame: every result, at the frame at which it is due, and no other.
#[test]
fn vectors_frame_by_frame() {
    let streams = streams::vectors();
    for stream in &streams {
        check_steps(stream);
    }
    println!("{} networks equal frame by frame", streams.len());
    assert!(streams.len() >= 55);
}

#[test]
fn trained_networks_frame_by_frame() {
    for stream in streams::networks() {
        println!("{}: largest difference {:.1e}", stream.name, check_steps(&stream));
    }
}

/// An entry of `refusals.json`.
#[derive(Deserialize)]
struct Refusal {
    name: String,
    file: String,
    time_axis: usize,
    hop: usize,
    rule: u8,
}

/// Every network that breaks a rule is refused: a line names the node, the rule's number, and what would be exact.
#[test]
fn refusals() {
    let refusals: Vec<Refusal> = golden::load("continual/refusals.json");
    let mut wrong = Vec::new();
    for refusal in &refusals {
        let model = std::fs::read(golden::path("continual").join(&refusal.file)).unwrap();
        let transform = time::Stream { axis: Some(refusal.time_axis), hop: Some(refusal.hop), whole: false };
        let options = Options { keep_layout: true, stream: Some(transform), ..Options::default() };
        let Err(error) = convert(&model, &options) else {
            wrong.push(&refusal.name);
            continue;
        };
        let text = error.to_string();
        println!("{}: {text}", refusal.name);
        let graph = ModelProto::decode(&model[..]).unwrap().graph.unwrap();
        let breaks = |line: &str| {
            let told = line.contains(&format!(": breaks rule {}: ", refusal.rule));
            told && line.contains("; instead: ") && graph.node.iter().any(|node| line.contains(&node.name))
        };
        if !text.lines().any(breaks) {
            wrong.push(&refusal.name);
        }
    }
    assert!(wrong.is_empty(), "not refused by the right rule: {wrong:?}");
    let rules: BTreeSet<u8> = refusals.iter().map(|refusal| refusal.rule).collect();
    assert_eq!(rules, (1..=8).collect());
}

/// Converts to a step-wise plan and pushes the stream through it; gives the largest difference.
fn check_steps(stream: &Stream) -> f32 {
    let converted =
        convert(&stream.model(), &stream.options(true)).unwrap_or_else(|e| panic!("{}: {e}", stream.name));
    let mut executor = Executor::new(&converted.plan).unwrap();
    let want = stream.results();
    let range = want.iter().fold(1.0f32, |range, x| range.max(x.abs()));
    let every = stream.every();
    let (mut worst, mut ready) = (0.0f32, 0);
    executor
        .with(|engine| {
            for frame in 0..stream.frames {
                let progress = engine.step(&encode(&engine.input_format(0)?, &stream.frame(frame))?)?;
                let due = frame >= stream.first_ready && (frame - stream.first_ready).is_multiple_of(every);
                assert_eq!(progress == Progress::Ready, due, "{}: frame {frame}", stream.name);
                if !due || ready == stream.count {
                    continue;
                }
                let got: Vec<f32> = engine.output(0)?.reals().collect();
                let wanted = &want[ready * got.len()..][..got.len()];
                worst = worst.max(difference(&got, wanted) / range);
                ready += 1;
            }
            Ok(())
        })
        .unwrap();
    assert!(ready > 0 && worst <= TOLERANCE, "{}: {worst:e} in {ready} results", stream.name);
    worst
}

/// Converts and runs the network on windows of its stream; gives the largest difference.
fn check(stream: &Stream) -> f32 {
    let converted =
        convert(&stream.model(), &stream.options(false)).unwrap_or_else(|e| panic!("{}: {e}", stream.name));
    let mut executor = Executor::new(&converted.plan).unwrap();
    let want = stream.results();
    let range = want.iter().fold(1.0f32, |range, x| range.max(x.abs()));
    let (mut worst, mut compared) = (0.0f32, 0);
    for (start, results) in stream.windows() {
        let got = executor.run_reals(&[&stream.window(start)]).unwrap().remove(0);
        for (place, index) in results {
            let slice = stream.slice(&got, place);
            worst = worst.max(difference(&slice, &want[index * slice.len()..][..slice.len()]) / range);
            compared += 1;
        }
    }
    assert!(compared > 0 && worst <= TOLERANCE, "{}: {worst:e} in {compared} results", stream.name);
    worst
}
