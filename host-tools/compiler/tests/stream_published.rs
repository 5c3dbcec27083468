//! Published networks of continual inference at their published size, with seeded weights: window by window and frame
//! by frame, against ONNX Runtime and against each other (`tests/golden/README.md`).

use mote_compiler::convert::{Converted, Options, convert};
use mote_compiler::executor::Executor;
use mote_compiler::stream::Rows;
use mote_compiler::stream::time;
use mote_runtime::engine::Progress;
use std::time::Instant;

// Its other readers are for other tests.
#[allow(dead_code)]
mod golden;

use golden::published::Published;

/// Largest difference, relative to the range of the results.
const TOLERANCE: f32 = 1e-4;

/// The published cost of a prediction, in multiply-accumulates; what differs from ours is told in the README of the
/// golden files.
const COSTS: [(&str, &str, f64); 3] = [
    ("x3d_s", "CoX3D-S64", 0.17e9),
    ("st_gcn", "CoST-GCN*, two persons", 0.16e9),
    ("oadtr_b1", "CoOadTR-b1", 0.0106e9),
];

#[test]
fn x3d_s() {
    steps_equal_windows("x3d_s");
}

#[test]
fn st_gcn() {
    steps_equal_windows("st_gcn");
}

#[test]
fn oadtr_b1() {
    steps_equal_windows("oadtr_b1");
}

fn steps_equal_windows(name: &str) {
    let started = Instant::now();
    let network = Published::load(name);
    let model = network.model();
    let results = network.results();
    let range = results.iter().flatten().fold(0f32, |range, x| range.max(x.abs()));
    let difference = |own: &[f32], other: &[f32]| golden::difference(own, other) / range;

    // A file holds the positions of the window at frame 0, which come back after all rows of the table.
    let window_plan = plan(&model, None);
    let mut clip = Executor::new(&window_plan.plan).unwrap();
    let own: Vec<(usize, Vec<f32>)> = network
        .starts
        .iter()
        .filter(|&&start| start.is_multiple_of(network.positions.unwrap_or(usize::MAX)))
        .map(|&start| (start, clip.run_reals(&[&network.window(start)]).unwrap().remove(0)))
        .collect();
    let mut worst = own.iter().fold(0f32, |worst, (start, own)| {
        let index = network.starts.iter().position(|s| s == start).unwrap();
        worst.max(difference(own, &results[index]))
    });
    assert!(!own.is_empty() && worst <= TOLERANCE, "windows: {worst:e}");
    let windows_took = started.elapsed();

    let step_plan = plan(&model, Some(network.time_axis));
    let mut stream = Executor::new(&step_plan.plan).unwrap();
    let (mut compared, mut beside_own) = (0, 0f32);
    stream
        .with(|engine| {
            for t in 0..network.frames {
                let progress = engine.step(bytemuck::cast_slice(&network.frame(t)))?;
                let Some(start) = (t + 1).checked_sub(network.length()) else {
                    let left = (network.length() - t - 1) as u32;
                    assert_eq!(progress, Progress::Pending { frames_left: left }, "frame {t}");
                    continue;
                };
                assert_eq!(progress, Progress::Ready, "frame {t}");
                let Some(index) = network.starts.iter().position(|&s| s == start) else { continue };
                let got: Vec<f32> = engine.output(0)?.reals().collect();
                worst = worst.max(difference(&got, &results[index]));
                if let Some((_, own)) = own.iter().find(|(s, _)| *s == start) {
                    beside_own = beside_own.max(difference(&got, own));
                }
                compared += 1;
            }
            Ok(())
        })
        .unwrap();
    let (window_macs, step_macs) = (macs(&window_plan), macs(&step_plan));
    let (_, published, cost) = COSTS.into_iter().find(|(known, ..)| *known == name).unwrap();
    println!(
        "{name}: {compared} results, steps within {beside_own:.1e} of windows, both within {worst:.1e} of ONNX Runtime; \
         {window_macs} MACs a window, {step_macs} a step (1/{:.1}); {published} published: {cost} a prediction; \
         {} bytes of state, {} of arena; {:.1} s for windows, {:.1} s in all",
        window_macs as f64 / step_macs as f64,
        step_plan.schedule.state_bytes,
        step_plan.schedule.arena,
        windows_took.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    assert_eq!(compared, network.starts.len());
    assert!(worst <= TOLERANCE && beside_own <= TOLERANCE, "{worst:e}, {beside_own:e}");
    assert_eq!((window_macs, step_macs), (network.window_macs, network.step_macs));
}

/// Over windows, or over frames along an axis.
fn plan(model: &[u8], axis: Option<usize>) -> Converted {
    let stream = axis.map(|axis| time::Stream { axis: Some(axis), ..time::Stream::default() });
    let options = Options { keep_layout: true, rows: Rows::Off, stream, ..Options::default() };
    convert(model, &options).unwrap()
}

/// Multiply-accumulates of convolutions and matrix products: as the golden file counts them, without the scaling by
/// gates.
fn macs(converted: &Converted) -> u64 {
    converted.steps.iter().filter(|step| step.op != "mul").map(|step| step.macs).sum()
}
