//! What a step takes beside a window, on the host: `cargo xtask bench stream [NAME..]`.
//!
//! Both plans of a network run in turn, some windows, some steps, and again; the best round of each counts. Saved
//! operations have become saved time as far as the ratio of times comes near the ratio of multiply-accumulates.

use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::{Executor, encode};
use mote_compiler::quantize::Calibration;
use mote_compiler::stream::{Rows, time};
use mote_runtime::Engine;
use std::time::{Duration, Instant};

// Its other readers are tests.
#[allow(dead_code)]
#[path = "../tests/golden/mod.rs"]
mod golden;

use golden::published::Published;
use golden::streams::{Stream, networks};

/// Rounds of windows and steps.
const ROUNDS: usize = 15;

/// What either takes in a round, about.
const ROUND: Duration = Duration::from_millis(20);

/// A network and a stream for it.
struct Subject {
    name: String,
    model: Vec<u8>,
    options: Options,
    axis: usize,
    length: usize,
    /// Frame by number.
    frame: Box<dyn Fn(usize) -> Vec<f32>>,
    window: Vec<f32>,
}

fn main() {
    // Cargo adds arguments of its own.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    println!(
        "{:24} {:>12} {:>10} {:>7} {:>11} {:>10} {:>7} {:>6}",
        "network", "MACs/window", "MACs/step", "ratio", "window, us", "step, us", "ratio", "share"
    );
    for subject in subjects(&wanted) {
        measure(&subject);
    }
    println!("share: ratio of times over ratio of multiply-accumulates; best of {ROUNDS} rounds, in turn");
}

fn measure(subject: &Subject) {
    let plan = |by_frames: bool| {
        let transform = time::Stream { axis: Some(subject.axis), ..time::Stream::default() };
        let stream = by_frames.then_some(transform);
        convert(&subject.model, &Options { stream, rows: Rows::Off, ..subject.options.clone() }).unwrap()
    };
    let (clip, steps) = (plan(false), plan(true));
    let macs = |steps: &[mote_compiler::lower::Step]| steps.iter().map(|step| step.macs).sum::<u64>() as f64;
    let (window_macs, step_macs) = (macs(&clip.steps), macs(&steps.steps));
    let (mut by_window, mut by_frame) =
        (Executor::new(&clip.plan).unwrap(), Executor::new(&steps.plan).unwrap());
    let (window, step) = by_window
        .with(|windows| {
            by_frame.with(|stream| {
                let window = encode(&windows.input_format(0)?, &subject.window)?;
                let format = stream.input_format(0)?;
                let frames: Result<Vec<_>, _> =
                    (0..subject.length + 1).map(|t| encode(&format, &(subject.frame)(t))).collect();
                Ok(interleaved(windows, &window, stream, &frames?))
            })
        })
        .unwrap();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let (of_macs, of_times) = (window_macs / step_macs, window.as_secs_f64() / step.as_secs_f64());
    println!(
        "{:24} {window_macs:>12.0} {step_macs:>10.0} {of_macs:>7.1} {:>11.1} {:>10.2} {of_times:>7.1} {:>6.2}",
        subject.name,
        micros(window),
        micros(step),
        of_times / of_macs
    );
}

/// Least times of a window and of a step.
fn interleaved(
    windows: &mut Engine<'_>,
    window: &[u8],
    stream: &mut Engine<'_>,
    frames: &[Vec<u8>],
) -> (Duration, Duration) {
    let mut next = frames.iter().cycle();
    let mut step = || stream.step(next.next().unwrap()).unwrap();
    // All that is due runs from now on.
    frames.iter().for_each(|_| _ = step());
    let mut run = || windows.run_on(&[window]).unwrap();
    let (of_window, of_step) = (each(1, &mut run), each(frames.len(), &mut || _ = step()));
    let fitting = |time: Duration| (ROUND.as_secs_f64() / time.as_secs_f64()).ceil() as usize;
    let (window_count, step_count) = (fitting(of_window), fitting(of_step));
    let mut least = (of_window, of_step);
    for _ in 0..ROUNDS {
        least.0 = least.0.min(each(window_count, &mut run));
        least.1 = least.1.min(each(step_count, &mut || _ = step()));
    }
    least
}

/// Mean time of a call.
fn each(count: usize, work: &mut impl FnMut()) -> Duration {
    let started = Instant::now();
    (0..count).for_each(|_| work());
    started.elapsed() / count as u32
}

/// All networks, or those of these names.
fn subjects(names: &[String]) -> impl Iterator<Item = Subject> {
    let wanted = move |name: &str| names.is_empty() || names.iter().any(|wanted| name.contains(&**wanted));
    let trained = networks().into_iter().flat_map(|stream| {
        let again = networks().into_iter().find(|other| other.name == stream.name);
        [Some((stream, Precision::AsIs)), again.map(|stream| (stream, Precision::Int8))]
    });
    let trained: Vec<Subject> = trained
        .flatten()
        .map(|(stream, precision)| of_stream(stream, precision))
        .chain(wakeword())
        .filter(|subject| wanted(&subject.name))
        .collect();
    let published: Vec<&str> =
        ["oadtr_b1", "st_gcn", "x3d_s"].into_iter().filter(|name| wanted(name)).collect();
    trained.into_iter().chain(published.into_iter().map(of_published))
}

fn of_stream(stream: Stream, precision: Precision) -> Subject {
    let samples = (0..4).map(|i| vec![stream.window(i * stream.length())]).collect();
    let calibration = (precision == Precision::Int8).then(|| Calibration::new(samples));
    let kind = if precision == Precision::Int8 { "int8" } else { "f32" };
    Subject {
        name: format!("{} {kind}", stream.name),
        model: stream.model(),
        options: Options { precision, calibration, ..stream.options(false) },
        axis: stream.time_axis,
        length: stream.length(),
        window: stream.window(0),
        frame: Box::new(move |t| stream.frame(t)),
    }
}

fn of_published(name: &str) -> Subject {
    let network = Published::load(name);
    Subject {
        name: format!("{name} f32"),
        model: network.model(),
        options: Options { keep_layout: true, ..Options::default() },
        axis: network.time_axis,
        length: network.length(),
        window: network.window(0),
        frame: Box::new(move |t| network.frame(t)),
    }
}

/// The streaming wakeword of MLPerf Tiny, where its file is there.
fn wakeword() -> Option<Subject> {
    let path = golden::workspace().join("../shared/data/mlperf-tiny/sww_int8.tflite");
    let Ok(model) = std::fs::read(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let (length, mels) = (30, 40);
    let frame = move |t: usize| -> Vec<f32> {
        (0..mels).map(|i| 0.4 + 0.2 * golden::normal(5, t * mels + i)).collect()
    };
    Some(Subject {
        name: "sww int8".into(),
        model,
        options: Options::default(),
        axis: 1,
        length,
        window: (0..length).flat_map(frame).collect(),
        frame: Box::new(frame),
    })
}
