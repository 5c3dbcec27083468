//! The networks of `tests/golden/continual`, window by window: the clip-wise half of what a step-wise plan must equal.
//!
//! Each is converted as it stands and run on the first windows of its stream; results come from PyTorch and ONNX
//! Runtime (`tests/golden/README.md`).

use base64::prelude::{BASE64_STANDARD, Engine};
use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::{Executor, encode};
use mote_compiler::quantize::Calibration;
use mote_compiler::stream::time;
use mote_runtime::engine::Progress;
use serde::Deserialize;
use std::path::PathBuf;

// Its other readers are for the MLPerf tests.
#[allow(dead_code)]
mod golden;

/// An entry of `vectors.json` or `networks.json`.
#[derive(Deserialize)]
struct Stream {
    name: String,
    file: String,
    input: Vec<usize>,
    time_axis: usize,
    frames: usize,
    seed: u64,
    gain: Option<f32>,
    mean: Option<f32>,
    std: Option<f32>,
    compare: Option<String>,
    hop: Option<usize>,
    output_time_axis: Option<usize>,
    first_ready: usize,
    every: Option<usize>,
    count: usize,
    output: Vec<usize>,
    outputs: String,
    positions: Option<usize>,
}

/// Largest difference, relative to the larger of 1 and the range of the results.
const TOLERANCE: f32 = 1e-5;

#[test]
fn vectors() {
    let folder = golden::workspace().join("tests/golden/continual");
    let mut worst: (f32, String) = (0.0, String::new());
    let streams: Vec<Stream> = load("vectors.json");
    let count = streams.len();
    for stream in streams {
        let error = check(&stream, folder.join(&stream.file)).unwrap();
        if error > worst.0 {
            worst = (error, stream.name);
        }
    }
    println!("{count} networks, largest difference {:.1e} ({})", worst.0, worst.1);
    assert!(count >= 55);
}

#[test]
fn trained_networks() {
    let streams: Vec<Stream> = load("networks.json");
    assert_eq!(streams.len(), 4);
    for stream in streams {
        let error = check(&stream, golden::workspace().join(&stream.file)).unwrap();
        println!("{}: largest difference {error:.1e}", stream.name);
    }
}

/// Attention in integers, with positions from a table: nothing stays float, and frame by frame the codes are those of
/// the windows.
#[test]
fn transformer_in_int8() {
    let stream =
        load::<Stream>("networks.json").into_iter().find(|s| s.name == "digits_transformer").unwrap();
    let model = std::fs::read(golden::workspace().join(&stream.file)).unwrap();
    let windows: Vec<_> = stream.windows().iter().map(|&(start, _)| (start, stream.window(start))).collect();
    assert!(windows.len() > 1, "the positions come back once at least");
    let samples = windows.iter().map(|(_, window)| vec![window.clone()]).collect();
    let options = |by_frames| Options {
        keep_layout: true,
        precision: Precision::Int8,
        calibration: Some(Calibration::new(Clone::clone(&samples))),
        stream: by_frames,
        ..Options::default()
    };
    let clip = convert(&model, &options(None)).unwrap();
    let report = clip.quantization.unwrap();
    println!("{report}");
    assert_eq!(report.float_nodes.len(), 0);
    assert!(report.nodes.iter().any(|node| node.op == "attention" && node.snr.unwrap() > 25.0));
    assert!(report.output_snr().unwrap() > 28.0);

    let axis = Some(stream.time_axis);
    let steps = convert(&model, &options(Some(time::Stream { axis, ..time::Stream::default() }))).unwrap();
    println!("{} bytes of state, {} of arena", steps.schedule.state_bytes, steps.schedule.arena);
    let (mut by_window, mut by_frame) =
        (Executor::new(&clip.plan).unwrap(), Executor::new(&steps.plan).unwrap());
    let length = stream.input[stream.time_axis];
    let n = stream.input.iter().product::<usize>() / length;
    let mut results = Vec::new();
    by_frame
        .with(|engine| {
            for frame in 0..windows.last().unwrap().0 + length {
                let values: Vec<f32> = (0..n).map(|i| stream.element(frame, n, i)).collect();
                if engine.step(&encode(&engine.input_format(0)?, &values)?)? == Progress::Ready {
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
    let folder = golden::workspace().join("tests/golden/continual");
    let streams = load::<Stream>("vectors.json");
    for stream in &streams {
        check_steps(stream, folder.join(&stream.file)).unwrap_or_else(|e| panic!("{}: {e}", stream.name));
    }
    println!("{} networks equal frame by frame", streams.len());
    assert!(streams.len() >= 55);
}

#[test]
fn trained_networks_frame_by_frame() {
    for stream in load::<Stream>("networks.json") {
        let error = check_steps(&stream, golden::workspace().join(&stream.file));
        println!("{}: {error:?}", stream.name);
        error.unwrap();
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

/// Every network that breaks a rule is refused with the node and the rule's number.
#[test]
fn refusals() {
    let folder = golden::workspace().join("tests/golden/continual");
    let refusals: Vec<Refusal> = load("refusals.json");
    let mut wrong = Vec::new();
    for refusal in &refusals {
        let model = std::fs::read(folder.join(&refusal.file)).unwrap();
        let transform = time::Stream { axis: Some(refusal.time_axis), hop: Some(refusal.hop), whole: false };
        let options = Options { keep_layout: true, stream: Some(transform), ..Options::default() };
        let error = convert(&model, &options).map(|_| ()).map_err(|error| error.to_string());
        println!("{}: {error:?}", refusal.name);
        if !error.is_err_and(|text| text.contains(&format!("breaks rule {}:", refusal.rule))) {
            wrong.push(&refusal.name);
        }
    }
    assert!(refusals.len() >= 12 && wrong.is_empty(), "not refused by the right rule: {wrong:?}");
}

/// Converts to a step-wise plan and pushes the stream through it; gives the largest difference.
fn check_steps(stream: &Stream, path: PathBuf) -> Result<f32, String> {
    let model = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let whole = stream.compare.as_deref() == Some("whole");
    let transform = time::Stream { axis: Some(stream.time_axis), hop: stream.hop, whole };
    let options = Options { keep_layout: true, stream: Some(transform), ..Options::default() };
    let converted = convert(&model, &options).map_err(|e| e.to_string())?;
    let mut executor = Executor::new(&converted.plan).unwrap();
    let n: usize = stream.input.iter().product::<usize>() / stream.input[stream.time_axis];
    let want = stream.results();
    let range = want.iter().fold(1.0f32, |range, x| range.max(x.abs()));
    let every = stream.every.or(stream.hop).unwrap_or(1);
    let (mut worst, mut ready) = (0.0f32, 0);
    executor
        .with(|engine| {
            for frame in 0..stream.frames {
                let values: Vec<f32> = (0..n).map(|i| stream.element(frame, n, i)).collect();
                let progress = engine.step(&encode(&engine.input_format(0)?, &values)?)?;
                let due = frame >= stream.first_ready && (frame - stream.first_ready).is_multiple_of(every);
                assert_eq!(progress == Progress::Ready, due, "{}: frame {frame}", stream.name);
                if !due || ready == stream.count {
                    continue;
                }
                let got: Vec<f32> = engine.output(0)?.reals().collect();
                let wanted = &want[ready * got.len()..][..got.len()];
                let difference = got.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                worst = worst.max(difference / range);
                ready += 1;
            }
            Ok(())
        })
        .unwrap();
    assert!(ready > 0 && worst <= TOLERANCE, "{}: {worst:e} in {ready} results", stream.name);
    Ok(worst)
}

/// Converts and runs the network on windows of its stream; gives the largest difference, or why it was not converted.
fn check(stream: &Stream, path: PathBuf) -> Result<f32, String> {
    let model = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let options = Options { keep_layout: true, ..Options::default() };
    let converted = convert(&model, &options).map_err(|e| e.to_string())?;
    let mut executor = Executor::new(&converted.plan).unwrap();
    let want = stream.results();
    let range = want.iter().fold(1.0f32, |range, x| range.max(x.abs()));
    let (mut worst, mut compared) = (0.0f32, 0);
    for (start, results) in stream.windows() {
        let got = executor.run_reals(&[&stream.window(start)]).unwrap().remove(0);
        for (place, index) in results {
            let slice = stream.slice(&got, place);
            let wanted = &want[index * slice.len()..][..slice.len()];
            let difference = slice.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            worst = worst.max(difference / range);
            compared += 1;
        }
    }
    assert!(compared > 0 && worst <= TOLERANCE, "{}: {worst:e} in {compared} results", stream.name);
    Ok(worst)
}

impl Stream {
    /// Some windows: where they start, and which of their slices along time is which result.
    fn windows(&self) -> Vec<(usize, Vec<(usize, usize)>)> {
        let length = self.input[self.time_axis];
        if self.compare.as_deref() == Some("whole") {
            let every = self.every.unwrap();
            let ready = (0..self.count).filter(|j| self.first_ready + j * every < length);
            return vec![(0, ready.map(|j| (j, j)).collect())];
        }
        let hop = self.hop.unwrap_or(1);
        // The file holds the positions of the first window, which come back after all rows of the table.
        let rows = self.positions.unwrap_or(1);
        (0..self.count).filter(|k| (k * hop).is_multiple_of(rows)).map(|k| (k * hop, vec![(0, k)])).collect()
    }

    /// Slice `place` of a window's output along the output's time axis; all of it where the output has none.
    fn slice(&self, output: &[f32], place: usize) -> Vec<f32> {
        let axis = self.output_time_axis.unwrap_or(0);
        let outer: usize = self.output[..axis].iter().product();
        let inner: usize = self.output[axis..].iter().product();
        let length = output.len() / (outer * inner);
        (0..outer).flat_map(|o| &output[(o * length + place) * inner..][..inner]).copied().collect()
    }

    /// The frames from `start` on, as the network's input.
    fn window(&self, start: usize) -> Vec<f32> {
        let (length, axis) = (self.input[self.time_axis], self.time_axis);
        assert!(start + length <= self.frames);
        let outer: usize = self.input[..axis].iter().product();
        let inner: usize = self.input[axis + 1..].iter().product();
        let mut window = Vec::new();
        for o in 0..outer {
            for t in start..start + length {
                window.extend((0..inner).map(|i| self.element(t, outer * inner, o * inner + i)));
            }
        }
        window
    }

    /// Element `i` of frame `t`, of `n` in a frame.
    fn element(&self, t: usize, n: usize, i: usize) -> f32 {
        let normal = golden::normal(self.seed, t * n + i);
        match (self.mean, self.std) {
            (Some(mean), Some(std)) => mean + std * normal,
            _ => self.gain.unwrap() * normal,
        }
    }

    fn results(&self) -> Vec<f32> {
        let values: Vec<f32> = BASE64_STANDARD
            .decode(&self.outputs)
            .unwrap()
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        assert_eq!(values.len(), self.count * self.output.iter().product::<usize>());
        values
    }
}

fn load<T: serde::de::DeserializeOwned>(file: &str) -> Vec<T> {
    let path = golden::workspace().join("tests/golden/continual").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
